import type { Node, Service, Task, UpdateStatus } from '../../model/objects.js'
import type { ServiceSpec } from '../../model/spec/index.js'
import { TaskState } from '../../model/task-state.js'
import { fillingTasks, isStopping, placeKey } from '../slot.js'
import { isDead, isLive, isRollingBack, isUpdating, statusTimeMs, updateRules } from '../spec.js'
import type { NewTaskOptions, Place } from '../task.js'
import { isTaskDirty } from './dirty.js'

/** A slot as a rollout sees it. */
export interface RolloutSlot {
  readonly place: Place
  readonly tasks: readonly Task[]
}

export interface RolloutView {
  readonly service: Service
  readonly tasksOf: (key: string) => readonly Task[]
  readonly nodeOf: (id: string) => Node | undefined
  readonly nowMs: number
}

/** What is to be done to one slot so that it is up to date. */
export interface SlotUpdate {
  readonly place: Place
  readonly shutdownTaskIds: readonly string[]
  readonly create?: NewTaskOptions
}

export interface RolloutStep {
  readonly updates: readonly SlotUpdate[]
  /** To be written to the service. */
  readonly updateStatus?: UpdateStatus
  /** Nothing is left to do. */
  readonly done: boolean
  /** Slots are left that could be updated at once. */
  readonly more: boolean
  readonly recheckAtMs?: number
}

type Progress =
  | { readonly kind: 'dirty' | 'busy' | 'done' }
  /** Was updated and counts as under way for its `delay`. */
  | { readonly kind: 'settling'; readonly untilMs: number }

/** Slots that one step begins with at most: each is two changes or more. */
const maxUpdates = 80

/**
 * The update of one service from one spec to another: which slots wait, and which are under way. All of
 * it can be read from the tasks, so a new leader goes on where the old one was; this object only saves
 * looking at all of them again for each one that comes up.
 *
 * Behaviour: moby/swarmkit manager/orchestrator/update/updater.go. Different from there: slots that do
 * not run are updated first.
 */
export class Rollout {
  readonly #spec: ServiceSpec
  readonly #rollback: boolean
  readonly #total: number
  #queue: RolloutSlot[] = []
  readonly #active = new Map<string, Place>()
  /** Active slots that may have come further. */
  readonly #touched = new Set<string>()
  /** Active slots that are done then. */
  readonly #doneAtMs = new Map<string, number>()
  /** When a new task of a slot failed: its worker goes on with another slot. */
  readonly #failedAtMs = new Map<string, number>()
  #stableAtMs = 0

  constructor(view: Omit<RolloutView, 'tasksOf'>, slots: readonly RolloutSlot[]) {
    this.#spec = view.service.spec
    this.#rollback = isRollingBack(view.service)
    for (const slot of slots) {
      this.#noteStability(slot.tasks, view)
      if (wasBegun(slot.tasks, view)) this.#activate(placeKey(view.service.id, slot.place), slot.place)
    }
    this.enqueue(view, slots)
    this.#total = this.#queue.length + this.#active.size
  }

  /** Whether this is still the update that the service is in. */
  matches(service: Service): boolean {
    return service.spec === this.#spec && isRollingBack(service) === this.#rollback
  }

