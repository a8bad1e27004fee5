import type { Service, Task, UpdateStatus } from '../../model/objects.js'
import type { Patch } from '../../store/action.js'
import { TaskState } from '../../model/task-state.js'
import { isDead, isRollingBack, isUpdating, updateRules } from '../spec.js'

/**
 * Whether the end of a task is a failure of the update under way: it has the new spec and ended before it
 * had run for the monitor period. Each slot counts once, its replacements included; Docker looks at the
 * first new task of a slot only. Tasks that the cluster stopped, and those of a removed node, do not count.
 * @param ranMs how long it was RUNNING; undefined: not known, then it counts.
 */
export function isUpdateFailure(service: Service, task: Task, ranMs: number | undefined): boolean {
  if (!isUpdating(service) || task.specVersion !== service.specVersion) return false
  if (!isDead(task) || task.desiredState > TaskState.Running) return false
  if (task.status.state === TaskState.Orphaned || task.restart?.failedUpdate === true) return false
  return ranMs === undefined || ranMs < updateRules(service).monitorMs
}

/**
 * What the failure of a task does to its service: counts it, and pauses or turns the update back where
 * too many have failed.
 * Behaviour: moby/swarmkit manager/orchestrator/update/updater.go. How many failed is kept in the
 * service, so that a change of the leader forgets nothing.
 */
export function afterUpdateFailure(service: Service, task: Task): Patch<Service> {
  const status = service.updateStatus
  if (status === undefined) return {}
  const { failureAction, maxFailureRatio } = updateRules(service)
  const slots = status.rollout?.slots ?? 1
  const failures = (status.rollout?.failures ?? 0) + 1
  const counted: UpdateStatus = { ...status, rollout: { slots, failures } }
  if (failureAction === 'continue' || failures / slots <= maxFailureRatio) return { updateStatus: counted }
  const reason = `due to failure or early termination of task ${task.id}`
  if (isRollingBack(service)) {
    const message = `${failureAction === 'rollback' ? 'rollback' : 'update'} paused ${reason}`
    return { updateStatus: { ...counted, state: 'rollback_paused', message } }
  }
  if (failureAction === 'rollback' && service.previousSpec !== undefined) {
    return rollback(service, `update rolled back ${reason}`)
  }
  return { updateStatus: { ...counted, state: 'paused', message: `update paused ${reason}` } }
}

/** Back to the previous spec, for good: there is no way forward again from an automatic rollback. */
function rollback(service: Service, message: string): Patch<Service> {
  const { startedAtMs } = service.updateStatus ?? {}
  return {
    spec: service.previousSpec ?? service.spec,
    specVersion: service.previousSpecVersion ?? service.specVersion,
    registryAuth: service.previousRegistryAuth,
    previousSpec: undefined,
    previousSpecVersion: undefined,
    previousRegistryAuth: undefined,
    updateStatus: {
      state: 'rollback_started',
      ...(startedAtMs === undefined ? {} : { startedAtMs }),
      message,
    },
  }
}
