import type { MemberId, Rules } from './core/index.js'
import type { StateMachine, Transport } from './interfaces.js'
import type { LogStorage } from './log/log-storage.js'

/** Entries kept behind the compacted index, so that a follower that is a little slow needs no snapshot. */
export const LOG_ENTRIES_FOR_SLOW_FOLLOWERS = 500

export interface RaftDriverOptions {
  readonly id: MemberId
  readonly storage: LogStorage
  readonly stateMachine: StateMachine
  readonly transport: Transport
  /** Given for the very first member of a cluster; ignored if the log is not empty. */
  readonly bootstrap?: { readonly context: string }
  /**
   * The member stopped because it could not go on without risk: a write failed, apply threw, or the log is
   * damaged. Nothing that is not on disk was acknowledged. Called once.
   */
  readonly onFatal: (error: Error) => void
  /** Default 100. Heartbeats go out every tick; a follower campaigns after 10 to 20. */
  readonly tickMs?: number
  readonly electionTicks?: number
  /** Default 1 MiB. A single larger entry still goes out whole. */
  readonly maxMessageBytes?: number
  readonly logEntriesForSlowFollowers?: number
  /** Runs `fn` at the end of the turn. Default `setImmediate`. */
  readonly defer?: (fn: () => void) => void
  /** Replaced only by tests that break them on purpose. */
  readonly rules?: Rules
}
