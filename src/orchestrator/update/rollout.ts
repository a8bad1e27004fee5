import type { Service, Task, UpdateStatus } from '../../model/objects.js'
import type { ServiceSpec } from '../../model/spec/index.js'
import { placeKey } from '../slot.js'
import { isPaused, isRollingBack, isUpdating, statusTimeMs, updateRules } from '../spec.js'
import type { Place } from '../task.js'
import {
  isRunning,
  leavingTasks,
  needOf,
  planSlotUpdate,
  progressOf,
  wasBegun,
  type RolloutSlot,
  type SlotContext,
  type SlotUpdate,
} from './slot-update.js'

export interface RolloutView extends SlotContext {
  readonly tasksOf: (key: string) => readonly Task[]
  readonly nowMs: number
}

export interface RolloutStep {
  readonly updates: readonly SlotUpdate[]
  /** Tasks that begin to wait for their turn to leave a node that is being drained. */
  readonly waitingTaskIds: readonly string[]
  /** To be written to the service. */
  readonly updateStatus?: UpdateStatus
  /** Nothing is left to do. */
  readonly done: boolean
  /** Slots are left that could be updated at once. */
  readonly more: boolean
  readonly recheckAtMs?: number
}

interface Found {
  /** Slots in which nothing runs: they come first. */
  readonly idle: RolloutSlot[]
  readonly running: RolloutSlot[]
  /** Slots that have to be updated, and all that need anything, those under way included. */
  updates: number
  needs: number
}

/** Slots that one step begins with at most: each is two changes or more. */
const maxUpdates = 80

/**
 * How long the drain of a node may get nowhere with a service. After that it stops what is left there, as
 * Docker does from the start.
 */
export const drainPatienceMs = 300_000

/**
 * New tasks for a service, a few slots at a time: because its spec has changed, or because nodes are being
 * drained. Which slots wait, and which are under way. All of it can be read from the tasks, so a new leader
 * goes on where the old one was; this object only saves looking at all of them again for each one that
 * comes up.
 *
 * Behaviour: moby/swarmkit manager/orchestrator/update/updater.go. Different from there: slots that do
 * not run are updated first; and slots leave a node that is being drained in the order and as many at a
 * time as they are updated, update and drain together, where Docker stops them all.
 */
export class Rollout {
  readonly #spec: ServiceSpec
  readonly #rollback: boolean
  readonly #paused: boolean
  /** Slots that had to be updated when this began; 0: some only have to move. */
  #total = 0
  #queue: RolloutSlot[] = []
  readonly #active = new Map<string, Place>()
  /** Active slots that may have come further. */
  readonly #touched = new Set<string>()
  /** Active slots that are done then. */
  readonly #doneAtMs = new Map<string, number>()
  /** When a new task of a slot failed: its worker goes on with another slot. */
  readonly #failedAtMs = new Map<string, number>()
  /** Slots on nodes that are being drained. */
  readonly #leaving = new Map<string, Place>()
  /** Tasks that say already that they wait to leave. */
  readonly #told = new Set<string>()
  /** When a slot was done last while others have to leave. */
  #progressAtMs = 0
  #stableAtMs = 0

  /** Nothing was looked at yet, so what others have begun is not known. */
  #isNew = true
  /** What `look` has found since `beginLook`. */
  #found: Found = { idle: [], running: [], updates: 0, needs: 0 }

  constructor(service: Service) {
    this.#spec = service.spec
    this.#rollback = isRollingBack(service)
    this.#paused = isPaused(service)
  }

  /** Whether this is still the update that the service is in, or what is left of it. */
  matches(service: Service): boolean {
    const isSameWay = isRollingBack(service) === this.#rollback || !isUpdating(service)
    return service.spec === this.#spec && isSameWay && isPaused(service) === this.#paused
  }

