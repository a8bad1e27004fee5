import { isDeepStrictEqual } from 'node:util'
import type { Task, TaskStatus } from '../model/objects.js'

/**
 * The status that `task` gets by a report of its node, or undefined when it brings nothing: states never
 * go back, and the same again is no news. Why the cluster stopped the task stays its error, unless the node
 * has one of its own.
 * Behaviour: moby/swarmkit manager/dispatcher/dispatcher.go, processUpdates.
 */
export function reportedStatus(
  task: Task,
  reported: TaskStatus,
  applied: { readonly atMs: number; readonly by: string },
): TaskStatus | undefined {
  if (reported.state < task.status.state) return undefined
  const { state, timestampMs, message, err, container, ports } = reported
  const why = err === undefined || err === '' ? task.stopReason : err
  const status: TaskStatus = {
    state,
    timestampMs,
    message,
    ...(why === undefined ? {} : { err: why }),
    ...(container === undefined ? {} : { container }),
    ...(ports === undefined || ports.length === 0 ? {} : { ports }),
  }
  const { appliedAtMs: _at, appliedBy: _by, ...known } = task.status
  if (state === known.state && isDeepStrictEqual(known, status)) return undefined
  return { ...status, appliedAtMs: applied.atMs, appliedBy: applied.by }
}
