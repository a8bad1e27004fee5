import { DriverSchema } from './driver.js'
import {
  flag,
  int,
  int64,
  list,
  nanoseconds,
  stringMap,
  struct,
  text,
  texts,
  uint32,
  uint64,
  word,
  type Spec,
} from './schema.js'

export const OrchestrationConfigSchema = struct(
  'OrchestrationConfig',
  {
    TaskHistoryRetentionLimit: int64(
      'Tasks kept per replica, the live one included. Negative keeps all.',
      'always',
    ),
  },
  { presence: 'always' },
)

export const RaftConfigSchema = struct(
  'RaftConfig',
  {
    SnapshotInterval: uint64('Log entries between two snapshots.'),
    KeepOldSnapshots: uint64('Snapshots kept besides the newest.', 'always'),
    LogEntriesForSlowFollowers: uint64('Log entries kept after a snapshot.'),
    ElectionTick: int('Ticks without a leader before an election.', 'always'),
    HeartbeatTick: int('Ticks between two heartbeats of the leader.', 'always'),
  },
  { presence: 'always' },
)

export const DispatcherConfigSchema = struct(
  'DispatcherConfig',
  {
    HeartbeatPeriod: nanoseconds('Time between two heartbeats of a node.'),
  },
  { presence: 'always' },
)

export const ExternalCASchema = struct('ExternalCA', {
  Protocol: word(['cfssl'], undefined, 'always'),
  URL: text(undefined, 'always'),
  Options: stringMap(),
  CACert: text('Root certificate that the CA signs with, PEM.', 'always'),
})

export const CAConfigSchema = struct(
  'CAConfig',
  {
    NodeCertExpiry: nanoseconds('How long a node’s certificate is valid.'),
    ExternalCAs: list(ExternalCASchema),
    SigningCACert: text('Root certificate to change to, PEM. Never shown.'),
    SigningCAKey: text('Key of that certificate, PEM. Never shown.'),
    ForceRotate: uint64('A number whose change makes the root be replaced.'),
  },
  { presence: 'always' },
)
export type CAConfig = Spec<typeof CAConfigSchema>

export const TaskDefaultsSchema = struct('TaskDefaults', { LogDriver: DriverSchema }, { presence: 'always' })

export const EncryptionConfigSchema = struct(
  'EncryptionConfig',
  {
    AutoLockManagers: flag('Makes a manager ask for the unlock key when it starts.', 'always'),
  },
  { presence: 'always' },
)

export const SwarmSpecSchema = struct(
  'Spec',
  {
    Name: text('Always `default`.'),
    Labels: stringMap(undefined, 'always'),
    Orchestration: OrchestrationConfigSchema,
    Raft: RaftConfigSchema,
    Dispatcher: DispatcherConfigSchema,
    CAConfig: CAConfigSchema,
    TaskDefaults: TaskDefaultsSchema,
    EncryptionConfig: EncryptionConfigSchema,
  },
  { componentName: 'SwarmSpec' },
)
export type SwarmSpec = Spec<typeof SwarmSpecSchema>

export const SwarmInitRequestSchema = struct(
  'InitRequest',
  {
    ListenAddr: text('Address and port for cluster traffic.'),
    AdvertiseAddr: text('Address that other nodes are told.'),
    DataPathAddr: text('Address for overlay traffic.'),
    DataPathPort: uint32('UDP port for overlay traffic. 0 means 4789.'),
    ForceNewCluster: flag('Makes a cluster of one out of this manager’s state.'),
    Spec: SwarmSpecSchema,
    AutoLockManagers: flag(),
    Availability: word(['active', 'pause', 'drain']),
    DefaultAddrPool: texts('CIDRs out of which networks get their subnets.'),
    SubnetSize: uint32('Prefix length of those subnets. 0 means 24.'),
  },
  { componentName: 'SwarmInitRequest' },
)
export type SwarmInitRequest = Spec<typeof SwarmInitRequestSchema>

export const SwarmJoinRequestSchema = struct(
  'JoinRequest',
  {
    ListenAddr: text('Address and port for cluster traffic.'),
    AdvertiseAddr: text('Address that other nodes are told.'),
    DataPathAddr: text('Address for overlay traffic.'),
    RemoteAddrs: texts('Addresses of managers. The first is asked.'),
    JoinToken: text('Decides the role, too.'),
    Availability: word(['active', 'pause', 'drain']),
  },
  { componentName: 'SwarmJoinRequest' },
)
export type SwarmJoinRequest = Spec<typeof SwarmJoinRequestSchema>

export const SwarmUnlockRequestSchema = struct(
  'UnlockRequest',
  { UnlockKey: text() },
  { componentName: 'SwarmUnlockRequest' },
)
export type SwarmUnlockRequest = Spec<typeof SwarmUnlockRequestSchema>
