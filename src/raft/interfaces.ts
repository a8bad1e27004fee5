import type {
  MemberId,
  MemberKind,
  Membership,
  Message,
  MessageOf,
  RaftRole,
  SnapshotMetadata,
} from './core/index.js'

/**
 * Carries messages between members. It may lose, repeat, delay and reorder them; it must not change them.
 * On the other side they go into `RaftDriver.receive` and `receiveSnapshot`.
 */
export interface Transport {
  send(to: MemberId, messages: readonly Message[]): void
  /** Streams the message and then the content. Resolves when the other side has taken all of it. */
  sendSnapshot(
    to: MemberId,
    message: MessageOf<'snapshot'>,
    content: AsyncIterable<Uint8Array>,
  ): Promise<void>
  /** Who there is to talk to; called at the start and after every change. */
  updateMembers(membership: Membership): void
}

/** For a single member: there is nobody to talk to. */
export const noTransport: Transport = {
  send: () => undefined,
  sendSnapshot: () => Promise.reject(new Error('this member has no transport')),
  updateMembers: () => undefined,
}

/** What the log drives. The same entries in the same order give the same state on every member. */
export interface StateMachine {
  /**
   * Asked once, at the start: the last index whose effect is on disk. Entries after it are applied again.
   * It must not be ahead of the log: write the state after the log, to the same database.
   */
  readonly appliedIndex: number
  /**
   * Applies a committed entry: synchronous, without time, randomness or I/O. `data` is the very object that
   * was proposed, if it was proposed here since the start. A throw stops the member: going on could make
   * members differ. Entries that are not the state machine's use up indexes, so these grow with gaps.
   */
  apply(index: number, term: number, data: Uint8Array): void
  /** The state as it is at this moment, in pieces. Later changes must not show in it. */
  snapshot(): AsyncIterable<Uint8Array>
  /**
   * Takes the content of another member's snapshot without touching the state yet. May take long.
   * Called once at a time.
   */
  restore(snapshot: SnapshotMetadata, content: AsyncIterable<Uint8Array>): Promise<StagedState>
}

/** A snapshot's content, complete and checked, waiting to become the state. */
export interface StagedState {
  /** Becomes the state, with `appliedIndex` the snapshot's. Resolves when that is on disk. */
  install(): Promise<void>
  /** It is not needed after all. */
  discard(): void
}

export interface Leadership {
  /** True once this member leads and has applied everything that may have been acknowledged before. */
  readonly isLeader: boolean
  readonly leaderId: MemberId | undefined
  readonly term: number
}

export interface MemberStatus {
  readonly id: MemberId
  readonly kind: MemberKind
  readonly isWitness: boolean
  readonly context: string
  /** Last entry known to be on its disk; for others known by the leader only. */
  readonly matchIndex: number | undefined
  /** Heard from within about an election timeout; known by the leader only. */
  readonly active: boolean | undefined
}

export interface RaftStatus {
  readonly id: MemberId
  readonly role: RaftRole
  readonly isLeader: boolean
  readonly leaderId: MemberId | undefined
  readonly term: number
  readonly commitIndex: number
  readonly appliedIndex: number
  readonly lastIndex: number
  /** Index before the first entry of the log. */
  readonly startIndex: number
  readonly members: readonly MemberStatus[]
  readonly removedIds: readonly MemberId[]
}
