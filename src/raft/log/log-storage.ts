import { emptyMembership, type Entry, type HardState, type SnapshotMetadata } from '../core/index.js'

/** Everything that a member finds on its disk when it starts. */
export interface LogState {
  readonly hardState: HardState
  /** Where the log begins. */
  readonly snapshot: SnapshotMetadata
  /** A snapshot whose content was being installed when the member stopped. */
  readonly staged: SnapshotMetadata | undefined
  /** Without gaps, from `snapshot.index + 1` on. */
  readonly entries: readonly Entry[]
}

export interface LogBatch {
  readonly hardState: HardState
  /** Replaces the whole log and whatever was staged. */
  readonly snapshot?: SnapshotMetadata | undefined
  /** Replaces everything from the first of them on. */
  readonly entries: readonly Entry[]
}

/**
 * A member's disk. Writes are stored in the order of the calls and need not be waited for one by one;
 * a promise resolves once its write, and so every earlier one, would survive a loss of power.
 */
export interface LogStorage {
  /** @throws if anything is missing or damaged: a member that forgot something must not take part. */
  load(): Promise<LogState>
  /** Stores all of the batch or nothing. */
  save(batch: LogBatch): Promise<void>
  /**
   * Remembers `snapshot` before the state machine installs its content, so that a restart in between can
   * tell which log the newer state belongs to. Undefined forgets it again.
   */
  stageSnapshot(snapshot: SnapshotMetadata | undefined): Promise<void>
  /** The log now begins after `snapshot.index`; what is before may be deleted, in pieces. */
  compact(snapshot: SnapshotMetadata): Promise<void>
}

/** The state of a member that never wrote anything. */
export const emptyLogState: LogState = {
  hardState: { term: 0, votedFor: undefined, commit: 0 },
  snapshot: { index: 0, term: 0, membership: emptyMembership },
  staged: undefined,
  entries: [],
}
