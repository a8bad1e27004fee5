import type { Member, Membership } from './membership.js'

/** Names a raft member. Chosen afresh for every join and never used again after a removal. */
export type MemberId = string

/** `data` is the state machine's, `membership` a change of members, `noop` opens a leader's term. */
export type EntryKind = 'data' | 'membership' | 'noop'

export interface Entry {
  /** From 1, without gaps. */
  readonly index: number
  readonly term: number
  readonly kind: EntryKind
  /** Opaque to raft. Must not change once proposed. */
  readonly data: Uint8Array
}

/** What must be on disk before a member answers. */
export interface HardState {
  readonly term: number
  readonly votedFor: MemberId | undefined
  /** May lag behind the truth: it is written only along with something else. */
  readonly commit: number
}

/** The log's beginning: everything up to `index` is in the state machine and not in the log. */
export interface SnapshotMetadata {
  readonly index: number
  readonly term: number
  /** Members as of `index`. */
  readonly membership: Membership
}

export type RaftRole = 'follower' | 'preCandidate' | 'candidate' | 'leader'

interface Envelope {
  readonly from: MemberId
  readonly to: MemberId
  /** The sender's term; in a pre-vote the term it would campaign in. */
  readonly term: number
}

export type MessageBody =
  | {
      readonly type: 'preVote' | 'vote'
      readonly lastIndex: number
      readonly lastTerm: number
      /** Set in a leadership transfer: members answer although they hear from a leader. */
      readonly force: boolean
    }
  | { readonly type: 'preVoteReply' | 'voteReply'; readonly granted: boolean }
  | {
      readonly type: 'append'
      readonly prevIndex: number
      readonly prevTerm: number
      readonly entries: readonly Entry[]
      readonly commit: number
    }
  /** `index`: last entry that is the leader's; on refusal the `prevIndex` refused. */
  | { readonly type: 'appendReply'; readonly refused: false; readonly index: number }
  | {
      readonly type: 'appendReply'
      readonly refused: true
      readonly index: number
      /** Where the logs may still agree: the last entry at or before `index` whose term fits. */
      readonly hintIndex: number
      readonly hintTerm: number
    }
  | { readonly type: 'heartbeat'; readonly commit: number; readonly readSequence: number }
  | { readonly type: 'heartbeatReply'; readonly readSequence: number }
  /** Travels with the state machine's content, which the transport streams. */
  | { readonly type: 'snapshot'; readonly snapshot: SnapshotMetadata }
  | { readonly type: 'timeoutNow' }
  | { readonly type: 'readIndex'; readonly context: number }
  | { readonly type: 'readIndexReply'; readonly context: number; readonly index: number }

export type Message = Envelope & MessageBody
export type MessageOf<T extends MessageBody['type']> = Envelope & Extract<MessageBody, { type: T }>

/** Reads asked for under `context` are linearizable once the state machine has applied `index`. */
export interface ReadState {
  readonly context: number
  readonly index: number
}

/**
 * What the driver has to do, taken by `ready()`:
 * 1. send `messages` (before applying: a `snapshot` among them means the state machine as it is now);
 * 2. if `mustPersist`, write `snapshot`, `entries` and `hardState` in one transaction;
 * 3. apply `committedEntries`, before the next `ready()`;
 * 4. when 2 and all earlier writes are on disk: send `messagesAfterPersist` and call `advance(ready)`.
 * Further readies may be taken while a write is under way; writes must reach the disk in order.
 */
export interface Ready {
  readonly mustPersist: boolean
  readonly hardState: HardState
  /** Replaces the whole log. The state machine installs the content that came with it. */
  readonly snapshot: SnapshotMetadata | undefined
  /** Replaces everything from the first of them on. */
  readonly entries: readonly Entry[]
  readonly messages: readonly Message[]
  readonly messagesAfterPersist: readonly Message[]
  readonly committedEntries: readonly Entry[]
  readonly readStates: readonly ReadState[]
  /** Which shape the log had; see `RaftLog.saved`. */
  readonly logEpoch: number
}

/** The write was not accepted: this member does not lead (or hands leadership over). Nothing happened. */
export class NotLeaderError extends Error {
  override readonly name = 'NotLeaderError'
  readonly leaderId: MemberId | undefined

  constructor(leaderId: MemberId | undefined, message = 'this member is not the leader') {
    super(message)
    this.leaderId = leaderId
  }
}

/** A change of members that may not be made now. Nothing happened. */
export class MembershipError extends Error {
  override readonly name = 'MembershipError'
}

/** A rule of the protocol was broken, so continuing could lose data. The member must stop. */
export class InvariantError extends Error {
  override readonly name = 'InvariantError'
}

export type { Member, Membership }
