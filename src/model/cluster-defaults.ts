import type { SwarmSpec } from './spec/index.js'

/** What a new cluster's spec has where nobody said otherwise. Source: moby/swarmkit manager/manager.go. */
export const defaultSwarmSpec = {
  Name: 'default',
  Labels: {},
  Orchestration: { TaskHistoryRetentionLimit: 5 },
  Raft: {
    SnapshotInterval: 10000,
    KeepOldSnapshots: 0,
    LogEntriesForSlowFollowers: 500,
    ElectionTick: 10,
    HeartbeatTick: 1,
  },
  Dispatcher: { HeartbeatPeriod: 5_000_000_000 },
  CAConfig: { NodeCertExpiry: 7_776_000_000_000_000 },
  TaskDefaults: {},
  EncryptionConfig: { AutoLockManagers: false },
} as const satisfies SwarmSpec

export const defaultAddressPools: readonly string[] = ['10.0.0.0/8']
export const defaultSubnetSize = 24
export const defaultDataPathPort = 4789

/**
 * The spec of a new cluster: members of `wanted` that are not zero in Go's sense replace the defaults.
 * Behaviour: moby daemon/cluster/convert/swarm.go, MergeSwarmSpecToGRPC.
 */
export function initialSwarmSpec(wanted: SwarmSpec | undefined, autoLock: boolean): SwarmSpec {
  const spec = wanted ?? {}
  const section = <T extends object>(defaults: T, given: object | undefined): T => ({
    ...defaults,
    ...nonZero(given),
  })
  return {
    ...defaultSwarmSpec,
    Labels: spec.Labels ?? {},
    Orchestration: section(defaultSwarmSpec.Orchestration, spec.Orchestration),
    Raft: section(defaultSwarmSpec.Raft, spec.Raft),
    Dispatcher: section(defaultSwarmSpec.Dispatcher, spec.Dispatcher),
    CAConfig: section(defaultSwarmSpec.CAConfig, spec.CAConfig),
    TaskDefaults: section(defaultSwarmSpec.TaskDefaults, spec.TaskDefaults),
    EncryptionConfig: { AutoLockManagers: autoLock || (spec.EncryptionConfig?.AutoLockManagers ?? false) },
  }
}

function nonZero(given: object | undefined): object {
  const isZero = (value: unknown) => value === undefined || value === 0 || value === '' || value === false
  return Object.fromEntries(Object.entries(given ?? {}).filter(([, value]) => !isZero(value)))
}