  /** Something about the slot has changed. @returns whether that concerns the update. */
  touch(key: string): boolean {
    if (!this.#active.has(key)) return false
    this.#touched.add(key)
    return true
  }

  /** Queues whatever is not up to date now and not under way. */
  enqueue(view: Omit<RolloutView, 'tasksOf'>, slots: readonly RolloutSlot[]): void {
    const waiting = slots.filter(({ place, tasks }) => {
      if (!isSlotDirty(tasks, view)) return false
      const key = placeKey(view.service.id, place)
      return !this.#active.has(key) && !this.#failedAtMs.has(key)
    })
    const running = (slot: RolloutSlot) => slot.tasks.some(isRunning)
    this.#queue = [...waiting.filter((slot) => !running(slot)), ...waiting.filter(running)]
  }

  /** A new task of the slot failed. */
  noteFailure(key: string, nowMs: number): void {
    if (!this.#failedAtMs.has(key)) this.#failedAtMs.set(key, nowMs)
    this.touch(key)
  }

  /**
   * Goes as far as the settings allow now.
   * @param room new tasks that the transaction has room for.
   */
  advance(view: RolloutView, room: number): RolloutStep {
    const { service, nowMs } = view
    const { parallelism, monitorMs } = updateRules(service)
    const dueMs = this.#settle(view)
    const limit = parallelism === 0 ? Infinity : parallelism
    const most = Math.min(room, maxUpdates)
    const updates: SlotUpdate[] = []
    while (this.#queue.length > 0 && this.#active.size < limit && updates.length < most) {
      const slot = this.#queue.shift()
      if (slot === undefined) break
      const key = placeKey(service.id, slot.place)
      const tasks = view.tasksOf(key)
      if (!isSlotDirty(tasks, view) || isPausedNode(slot.place, view)) continue
      updates.push(planSlotUpdate(slot.place, tasks, view))
      this.#activate(key, slot.place)
    }
    // What was only tidied may be done already.
    const tidied = updates.some(({ create }) => create === undefined)
    const more = tidied || (this.#queue.length > 0 && this.#active.size < limit)
    if (this.#active.size > 0 || more) {
      const updateStatus = this.#begun(view)
      return {
        updates,
        done: false,
        more,
        ...(updateStatus === undefined ? {} : { updateStatus }),
        ...(dueMs === undefined ? {} : { recheckAtMs: dueMs }),
      }
    }
    if (!isUpdating(service)) return { updates, done: true, more: false }
    const stableAtMs = Math.min(this.#stableAtMs, nowMs + monitorMs)
    if (nowMs < stableAtMs) return { updates, done: false, more: false, recheckAtMs: stableAtMs }
    return { updates, done: true, more: false, updateStatus: completed(service, nowMs) }
  }

  #activate(key: string, place: Place): void {
    this.#active.set(key, place)
    this.#touched.add(key)
  }

  /** Lets go of slots that are done; when the next one will be. */
  #settle(view: RolloutView): number | undefined {
    for (const [key, doneAtMs] of this.#doneAtMs) if (doneAtMs <= view.nowMs) this.#touched.add(key)
    for (const key of this.#touched) {
      const place = this.#active.get(key)
      if (place !== undefined) this.#settleSlot(key, place, view)
    }
    this.#touched.clear()
    const due = [...this.#doneAtMs.values()]
    return due.length === 0 ? undefined : due.reduce((a, b) => Math.min(a, b))
  }

  #settleSlot(key: string, place: Place, view: RolloutView): void {
    const tasks = view.tasksOf(key)
    const progress = progressOf(tasks, view, this.#failedAtMs.get(key))
    this.#doneAtMs.delete(key)
    if (progress.kind === 'busy') return
    if (progress.kind === 'settling') {
      this.#noteStability(tasks, view)
      if (progress.untilMs > view.nowMs) {
        this.#doneAtMs.set(key, progress.untilMs)
        return
      }
    }
    this.#active.delete(key)
    if (progress.kind === 'dirty') this.#queue.push({ place, tasks })
  }

  /** New tasks are watched for the monitor period after their start. */
  #noteStability(tasks: readonly Task[], { service }: Pick<RolloutView, 'service'>): void {
    const { monitorMs } = updateRules(service)
    for (const task of tasks) {
      if (task.specVersion !== service.specVersion || !isRunning(task)) continue
      this.#stableAtMs = Math.max(this.#stableAtMs, statusTimeMs(task) + monitorMs)
    }
  }

  #begun({ service, nowMs }: RolloutView): UpdateStatus | undefined {
    const status = service.updateStatus
    const rollout = { slots: this.#total, failures: 0 }
    if (status !== undefined && isUpdating(service)) {
      return status.rollout === undefined ? { ...status, rollout } : undefined
    }
    return { state: 'updating', startedAtMs: nowMs, message: 'update in progress', rollout }
  }
}

function completed(service: Service, nowMs: number): UpdateStatus {
  const startedAtMs = service.updateStatus?.startedAtMs
  const rollback = isRollingBack(service)
  return {
    state: rollback ? 'rollback_completed' : 'completed',
    ...(startedAtMs === undefined ? {} : { startedAtMs }),
    completedAtMs: nowMs,
    message: rollback ? 'rollback completed' : 'update completed',
  }
}

/** A global service leaves the tasks on a paused node as they are. */
function isPausedNode(place: Place, { nodeOf }: RolloutView): boolean {
  return 'nodeId' in place && nodeOf(place.nodeId)?.spec.Availability === 'pause'
}

type SlotContext = Pick<RolloutView, 'service' | 'nodeOf'>

function isRunning(task: Task): boolean {
  return isLive(task) && task.status.state === TaskState.Running
}

function isDirty(task: Task, { service, nodeOf }: SlotContext): boolean {
  return isTaskDirty(service, task, task.nodeId === undefined ? undefined : nodeOf(task.nodeId))
}

/** More than one task that is to run, or one that is not as the spec says. */
export function isSlotDirty(tasks: readonly Task[], view: SlotContext): boolean {
  const filling = fillingTasks(view.service, tasks)
  return filling.length > 1 || filling.some((task) => isDirty(task, view))
}

/** Whether the slot got its new task from an update that somebody else began, and is not done yet. */
function wasBegun(tasks: readonly Task[], view: Omit<RolloutView, 'tasksOf'>): boolean {
  const { service, nowMs } = view
  const isNew = (task: Task) => task.specVersion === service.specVersion
  if (!tasks.some(isNew) || tasks.every(isNew)) return false
  const progress = progressOf(tasks, view, undefined)
  return progress.kind === 'busy' || (progress.kind === 'settling' && progress.untilMs > nowMs)
}

function progressOf(
  tasks: readonly Task[],
  view: Omit<RolloutView, 'tasksOf'>,
  failedAtMs: number | undefined,
): Progress {
  const { delayMs } = updateRules(view.service)
  const filling = fillingTasks(view.service, tasks)
  const updated = filling.find((task) => !isDirty(task, view))
  if (failedAtMs !== undefined) return { kind: 'settling', untilMs: failedAtMs + delayMs }
  if (filling.length === 0) return { kind: 'done' }
  if (updated === undefined) return { kind: 'dirty' }
  if (isDead(updated) && !isLive(updated)) return { kind: 'done' }
  if (updated.status.state !== TaskState.Running) return { kind: 'busy' }
  // No longer than the delay itself, whatever the clocks say.
  return { kind: 'settling', untilMs: Math.min(statusTimeMs(updated), view.nowMs) + delayMs }
}

/** How the update of one slot begins. */
function planSlotUpdate(place: Place, tasks: readonly Task[], view: RolloutView): SlotUpdate {
  const { order } = updateRules(view.service)
  const live = tasks.filter(isLive)
  const updated = live.find((task) => !isDead(task) && !isDirty(task, view))
  if (updated !== undefined) {
    // With start-first the old ones go once it runs.
    const others = order === 'stop-first' || isRunning(updated) ? live.filter((task) => task !== updated) : []
    return { place, shutdownTaskIds: others.map(({ id }) => id) }
  }
  const serving = order === 'start-first' ? live.filter(isRunning) : []
  if (serving.length > 0) {
    // Whoever does not serve, such as the new task of an earlier update, has nothing to wait for.
    const idle = live.filter((task) => !serving.includes(task))
    return {
      place,
      shutdownTaskIds: idle.map(({ id }) => id),
      create: { desiredState: TaskState.Running },
    }
  }
  const waits = live.length > 0 || tasks.some((task) => isStopping(task, view.nodeOf))
  return {
    place,
    shutdownTaskIds: live.map(({ id }) => id),
    create: { desiredState: waits ? TaskState.Ready : TaskState.Running },
  }
}
