import type { Service, Task, TaskRestart } from '../../model/objects.js'
import { TaskState } from '../../model/task-state.js'
import { isDead, restartRules, statusTimeMs } from '../spec.js'

/**
 * Whether a task that has ended, or is about to, is followed by another one.
 *
 * How often its slot was restarted stands in the task itself, so that a new leader knows it as well as
 * the old one did.
 * Behaviour: moby/swarmkit manager/orchestrator/restart/restart.go.
 */
export function shouldRestart(task: Task): boolean {
  const rules = restartRules(task.spec.RestartPolicy)
  if (rules.condition === 'none') return false
  const succeeded = task.status.state === TaskState.Complete
  if (succeeded && (rules.condition === 'on-failure' || task.jobIteration !== undefined)) return false
  if (rules.maxAttempts === 0 || task.restart === undefined) return true
  if (rules.windowMs === 0) return task.restart.attempts < rules.maxAttempts
  const endMs = statusTimeMs(task)
  return withinWindow(task.restart.timesMs ?? [], endMs, rules.windowMs).length < rules.maxAttempts
}

function withinWindow(timesMs: readonly number[], endMs: number, windowMs: number): readonly number[] {
  return timesMs.filter((timeMs) => timeMs > endMs - windowMs && timeMs < endMs)
}

/** A task that ran for so long, or for its restart delay where that is longer, was stable. */
const stableMs = 60_000
const maxBackOffMs = 300_000
/** Restarts after the policy's own delay before the delay begins to grow. */
const patience = 3

export interface NextRestart {
  readonly restart: TaskRestart
  readonly delayMs: number
}

/**
 * What the task that follows on `task` is told, and how long it has to wait. The delay is the policy's;
 * from the fourth failure in a row soon after the start it doubles each time, to five minutes, less
 * up to a tenth, whereas Docker's stays as it is. A delay of 0 stays 0.
 * @param ranMs how long the task was RUNNING; undefined: not known.
 */
export function nextRestart(
  service: Pick<Service, 'spec' | 'specVersion'>,
  task: Task,
  ranMs: number | undefined,
  nowMs: number,
  failedUpdate: boolean,
): NextRestart {
  const rules = restartRules(task.spec.RestartPolicy)
  const sameSpec = task.specVersion === service.specVersion
  const before = sameSpec ? task.restart : undefined
  const ran = ranMs ?? statusTimeMs(task) - task.createdAtMs
  const failed = isDead(task) && task.status.state !== TaskState.Complete
  const quick = failed && ran < Math.max(stableMs, rules.delayMs)
  const quickFailures = quick ? (before?.quickFailures ?? 0) + 1 : 0
  const factor = 2 ** Math.min(Math.max(0, quickFailures - patience), 30)
  const backOffMs = Math.min(rules.delayMs * factor, maxBackOffMs) * (1 - jitter(task.id))
  const delayMs = Math.max(rules.delayMs, Math.round(backOffMs))
  const { windowMs, maxAttempts } = restartRules(service.spec.TaskTemplate?.RestartPolicy)
  const counted = windowMs > 0 && maxAttempts > 0
  const timesMs = counted ? [...(before?.timesMs ?? []).filter((ms) => ms > nowMs - windowMs), nowMs] : []
  return {
    delayMs,
    restart: {
      attempts: (before?.attempts ?? 0) + 1,
      quickFailures,
      ...(counted ? { timesMs } : {}),
      ...(failedUpdate || before?.failedUpdate === true ? { failedUpdate: true } : {}),
    },
  }
}

/** From 0 to 0.1: keeps tasks that failed together from starting together for ever. */
function jitter(id: string): number {
  let sum = 0
  for (const char of id) sum = (sum * 31 + char.charCodeAt(0)) % 101
  return sum / 1000
}

/** A task that was moved, not ended: its successor inherits its past, and waits only as long as it had to. */
export function movedRestart(
  service: Pick<Service, 'specVersion'>,
  task: Task,
): Pick<Task, 'restart' | 'notBeforeMs'> {
  const sameSpec = task.specVersion === service.specVersion
  return {
    ...(sameSpec && task.restart !== undefined ? { restart: task.restart } : {}),
    ...(task.notBeforeMs === undefined ? {} : { notBeforeMs: task.notBeforeMs }),
  }
}
