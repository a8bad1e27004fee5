import { nanosPerMs } from '../../model/duration.js'
import type { Node, Service, Task } from '../../model/objects.js'
import { TaskState } from '../../model/task-state.js'
import { isInvalidNode } from '../node.js'
import { endedByItself, fillingTasks, isLeaving, isStopping, newestTask } from '../slot.js'
import { isDead, isLive, isPaused, isUpdating } from '../spec.js'
import type { NewTaskOptions } from '../task.js'
import { isTaskDirty } from '../update/dirty.js'
import { isInTheWay } from '../update/in-the-way.js'
import { movedRestart, nextRestart, shouldRestart } from './policy.js'

export interface SlotView {
  readonly service: Service
  /** All tasks of the slot. */
  readonly tasks: readonly Task[]
  readonly nodeOf: (id: string) => Node | undefined
  /** All tasks of a node. */
  readonly tasksOn: (nodeId: string) => readonly Task[]
  readonly nowMs: number
  /** How long a task was RUNNING before it ended; undefined: not known. */
  readonly ranMs: (task: Task) => number | undefined
  /** Tasks that have just been counted as failures of the update. */
  readonly failedUpdate: ReadonlySet<string>
}

export interface SlotPlan {
  readonly shutdownTaskIds: readonly string[]
  readonly promoteTaskIds: readonly string[]
  /** A new task with the service's present spec. */
  readonly replacement?: NewTaskOptions
  /** When to look again, even if nothing changes. */
  readonly recheckAtMs?: number
  /** Tasks among those to be stopped that leave no room for their successor beside them. */
  readonly inTheWay: readonly Task[]
  /** Tasks that waited to leave a node which is not being drained any more. */
  readonly stayingTaskIds: readonly string[]
  /** Nobody fills the slot: whether it still needs somebody is for the whole service to decide. */
  readonly empty: boolean
}

/** How long a task waits for the one before it to stop: a minute, or what that one may take. */
const oldTaskTimeoutMs = 60_000
const stopMarginMs = 10_000

/**
 * What one slot needs: tasks that ended or lost their node are replaced; those that wait for a delay or
 * for their predecessor start when they may; a new task that runs sends the old one away. Writes nothing.
 *
 * Behaviour: moby/swarmkit manager/orchestrator/restart/restart.go. Different from there: one slot never
 * gets two replacements, whoever is lost with a node is replaced whatever the restart policy says, a
 * successor waits at least for the old task's grace period, and who serves on a node that is being drained
 * stays until its slot is moved (see `Rollout`).
 */
export function planSlot(view: SlotView): SlotPlan {
  const { tasks, nowMs } = view
  const live = tasks.filter(isLive)
  const due: number[] = []
  const ended: Task[] = []
  for (const task of live) {
    if (!isDead(task) && (!isOnInvalidNode(task, view) || isLeaving(task, view.nodeOf))) continue
    // It ended before its start was due: who follows waits from then on. Stops tight loops.
    const waitsMs = isDead(task) ? remainingMs(task, task.notBeforeMs, nowMs) : 0
    if (waitsMs > 0) due.push(nowMs + waitsMs)
    else ended.push(task)
  }
  const left = live.filter((task) => !ended.includes(task))
  const replacement = replacementFor(ended, left, view)
  const winner = left.find((task) => !isDead(task) && isSettled(task, view))
  const superseded = winner === undefined ? [] : left.filter((task) => task !== winner && !isDead(task))
  const inTheWay = winner === undefined ? tasksInTheWay(left, view) : []
  const promoted: string[] = []
  for (const task of left) {
    if (task.desiredState !== TaskState.Ready || isDead(task) || superseded.includes(task)) continue
    const waitsMs = promotionDelayMs(task, view)
    if (waitsMs > 0) due.push(nowMs + waitsMs)
    else promoted.push(task.id)
  }
  return {
    inTheWay,
    stayingTaskIds: left.filter((task) => isStaying(task, view)).map(({ id }) => id),
    shutdownTaskIds: [...ended, ...superseded, ...inTheWay].map(({ id }) => id),
    promoteTaskIds: promoted,
    ...(replacement === undefined ? {} : { replacement }),
    ...(due.length === 0 ? {} : { recheckAtMs: Math.min(...due) }),
    empty: left.length === 0 && replacement === undefined && !staysFilled(ended, view),
  }
}

