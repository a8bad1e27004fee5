import type { Node, Service, Task } from '../model/objects.js'
import { TaskState } from '../model/task-state.js'
import type { Change } from '../store/apply.js'
import { slotKey, type View } from '../store/schema.js'
import { isDraining, isInvalidNode, isLostNode, mayChangeEligibility } from './node.js'
import { placeKey, placeOf } from './slot.js'
import { isDead, isLive, isPaused, isUpdating, modeOf } from './spec.js'
import type { Place } from './task.js'
import type { Rollout } from './update/rollout.js'

export interface SlotRef {
  readonly serviceId: string
  readonly place: Place
}

/** What commits have given the service loop to look at. Nothing is decided here. */
export class Marks {
  /** Services, by ID, to be planned as a whole. */
  readonly services = new Set<string>()
  /** Slots by key. */
  readonly slots = new Map<string, SlotRef>()
  /** Services, by ID, whose update may go on. */
  readonly rollouts = new Set<string>()
  readonly #view: View
  readonly #underWay: ReadonlyMap<string, Rollout>
  readonly #globalServices = new Set<string>()
  /** How long tasks were RUNNING whose end nobody has dealt with yet, in ms. */
  readonly #ranMs = new Map<string, number>()

  /** @param view what is committed. @param underWay updates by service ID. */
  constructor(view: View, underWay: ReadonlyMap<string, Rollout>) {
    this.#view = view
    this.#underWay = underWay
  }

  get isEmpty(): boolean {
    return this.services.size + this.slots.size + this.rollouts.size === 0
  }

  markSlot(ref: SlotRef): void {
    this.slots.set(placeKey(ref.serviceId, ref.place), ref)
  }

  takeSlot(key: string): SlotRef | undefined {
    const ref = this.slots.get(key)
    this.slots.delete(key)
    return ref
  }

  /** How long a task was RUNNING before it ended; undefined: it was not, or nobody saw it. */
  ranMs(task: Task): number | undefined {
    const noted = this.#ranMs.get(task.id)
    if (noted !== undefined) return noted
    // Its end is still in flight.
    const committed = this.#view.tasks.get(task.id)
    return committed?.status.state === TaskState.Running ? ranFor(committed, task) : undefined
  }

  forgetRun(taskId: string): void {
    this.#ranMs.delete(taskId)
  }

  note(change: Change): void {
    switch (change.table) {
      case 'services':
        this.noteService(change.id, change.before, change.after)
        return
      case 'tasks':
        this.#noteTask(change.before, change.after)
        return
      case 'nodes':
        this.#noteNode(change.id, change.before, change.after)
        return
      default:
    }
  }

  noteService(id: string, before: Service | undefined, after: Service | undefined): void {
    if (after === undefined) {
      this.#globalServices.delete(id)
      this.services.add(id)
      return
    }
    if (modeOf(after.spec) === 'global') this.#globalServices.add(id)
    const specChanged = before?.spec !== after.spec || before.specVersion !== after.specVersion
    const begun = isUpdating(after) && this.#underWay.get(id)?.matches(after) !== true
    const cleared = after.updateStatus === undefined && before?.updateStatus !== undefined
    // What is being moved off a node goes on while the update does not.
    const paused = isPaused(after) && before !== undefined && !isPaused(before)
    if (specChanged || begun || cleared || paused) this.services.add(id)
  }

  #noteTask(before: Task | undefined, after: Task | undefined): void {
    const serviceId = (after ?? before)?.serviceId
    if (serviceId === undefined) return
    if (after === undefined) {
      if (before !== undefined) this.#noteRemoved(before, serviceId)
    } else if (before === undefined) {
      if (after.desiredState === TaskState.Ready || this.#isOnInvalidNode(after)) this.#markSlotOf(after)
    } else {
      if (isDead(after) && before.status.state === TaskState.Running && isLive(after)) {
        this.#ranMs.set(after.id, ranFor(before, after))
      }
      if (this.#concernsSlot(before, after, serviceId)) this.#markSlotOf(after)
      // Its slot is moved when its service has room for that, or stays after all.
      if (before.moveTo !== after.moveTo) {
        if (after.moveTo === undefined) this.#markSlotOf(after)
        else this.services.add(serviceId)
      }
    }
  }

  #noteRemoved(task: Task, serviceId: string): void {
    this.forgetRun(task.id)
    if (isLive(task)) this.services.add(serviceId)
    // Who follows in its slot need not wait for it any more.
    else if (!isDead(task)) this.#markSlotOf(task)
  }

  #concernsSlot(before: Task, after: Task, serviceId: string): boolean {
    if (isDead(after) !== isDead(before)) return true
    if (isLive(before) && !isLive(after)) return after.desiredState < TaskState.Remove
    if (before.nodeId !== after.nodeId && this.#isOnInvalidNode(after)) return true
    const { state, err } = after.status
    if (state === TaskState.Running && before.status.state !== state) {
      return this.#underWay.has(serviceId) || this.#hasCompany(after)
    }
    // With start-first, its predecessor may be what keeps it from every node.
    return state === TaskState.Pending && before.status.err !== err && this.#underWay.has(serviceId)
  }

  #noteNode(id: string, before: Node | undefined, after: Node | undefined): void {
    const becameInvalid = isInvalidNode(after) && (before === undefined || !isInvalidNode(before))
    const drains = isDraining(after)
    if (becameInvalid || isLostNode(after) !== isLostNode(before) || drains !== isDraining(before)) {
      for (const task of this.#view.tasks.by('node', id)) {
        if (isLive(task) || !isDead(task)) this.#markSlotOf(task)
        // Its slot is moved when its service has room for that.
        if (drains && isLive(task) && task.serviceId !== undefined) this.services.add(task.serviceId)
      }
    }
    if (!mayChangeEligibility(before, after)) return
    const resumed = before?.spec.Availability === 'pause' && after?.spec.Availability !== 'pause'
    for (const serviceId of this.#globalServices) {
      this.markSlot({ serviceId, place: { nodeId: id } })
      if (resumed) this.services.add(serviceId)
    }
  }

  #isOnInvalidNode({ nodeId }: Task): boolean {
    return nodeId !== undefined && isInvalidNode(this.#view.nodes.get(nodeId))
  }

  #hasCompany(task: Task): boolean {
    return this.#view.tasks.by('slot', slotKey(task) ?? '').length > 1
  }

  #markSlotOf(task: Task): void {
    if (task.serviceId !== undefined) this.markSlot({ serviceId: task.serviceId, place: placeOf(task) })
  }
}

/** Both times are the node's own. */
function ranFor(running: Task, ended: Task): number {
  return ended.status.timestampMs - running.status.timestampMs
}
