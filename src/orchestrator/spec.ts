import { nanosPerMs } from '../model/duration.js'
import type { Service, Task } from '../model/objects.js'
import type { RestartPolicy, ServiceSpec } from '../model/spec/index.js'
import { TaskState } from '../model/task-state.js'

/** What a spec means where it is silent. Defaults: moby/swarmkit api/defaults/service.go. */

export type ServiceModeName = 'replicated' | 'global' | 'replicated-job' | 'global-job'

/** A service without a mode is replicated. */
export function modeOf(spec: ServiceSpec): ServiceModeName {
  const mode = spec.Mode ?? {}
  if (mode.Global !== undefined) return 'global'
  if (mode.ReplicatedJob !== undefined) return 'replicated-job'
  if (mode.GlobalJob !== undefined) return 'global-job'
  return 'replicated'
}

export function isJob(spec: ServiceSpec): boolean {
  const mode = modeOf(spec)
  return mode === 'replicated-job' || mode === 'global-job'
}

/** How many replicas a replicated service wants. */
export function replicasOf(spec: ServiceSpec): number {
  return spec.Mode?.Replicated?.Replicas ?? 1
}

export interface RestartRules {
  readonly condition: 'none' | 'on-failure' | 'any'
  readonly delayMs: number
  /** 0: no limit. */
  readonly maxAttempts: number
  /** 0: attempts count for ever. */
  readonly windowMs: number
}

const defaultDelayMs = 5000

export function restartRules(policy: RestartPolicy | undefined): RestartRules {
  const condition = policy?.Condition
  return {
    condition: condition === 'none' || condition === 'on-failure' ? condition : 'any',
    delayMs: policy?.Delay === undefined ? defaultDelayMs : policy.Delay / nanosPerMs,
    maxAttempts: policy?.MaxAttempts ?? 0,
    windowMs: (policy?.Window ?? 0) / nanosPerMs,
  }
}

export interface UpdateRules {
  /** 0: all at once. */
  readonly parallelism: number
  readonly delayMs: number
  readonly failureAction: 'pause' | 'continue' | 'rollback'
  readonly monitorMs: number
  readonly maxFailureRatio: number
  readonly order: 'stop-first' | 'start-first'
}

const defaultMonitorMs = 5000

/** The rules of the update under way: a rollback has its own. */
export function updateRules(service: Pick<Service, 'spec' | 'updateStatus'>): UpdateRules {
  const { spec } = service
  const config = isRollingBack(service) ? spec.RollbackConfig : spec.UpdateConfig
  const action = config?.FailureAction
  return {
    // Without any configuration one task after the other; a configuration without it means all at once.
    parallelism: config === undefined ? 1 : (config.Parallelism ?? 0),
    delayMs: (config?.Delay ?? 0) / nanosPerMs,
    failureAction: action === 'continue' || action === 'rollback' ? action : 'pause',
    monitorMs: config?.Monitor ? config.Monitor / nanosPerMs : defaultMonitorMs,
    maxFailureRatio: config?.MaxFailureRatio ?? 0,
    order: config?.Order === 'start-first' ? 'start-first' : 'stop-first',
  }
}

export function isRollingBack({ updateStatus }: Pick<Service, 'updateStatus'>): boolean {
  return updateStatus?.state === 'rollback_started' || updateStatus?.state === 'rollback_paused'
}

export function isPaused({ updateStatus }: Pick<Service, 'updateStatus'>): boolean {
  return updateStatus?.state === 'paused' || updateStatus?.state === 'rollback_paused'
}

export function isUpdating({ updateStatus }: Pick<Service, 'updateStatus'>): boolean {
  return updateStatus?.state === 'updating' || updateStatus?.state === 'rollback_started'
}

/** Has ended, or never will begin: observed beyond RUNNING. */
export function isDead(task: Pick<Task, 'status'>): boolean {
  return task.status.state > TaskState.Running
}

/** Is meant to run, now or soon. */
export function isLive(task: Pick<Task, 'desiredState'>): boolean {
  return task.desiredState <= TaskState.Running
}

/** When the status was taken: by the leader's clock where it is known, else by the node's. */
export function statusTimeMs({ status }: Pick<Task, 'status'>): number {
  return status.appliedAtMs ?? status.timestampMs
}