  /** Something about the slot has changed. @returns whether that concerns the update. */
  touch(key: string): boolean {
    if (!this.#active.has(key)) return this.#leaving.has(key)
    this.#touched.add(key)
    return true
  }

  /** All slots are going to be looked at anew, some at a time: `look` at them, then `enqueue`. */
  beginLook(): void {
    this.#found = { idle: [], running: [], updates: 0, needs: 0 }
  }

  /** Finds out which of these slots are not up to date or not in their place. */
  look(view: Omit<RolloutView, 'tasksOf'>, slots: readonly RolloutSlot[]): void {
    for (const slot of slots) {
      const key = placeKey(view.service.id, slot.place)
      if (this.#isNew) {
        this.#noteStability(slot.tasks, view)
        if (wasBegun(slot, view)) this.#activate(key, slot.place)
      }
      const need = needOf(slot, view)
      if (need === undefined) continue
      this.#found.needs++
      const leaves = leavingTasks(slot, view).length > 0
      if (leaves) this.#noteLeaving(key, slot.place, view.nowMs)
      if (need === 'update') this.#found.updates++
      if (this.#active.has(key) || (this.#failedAtMs.has(key) && !leaves)) continue
      const { idle, running } = this.#found
      if (slot.tasks.some(isRunning)) running.push(slot)
      else idle.push(slot)
    }
  }

  /** Whether a slot that was looked at needs anything. */
  get isNeeded(): boolean {
    return this.#found.needs > 0
  }

  /** Queues what was found and is not under way. */
  enqueue(service: Service): void {
    const { idle, running, updates } = this.#found
    this.beginLook()
    this.#isNew = false
    if (!isUpdating(service) || this.#total === 0) this.#total = updates
    this.#queue = [...idle, ...running]
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
    const overdue = this.#takeOverdue(view, most)
    for (const slot of overdue) updates.push(planSlotUpdate(slot, view, true))
    while (this.#queue.length > 0 && this.#active.size < limit && updates.length < most) {
      const slot = this.#queue.shift()
      if (slot === undefined) break
      const key = placeKey(service.id, slot.place)
      if (this.#active.has(key)) continue
      const now = { place: slot.place, tasks: view.tasksOf(key) }
      if (needOf(now, view) === undefined || isPausedNode(slot.place, view)) continue
      updates.push(planSlotUpdate(now, view, false))
      this.#activate(key, slot.place)
    }
    // What was only tidied may be done already.
    const tidied = updates.some(({ create }) => create === undefined)
    const more = tidied || overdue.length > 0 || (this.#queue.length > 0 && this.#active.size < limit)
    const waitingTaskIds = this.#tellWaiting(view, most - updates.length)
    if (this.#active.size > 0 || more) {
      const updateStatus = this.#begun(view)
      const recheckAtMs = Math.min(dueMs, this.#overdueAtMs())
      return {
        updates,
        waitingTaskIds,
        done: false,
        more,
        ...(updateStatus === undefined ? {} : { updateStatus }),
        ...(recheckAtMs === Infinity ? {} : { recheckAtMs }),
      }
    }
    // Where a new task failed, the restart policy goes on in its place; who has to leave is still waited for.
    const overdueAtMs = this.#overdueAtMs()
    const leaving = overdueAtMs === Infinity ? { done: true } : { done: false, recheckAtMs: overdueAtMs }
    const nothing = { updates, waitingTaskIds, more: false }
    if (!isUpdating(service)) return { ...nothing, ...leaving }
    const stableAtMs = Math.min(this.#stableAtMs, nowMs + monitorMs)
    if (nowMs < stableAtMs) return { ...nothing, done: false, recheckAtMs: stableAtMs }
    this.#total = 0
    return { ...nothing, ...leaving, updateStatus: completed(service, nowMs) }
  }

  #activate(key: string, place: Place): void {
    this.#active.set(key, place)
    this.#touched.add(key)
  }

  #noteLeaving(key: string, place: Place, nowMs: number): void {
    if (this.#leaving.size === 0) this.#progressAtMs = nowMs
    this.#leaving.set(key, place)
  }

  #overdueAtMs(): number {
    return this.#leaving.size === 0 ? Infinity : this.#progressAtMs + drainPatienceMs
  }

  /** Slots whose tasks are to leave at once, since the drain has come no further for too long. */
  #takeOverdue(view: RolloutView, most: number): readonly RolloutSlot[] {
    const overdue: RolloutSlot[] = []
    const isOver = view.nowMs >= this.#overdueAtMs()
    for (const [key, place] of this.#leaving) {
      const slot = { place, tasks: view.tasksOf(key) }
      if (leavingTasks(slot, view).length === 0) this.#leaving.delete(key)
      else if (isOver && overdue.length < most) {
        overdue.push(slot)
        this.#activate(key, place)
      }
    }
    return overdue
  }

  /** Tasks that have to leave, and have not been told so. */
  #tellWaiting(view: RolloutView, most: number): readonly string[] {
    const ids: string[] = []
    if (this.#leaving.size === 0) return ids
    const queued = this.#queue.map(({ place }) => placeKey(view.service.id, place))
    for (const key of queued) {
      const place = this.#leaving.get(key)
      if (place === undefined) continue
      for (const { id } of leavingTasks({ place, tasks: view.tasksOf(key) }, view)) {
        if (ids.length >= most || this.#told.has(id)) continue
        this.#told.add(id)
        ids.push(id)
      }
    }
    return ids
  }

  /** Lets go of slots that are done; when the next one will be, else Infinity. */
  #settle(view: RolloutView): number {
    for (const [key, doneAtMs] of this.#doneAtMs) if (doneAtMs <= view.nowMs) this.#touched.add(key)
    for (const key of this.#touched) {
      const place = this.#active.get(key)
      if (place !== undefined) this.#settleSlot(key, place, view)
    }
    this.#touched.clear()
    return [...this.#doneAtMs.values()].reduce((a, b) => Math.min(a, b), Infinity)
  }

  #settleSlot(key: string, place: Place, view: RolloutView): void {
    const slot = { place, tasks: view.tasksOf(key) }
    const progress = progressOf(slot, view, this.#failedAtMs.get(key))
    this.#doneAtMs.delete(key)
    if (progress.kind === 'busy') return
    if (progress.kind === 'settling') {
      this.#noteStability(slot.tasks, view)
      if (progress.untilMs > view.nowMs) {
        this.#doneAtMs.set(key, progress.untilMs)
        return
      }
    }
    this.#active.delete(key)
    if (progress.kind === 'dirty') this.#queue.push(slot)
    else this.#progressAtMs = view.nowMs
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
    const rollout = { slots: Math.max(1, this.#total), failures: 0 }
    if (status !== undefined && isUpdating(service)) {
      return status.rollout === undefined ? { ...status, rollout } : undefined
    }
    if (this.#total === 0 || this.#paused) return undefined
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
