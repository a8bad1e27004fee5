import type { Node, Service, Task } from '../../model/objects.js'
import { TaskState } from '../../model/task-state.js'
import { movedRestart } from '../restart/policy.js'
import { fillingTasks, isDrained, isLeaving, isStopping } from '../slot.js'
import { isDead, isLive, isPaused, isUpdating, statusTimeMs, updateRules } from '../spec.js'
import type { NewTaskOptions, Place } from '../task.js'
import { isTaskDirty } from './dirty.js'

/** A slot as a rollout sees it. */
export interface RolloutSlot {
  readonly place: Place
  readonly tasks: readonly Task[]
}

export interface SlotContext {
  readonly service: Service
  readonly nodeOf: (id: string) => Node | undefined
}

interface TimedContext extends SlotContext {
  readonly nowMs: number
}

/** What is to be done to one slot so that it is up to date, or off a node that is being drained. */
export interface SlotUpdate {
  readonly place: Place
  readonly shutdownTaskIds: readonly string[]
  readonly create?: NewTaskOptions
}

export type Progress =
  | { readonly kind: 'dirty' | 'busy' | 'done' }
  /** Was updated and counts as under way for its `delay`. */
  | { readonly kind: 'settling'; readonly untilMs: number }

/** A task that is to run and does. */
export function isRunning(task: Task): boolean {
  return isLive(task) && task.status.state === TaskState.Running
}

function isDirty(task: Task, { service, nodeOf }: SlotContext): boolean {
  return isTaskDirty(service, task, task.nodeId === undefined ? undefined : nodeOf(task.nodeId))
}

/** Global services have no other place for their tasks: a drain stops those at once. */
function leaves(place: Place, task: Task, { nodeOf }: SlotContext): boolean {
  return 'slot' in place && isLeaving(task, nodeOf)
}

/** The tasks of a slot that wait for a successor on another node, since theirs is being drained. */
export function leavingTasks({ place, tasks }: RolloutSlot, { nodeOf }: SlotContext): readonly Task[] {
  return 'slot' in place ? tasks.filter((task) => isDrained(task, nodeOf)) : []
}

/**
 * Why a slot needs a new task: `update` where it has more than one task that is to run, or one that is
 * not as the spec says; `move` where that is as it should be, but its node is being drained. While the
 * update is paused, only slots that have to leave are worked on.
 */
export function needOf(slot: RolloutSlot, context: SlotContext): 'update' | 'move' | undefined {
  const { service } = context
  const filling = fillingTasks(service, slot.tasks)
  const mustLeave = filling.some((task) => leaves(slot.place, task, context))
  if (isPaused(service) && !mustLeave) return undefined
  if (filling.some((task) => isDirty(task, context))) return 'update'
  if (mustLeave) return 'move'
  return filling.length > 1 ? 'update' : undefined
}

/** Whether the slot got its new task from somebody who began its update or move, and is not done yet. */
export function wasBegun(slot: RolloutSlot, context: TimedContext): boolean {
  const { service, nowMs, nodeOf } = context
  const isNew = (task: Task) => task.specVersion === service.specVersion
  const isUpdated = slot.tasks.some(isNew) && !slot.tasks.every(isNew)
  const isMoved = slot.tasks.some(
    (task) => isLeaving(task, nodeOf) || (task.nodeId !== undefined && isStoppedByDrain(task, nodeOf)),
  )
  if (!isUpdated && !isMoved) return false
  const progress = progressOf(slot, context, undefined)
  return progress.kind === 'busy' || (progress.kind === 'settling' && progress.untilMs > nowMs)
}

/** Had to go, and its node is still being drained. */
function isStoppedByDrain(task: Task, nodeOf: SlotContext['nodeOf']): boolean {
  const stopped = isStopping(task, nodeOf) || task.status.state === TaskState.Shutdown
  return stopped && nodeOf(task.nodeId ?? '')?.spec.Availability === 'drain'
}

/** How far the update or move of a slot is. */
export function progressOf(
  { place, tasks }: RolloutSlot,
  context: TimedContext,
  failedAtMs: number | undefined,
): Progress {
  const { service, nowMs } = context
  // The delay is one between updates: who drains a node waits for it.
  const delayMs = isUpdating(service) ? updateRules(service).delayMs : 0
  const filling = fillingTasks(service, tasks)
  const updated = filling.find((task) => !isDirty(task, context) && !leaves(place, task, context))
  if (failedAtMs !== undefined) return { kind: 'settling', untilMs: failedAtMs + delayMs }
  if (filling.length === 0) return { kind: 'done' }
  if (updated === undefined) return { kind: 'dirty' }
  if (isDead(updated) && !isLive(updated)) return { kind: 'done' }
  if (updated.status.state !== TaskState.Running) return { kind: 'busy' }
  // No longer than the delay itself, whatever the clocks say.
  return { kind: 'settling', untilMs: Math.min(statusTimeMs(updated), nowMs) + delayMs }
}

/**
 * How the update or the move of one slot begins.
 * @param atOnce whoever has to leave is stopped first, whatever the order.
 */
export function planSlotUpdate(
  { place, tasks }: RolloutSlot,
  context: SlotContext,
  atOnce: boolean,
): SlotUpdate {
  const { service, nodeOf } = context
  const live = tasks.filter(isLive)
  const isGood = (task: Task) => !isDirty(task, context)
  const moved = live.find((task) => isGood(task) && leaves(place, task, context))
  // Nobody has to go who is only better off elsewhere.
  const moveTo = moved === undefined || isDrained(moved, nodeOf) ? undefined : moved.moveTo
  const usual = atOnce ? 'stop-first' : updateRules(service).order
  const order = moveTo === undefined ? usual : 'start-first'
  const updated = live.find((task) => !isDead(task) && isGood(task) && !leaves(place, task, context))
  if (updated !== undefined) {
    // With start-first the old ones go once it runs.
    const others = order === 'stop-first' || isRunning(updated) ? live.filter((task) => task !== updated) : []
    return { place, shutdownTaskIds: others.map(({ id }) => id) }
  }
  const past = {
    ...(moved !== undefined && movedRestart(service, moved)),
    ...(moveTo !== undefined && { nodeId: moveTo.nodeId }),
  }
  const serving = order === 'start-first' ? live.filter(isRunning) : []
  if (serving.length > 0) {
    // Whoever does not serve, such as the new task of an earlier update, has nothing to wait for.
    const idle = live.filter((task) => !serving.includes(task))
    return {
      place,
      shutdownTaskIds: idle.map(({ id }) => id),
      create: { ...past, desiredState: TaskState.Running },
    }
  }
  const waits = live.length > 0 || tasks.some((task) => isStopping(task, nodeOf))
  return {
    place,
    shutdownTaskIds: live.map(({ id }) => id),
    create: { ...past, desiredState: waits ? TaskState.Ready : TaskState.Running },
  }
}
