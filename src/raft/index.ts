export {
  MembershipError,
  NotLeaderError,
  type Entry,
  type Member,
  type MemberId,
  type MemberKind,
  type Membership,
  type Message,
  type MessageOf,
  type SnapshotMetadata,
} from './core/index.js'
export { LOG_ENTRIES_FOR_SLOW_FOLLOWERS, type RaftDriverOptions } from './driver-options.js'
export { RaftDriver } from './driver.js'
export {
  noTransport,
  type MemberStatus,
  type RaftStatus,
  type Leadership,
  type StagedState,
  type StateMachine,
  type Transport,
} from './interfaces.js'
export type { LogBatch, LogState, LogStorage } from './log/log-storage.js'
export { MemoryLog } from './log/memory-log.js'
export { formNewCluster } from './log/new-cluster.js'
export { raftLogSchema, SqliteLog } from './log/sqlite-log.js'
export { WitnessLog, type WholeFile } from './log/witness-log.js'
export { NoLeaderError } from './reads.js'
export { startWitness } from './witness.js'
export { decodeMemberContext, encodeMemberContext, type MemberContext } from './member-context.js'
