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

/** The spec of a new cluster: what is said replaces the defaults. */
export function initialSwarmSpec(wanted: SwarmSpec | undefined, autoLock: boolean): SwarmSpec {
  return mergedSwarmSpec(defaultSwarmSpec, wanted, autoLock)
}

/**
 * Members of `wanted` that are not zero in Go's sense replace those of `spec`. Autolock is turned on, never off.
 * Behaviour: moby daemon/cluster/convert/swarm.go, MergeSwarmSpecToGRPC.
 */
export function mergedSwarmSpec(
  spec: SwarmSpec,
  wanted: SwarmSpec | undefined,
  autoLock: boolean,
): SwarmSpec {
  const section = <T extends object>(present: T | undefined, given: T | undefined): T =>
    ({ ...present, ...nonZero(given) }) as T
  const isEmpty = (labels: object | undefined) => Object.keys(labels ?? {}).length === 0
  const isLocked = (of: SwarmSpec | undefined) => of?.EncryptionConfig?.AutoLockManagers ?? false
  return {
    ...spec,
    Labels: { ...(isEmpty(wanted?.Labels) ? spec.Labels : wanted?.Labels) },
    Orchestration: section(spec.Orchestration, wanted?.Orchestration),
    Raft: section(spec.Raft, wanted?.Raft),
    Dispatcher: section(spec.Dispatcher, wanted?.Dispatcher),
    CAConfig: section(spec.CAConfig, wanted?.CAConfig),
    TaskDefaults: section(spec.TaskDefaults, wanted?.TaskDefaults),
    EncryptionConfig: { AutoLockManagers: autoLock || isLocked(wanted) || isLocked(spec) },
  }
}

function nonZero(given: object | undefined): object {
  const isZero = (value: unknown) => value === undefined || value === 0 || value === '' || value === false
  return Object.fromEntries(Object.entries(given ?? {}).filter(([, value]) => !isZero(value)))
}
