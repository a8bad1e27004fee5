import type { Service, Task } from '../../model/objects.js'
import { TaskState } from '../../model/task-state.js'
import type { View } from '../../store/schema.js'
import { newestTask } from '../slot.js'
import { isDead, isLive, restartRules, statusTimeMs } from '../spec.js'

/** Tasks that are kept for each slot where the cluster does not say, the live one included. */
export const defaultHistoryLimit = 5

/** Tasks that the cluster keeps for each slot. Negative: all. */
export function historyLimit({ clusters }: Pick<View, 'clusters'>): number {
  return clusters.list()[0]?.spec.Orchestration?.TaskHistoryRetentionLimit ?? defaultHistoryLimit
}

/** Whether the task's object is to go whatever the history limit. */
export function isRemovable(task: Task): boolean {
  if (task.serviceId === undefined) return task.status.state === TaskState.Orphaned
  return task.desiredState === TaskState.Remove && isOver(task)
}

/** Does not run and never will again. */
export function isOver(task: Task): boolean {
  return isDead(task) || (task.status.state < TaskState.Assigned && !isLive(task))
}

export interface HistoryPlan {
  readonly removeTaskIds: readonly string[]
  /** More could go once tasks that are being stopped have stopped. */
  readonly waits: boolean
}

/**
 * Which tasks of a slot are history of which there is too much. Writes nothing.
 *
 * Behaviour: moby/swarmkit manager/orchestrator/taskreaper. Different from there: the last task of a slot
 * that is not restarted stays, or it would be made again; and so does one that ended before its start was
 * due, until somebody follows on it.
 * @param limit negative: everything is kept.
 */
export function planHistory(service: Service, tasks: readonly Task[], limit: number): HistoryPlan {
  const { maxAttempts } = restartRules(service.spec.TaskTemplate?.RestartPolicy)
  const keep = maxAttempts > 0 && limit >= 0 ? maxAttempts + 1 : limit
  const surplus = tasks.length - keep
  if (keep < 0 || surplus <= 0) return { removeTaskIds: [], waits: false }
  const last = tasks.some(isLive) ? undefined : newestTask(tasks)
  const over = tasks
    .filter((task) => task !== last && isOver(task) && !isLive(task))
    .sort((a, b) => statusTimeMs(a) - statusTimeMs(b) || (a.id < b.id ? -1 : 1))
  return {
    removeTaskIds: over.slice(0, surplus).map(({ id }) => id),
    waits: tasks.filter((task) => !isOver(task)).length > 1,
  }
}
