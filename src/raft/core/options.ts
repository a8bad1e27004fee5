import type { Rules } from './rules.js'
import type { Entry, HardState, MemberId, SnapshotMetadata } from './types.js'

/** What a member remembers when it starts. */
export interface CoreState {
  readonly hardState: HardState
  readonly snapshot: SnapshotMetadata
  readonly entries: readonly Entry[]
  /** Last index that the state machine holds. */
  readonly appliedIndex: number
}

export interface CoreOptions {
  readonly id: MemberId
  readonly state: CoreState
  /** Uniform in [0, bound). */
  readonly randomInt: (bound: number) => number
  /** A follower campaigns after this many silent ticks, up to twice as many. Default 10. */
  readonly electionTicks?: number
  /** Default 1. */
  readonly heartbeatTicks?: number
  readonly maxMessageBytes?: number
  readonly maxInflightMessages?: number
  readonly maxInflightBytes?: number
  /** Entries per `ready()` to apply, so that a long replay leaves the event loop room. Default 512. */
  readonly maxApplyEntries?: number
  /** Replaced only by tests that break them on purpose. */
  readonly rules?: Rules
}