/** Whether the slot counts as filled once the tasks that ended are told to stay so. */
function staysFilled(ended: readonly Task[], { service, tasks }: SlotView): boolean {
  const after = tasks.map((task) =>
    ended.includes(task) ? { ...task, desiredState: TaskState.Shutdown } : task,
  )
  return fillingTasks(service, after).length > 0
}

function isOnInvalidNode(task: Task, { nodeOf }: SlotView): boolean {
  return task.nodeId !== undefined && isInvalidNode(nodeOf(task.nodeId))
}

/** Runs, is up to date, and so makes every other task of the slot superfluous. */
function isSettled(task: Task, view: SlotView): boolean {
  if (task.status.state !== TaskState.Running || task.desiredState !== TaskState.Running) return false
  return !isLeaving(task, view.nodeOf) && !isDirtyTask(task, view)
}

/** What a task says that runs on a node which is being drained, until its slot is moved. */
export const waitsToLeave = 'waits to be moved off its node, which is being drained'

function isStaying(task: Task, { nodeOf }: SlotView): boolean {
  return task.status.message === waitsToLeave && !isDead(task) && !isLeaving(task, nodeOf)
}

/** With start-first, old tasks whose successor finds no other place than theirs. */
function tasksInTheWay(left: readonly Task[], view: SlotView): readonly Task[] {
  const { service, nodeOf, tasksOn } = view
  if (left.length < 2 || !isUpdating(service)) return []
  const wanted = left.find((task) => task.status.state === TaskState.Pending && !isDirtyTask(task, view))
  if (wanted === undefined) return []
  return left.filter(
    (task) =>
      task !== wanted &&
      task.nodeId !== undefined &&
      isInTheWay(task, wanted, nodeOf(task.nodeId), tasksOn(task.nodeId)),
  )
}

function isDirtyTask(task: Task, { service, nodeOf }: SlotView): boolean {
  return isTaskDirty(service, task, task.nodeId === undefined ? undefined : nodeOf(task.nodeId))
}

function replacementFor(
  ended: readonly Task[],
  left: readonly Task[],
  view: SlotView,
): NewTaskOptions | undefined {
  const last = newestTask(ended)
  if (last === undefined) return undefined
  const { service, nowMs } = view
  const upToDate = left.some((task) => !isLeaving(task, view.nodeOf) && !isDirtyTask(task, view))
  // With an old task that still serves, nothing new is tried while the update is paused.
  if (upToDate || (left.length > 0 && isPaused(service))) return undefined
  const desiredState = TaskState.Ready
  if (!endedByItself(last)) return { desiredState, ...movedRestart(service, last) }
  if (!shouldRestart(last)) return undefined
  const next = nextRestart(service, last, view.ranMs(last), nowMs, view.failedUpdate.has(last.id))
  return { desiredState, restart: next.restart, notBeforeMs: nowMs + next.delayMs }
}

/** Whether a restart delay of the task is over. */
export function isDue(task: Task, nowMs: number): boolean {
  return remainingMs(task, task.notBeforeMs, nowMs) === 0
}

/**
 * How long a task with desired state READY has to wait yet, for its delay or for tasks of its slot that
 * are being stopped. 0: it may start.
 */
export function promotionDelayMs(
  task: Task,
  { tasks, nowMs, nodeOf }: Pick<SlotView, 'tasks' | 'nowMs' | 'nodeOf'>,
): number {
  const waits = tasks
    .filter((other) => isStopping(other, nodeOf))
    .map((other) => remainingMs(task, task.createdAtMs + stopTimeoutMs(other), nowMs))
  return Math.max(remainingMs(task, task.notBeforeMs, nowMs), ...waits)
}

function stopTimeoutMs(task: Task): number {
  const graceMs = (task.spec.ContainerSpec?.StopGracePeriod ?? 0) / nanosPerMs
  return Math.max(oldTaskTimeoutMs, graceMs + stopMarginMs)
}

/** Time until `atMs`, but never more than it was when the task was made: wall clocks jump. */
function remainingMs(task: Task, atMs: number | undefined, nowMs: number): number {
  if (atMs === undefined) return 0
  return Math.max(0, Math.min(atMs - nowMs, atMs - task.createdAtMs))
}
