import type { Env } from '../env/env.js'
import type { Node, Service, Task } from '../model/objects.js'
import { TaskState } from '../model/task-state.js'
import type { Change } from '../store/apply.js'
import type { Loop, LoopFactory } from '../store/loop.js'
import { slotKey, type View } from '../store/schema.js'
import type { Commit, Store } from '../store/store.js'
import type { Tx } from '../store/transaction.js'
import { planGlobalSlot, type GlobalPlan } from './global/plan.js'
import { isInvalidNode, isLostNode, mayChangeEligibility } from './node.js'
import { planReplicated } from './replicated/plan.js'
import { isDue, planSlot, type SlotView } from './restart/plan-slot.js'
import { fillingTasks, groupByNode, isStopping, placeKey, placeOf } from './slot.js'
import { isDead, isJob, isLive, isPaused, isRollingBack, isUpdating, modeOf } from './spec.js'
import type { Place } from './task.js'
import { KeyedTimers } from './timers.js'
import { afterUpdateFailure, isUpdateFailure } from './update/failure.js'
import { isSlotDirty, Rollout, type RolloutSlot } from './update/rollout.js'
import { TaskWriter } from './write.js'
import { Work } from './work.js'

interface SlotRef {
  readonly serviceId: string
  readonly place: Place
}

/** Changes that one transaction holds, more or less. */
const changesPerTransaction = 200
const slotsPerTransaction = 50
const tasksPerSlice = 1000

/**
 * Keeps replicated and global services as their specs say: number of tasks, restarts, updates.
 *
 * Commits mark services, slots and rollouts as dirty; a tick looks at each of them once, on the newest
 * state, and writes. See DESIGN.md.
 */
class ServiceLoop implements Loop {
  readonly name = 'service orchestrator'
  readonly #env: Env
  readonly #store: Store
  readonly #wake: () => void
  readonly #timers: KeyedTimers
  readonly #dirtyServices = new Set<string>()
  readonly #dirtySlots = new Map<string, SlotRef>()
  readonly #dirtyRollouts = new Set<string>()
  readonly #rollouts = new Map<string, Rollout>()
  readonly #globalServices = new Set<string>()
  /** How long tasks were RUNNING whose end nobody has dealt with yet, in ms. */
  readonly #ranMs = new Map<string, number>()
  /** Tasks that were there at the start and have yet to be looked at. */
  #unscanned: readonly Task[] = []

  constructor(env: Env, store: Store, wake: () => void) {
    this.#env = env
    this.#store = store
    this.#wake = wake
    this.#timers = new KeyedTimers(env)
  }

  start(view: View): void {
    for (const service of view.services.list()) {
      if (modeOf(service.spec) === 'global') this.#globalServices.add(service.id)
      this.#dirtyServices.add(service.id)
    }
    this.#unscanned = view.tasks.list()
  }

  stop(): void {
    this.#timers.clearAll()
  }

  onCommit({ changes }: Commit): void {
    for (const change of changes) this.#note(change)
  }

  async tick(signal: AbortSignal): Promise<void> {
    const work = new Work(this.#store, signal)
    await this.#scan(work)
    while (work.mayGoOn && this.#isDirty()) {
      await this.#reconcileServices(work)
      await this.#reconcileSlots(work)
      await this.#advanceRollouts(work)
    }
    await work.end()
  }

  #isDirty(): boolean {
    return this.#dirtyServices.size + this.#dirtySlots.size + this.#dirtyRollouts.size > 0
  }

  // What commits mean. Nothing is decided here.

  #note(change: Change): void {
    switch (change.table) {
      case 'services':
        this.#noteService(change.id, change.before, change.after)
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

  #noteService(id: string, before: Service | undefined, after: Service | undefined): void {
    if (after === undefined) {
      this.#globalServices.delete(id)
      this.#rollouts.delete(id)
      this.#dirtyServices.add(id)
      return
    }
    if (modeOf(after.spec) === 'global') this.#globalServices.add(id)
    const specChanged = before?.spec !== after.spec || before.specVersion !== after.specVersion
    const begun = isUpdating(after) && this.#rollouts.get(id)?.matches(after) !== true
    if (specChanged || begun || (after.updateStatus === undefined && before.updateStatus !== undefined)) {
      this.#dirtyServices.add(id)
    }
  }

  #noteTask(before: Task | undefined, after: Task | undefined): void {
    const task = after ?? before
    const serviceId = task?.serviceId
    if (task === undefined || serviceId === undefined) return
    if (after === undefined) {
      this.#ranMs.delete(task.id)
      if (isLive(task)) this.#dirtyServices.add(serviceId)
      else if (!isDead(task)) this.#markSlotOf(task)
      return
    }
    if (before === undefined) {
      if (after.desiredState === TaskState.Ready || this.#isOnInvalidNode(after)) this.#markSlotOf(after)
      return
    }
    if (isDead(after) && !isDead(before)) {
      if (before.status.state === TaskState.Running && isLive(after)) {
        this.#ranMs.set(after.id, after.status.timestampMs - before.status.timestampMs)
      }
      this.#markSlotOf(after)
    } else if (isLive(before) && !isLive(after) && after.desiredState < TaskState.Remove) {
      this.#markSlotOf(after)
    } else if (before.status.state !== after.status.state && after.status.state === TaskState.Running) {
      if (this.#rollouts.has(serviceId) || this.#hasCompany(after)) this.#markSlotOf(after)
    } else if (before.status.err !== after.status.err && after.status.state === TaskState.Pending) {
      if (this.#rollouts.has(serviceId)) this.#markSlotOf(after)
    } else if (before.nodeId !== after.nodeId && this.#isOnInvalidNode(after)) {
      this.#markSlotOf(after)
    }
  }

  #noteNode(id: string, before: Node | undefined, after: Node | undefined): void {
    const lost = isInvalidNode(after) && !(before !== undefined && isInvalidNode(before))
    if (lost || isLostNode(after) !== isLostNode(before)) {
      for (const task of this.#store.view.tasks.by('node', id)) {
        if (isLive(task) || !isDead(task)) this.#markSlotOf(task)
      }
    }
    if (!mayChangeEligibility(before, after)) return
    const resumed = before?.spec.Availability === 'pause' && after?.spec.Availability !== 'pause'
    for (const serviceId of this.#globalServices) {
      this.#markSlot({ serviceId, place: { nodeId: id } })
      if (resumed) this.#dirtyServices.add(serviceId)
    }
  }

  #isOnInvalidNode({ nodeId }: Task): boolean {
    return nodeId !== undefined && isInvalidNode(this.#store.view.nodes.get(nodeId))
  }

  #hasCompany(task: Task): boolean {
    return this.#store.view.tasks.by('slot', slotKey(task) ?? '').length > 1
  }

  #markSlotOf(task: Task): void {
    if (task.serviceId !== undefined) this.#markSlot({ serviceId: task.serviceId, place: placeOf(task) })
  }

  #markSlot(ref: SlotRef): void {
    this.#dirtySlots.set(placeKey(ref.serviceId, ref.place), ref)
  }

  /** Finds what a former leader left: tasks of services that are gone. */
  async #scan(work: Work): Promise<void> {
    while (this.#unscanned.length > 0 && work.mayGoOn) {
      for (const { serviceId } of this.#unscanned.slice(0, tasksPerSlice)) {
        if (serviceId === undefined || this.#store.view.services.get(serviceId) !== undefined) continue
        this.#dirtyServices.add(serviceId)
      }
      this.#unscanned = this.#unscanned.slice(tasksPerSlice)
      await work.breathe(tasksPerSlice)
    }
  }

  async #reconcileServices(work: Work): Promise<void> {
    for (const id of [...this.#dirtyServices].sort()) {
      if (!work.mayGoOn) return
      if (!this.#dirtyServices.delete(id)) continue
      await this.#reconcileService(work, id)
    }
  }

  async #reconcileService(work: Work, id: string): Promise<void> {
    const redo = () => this.#dirtyServices.add(id)
    let todo: readonly ((tx: Tx, write: TaskWriter) => void)[] = []
    let cost = 0
    work.update((tx) => {
      const tasks = tx.tasks.by('service', id)
      cost = tasks.length
      todo = this.#planService(tx, id, tasks)
    }, redo)
    while (todo.length > 0 && work.mayGoOn) {
      const chunk = todo.slice(0, changesPerTransaction)
      todo = todo.slice(changesPerTransaction)
      work.update((tx) => {
        const write = new TaskWriter(this.#env, tx)
        for (const step of chunk) step(tx, write)
      }, redo)
      await work.breathe(cost + chunk.length)
      cost = 0
    }
    await work.breathe(cost)
    // Cut short: the rest is planned anew.
    if (todo.length > 0) redo()
  }

  /** Steps that check for themselves that they are still wanted: each may run a turn later. */
  #planService(tx: Tx, id: string, tasks: readonly Task[]): ((tx: Tx, write: TaskWriter) => void)[] {
    const service = tx.services.get(id)
    if (service === undefined) {
      const left = tasks.filter((task) => task.desiredState < TaskState.Remove)
      return left.map((task) => (_, write) => write.raise([task.id], TaskState.Remove))
    }
    switch (modeOf(service.spec)) {
      case 'replicated':
        return this.#planReplicated(tx, service, tasks)
      case 'global':
        this.#planGlobal(tx, service, tasks)
        return []
      default:
        return []
    }
  }

  #planReplicated(tx: Tx, service: Service, tasks: readonly Task[]) {
    const plan = planReplicated(service, tasks)
    for (const { slot, filling } of plan.slots) {
      if (needsAttention(filling, tx)) this.#markSlot({ serviceId: service.id, place: { slot } })
    }
    const slots = plan.slots.map(({ slot, tasks }) => ({ place: { slot }, tasks }))
    this.#planRollout(tx, service, slots)
    const isCurrent = (now: Tx) => now.services.get(service.id)?.spec === service.spec
    return [
      ...plan.removeTaskIds.map((taskId) => (now: Tx, write: TaskWriter) => {
        if (isCurrent(now)) write.raise([taskId], TaskState.Remove)
      }),
      ...plan.createSlots.map((slot) => (now: Tx, write: TaskWriter) => {
        if (isCurrent(now)) fillSlot(now, write, service.id, { slot })
      }),
    ]
  }

  #planGlobal(tx: Tx, service: Service, tasks: readonly Task[]): void {
    const serviceId = service.id
    for (const node of tx.nodes.list()) this.#markSlot({ serviceId, place: { nodeId: node.id } })
    const slots: RolloutSlot[] = []
    for (const [nodeId, slotTasks] of groupByNode(tasks)) {
      const place = { nodeId }
      this.#markSlot({ serviceId, place })
      if (fillingTasks(service, slotTasks).length > 0) slots.push({ place, tasks: slotTasks })
    }
    this.#planRollout(tx, service, slots)
  }

  /** Finds out whether the service has to be updated, or an update under way has changed. */
  #planRollout(tx: Tx, service: Service, slots: readonly RolloutSlot[]): void {
    const view = this.#viewOf(tx, service)
    const rollout = this.#rollouts.get(service.id)
    if (isPaused(service)) {
      this.#rollouts.delete(service.id)
      return
    }
    if (rollout?.matches(service) === true) rollout.enqueue(view, slots)
    else if (isUpdating(service) || slots.some(({ tasks }) => isSlotDirty(tasks, view))) {
      this.#rollouts.set(service.id, new Rollout(view, slots))
    } else {
      this.#rollouts.delete(service.id)
      return
    }
    this.#dirtyRollouts.add(service.id)
  }

  #viewOf(tx: Tx, service: Service) {
    return { service, nodeOf: (id: string) => tx.nodes.get(id), nowMs: tx.nowMs }
  }

  async #reconcileSlots(work: Work): Promise<void> {
    // In the order of the commits that marked them.
    const keys = [...this.#dirtySlots.keys()]
    for (let at = 0; at < keys.length && work.mayGoOn; at += slotsPerTransaction) {
      const refs = keys.slice(at, at + slotsPerTransaction).flatMap((key) => this.#takeSlot(key) ?? [])
      work.update(
        (tx) => {
          for (const ref of refs) this.#reconcileSlot(tx, ref)
        },
        () => {
          for (const ref of refs) this.#markSlot(ref)
        },
      )
      await work.breathe(refs.length * 4)
    }
  }

  #takeSlot(key: string): SlotRef | undefined {
    const ref = this.#dirtySlots.get(key)
    this.#dirtySlots.delete(key)
    return ref
  }

  #reconcileSlot(tx: Tx, ref: SlotRef): void {
    const key = placeKey(ref.serviceId, ref.place)
    this.#timers.clear(key)
    const tasks = tx.tasks.by('slot', key)
    const found = tx.services.get(ref.serviceId)
    if (found === undefined) {
      if (tasks.some((task) => task.desiredState < TaskState.Remove)) this.#dirtyServices.add(ref.serviceId)
      return
    }
    if (isJob(found.spec)) return
    const { service, failed } = this.#countFailures(tx, found, key, tasks)
    const plan = this.#planSlot(ref.place, {
      ...this.#viewOf(tx, service),
      tasks,
      tasksOn: (nodeId) => tx.tasks.by('node', nodeId),
      ranMs: (task) => this.#ranMs.get(task.id),
      failedUpdate: failed,
    })
    const write = new TaskWriter(this.#env, tx)
    write.raise(plan.removeTaskIds, TaskState.Remove)
    write.raise(plan.shutdownTaskIds, TaskState.Shutdown)
    write.raise(plan.promoteTaskIds, TaskState.Running)
    const create = plan.replacement ?? plan.create
    if (create !== undefined) write.create(service, ref.place, create)
    for (const id of plan.shutdownTaskIds) this.#ranMs.delete(id)
    if (plan.inTheWay.length > 0) noteStopFirst(tx, service, ref.place)
    if (plan.empty) this.#dirtyServices.add(ref.serviceId)
    if (this.#rollouts.get(ref.serviceId)?.touch(key) === true) this.#dirtyRollouts.add(ref.serviceId)
    if (plan.recheckAtMs === undefined) return
    this.#timers.set(key, plan.recheckAtMs, () => {
      this.#markSlot(ref)
      this.#wake()
    })
  }

  #planSlot(place: Place, view: SlotView): GlobalPlan {
    if ('nodeId' in place) return planGlobalSlot(view, view.nodeOf(place.nodeId))
    return { ...planSlot(view), removeTaskIds: [] }
  }

  /** What the ends of tasks mean for the update under way. */
  #countFailures(tx: Tx, service: Service, key: string, tasks: readonly Task[]) {
    const failed = new Set<string>()
    let current = service
    for (const task of tasks) {
      if (!isUpdateFailure(current, task, this.#ranMs.get(task.id)) || !isDue(task, tx.nowMs)) continue
      failed.add(task.id)
      this.#rollouts.get(service.id)?.noteFailure(key, tx.nowMs)
      current = tx.update('services', service.id, afterUpdateFailure(current, task))
    }
    return { service: current, failed }
  }

  async #advanceRollouts(work: Work): Promise<void> {
    for (const id of [...this.#dirtyRollouts].sort()) {
      if (!work.mayGoOn) return
      this.#dirtyRollouts.delete(id)
      let cost = 0
      work.update(
        (tx) => {
          cost = this.#advanceRollout(tx, id)
        },
        () => this.#dirtyServices.add(id),
      )
      await work.breathe(cost)
    }
  }

  /** @returns the number of changes. */
  #advanceRollout(tx: Tx, id: string): number {
    this.#timers.clear(id)
    const rollout = this.#rollouts.get(id)
    const service = tx.services.get(id)
    if (rollout === undefined) return 0
    if (service === undefined || isPaused(service) || !rollout.matches(service)) {
      this.#rollouts.delete(id)
      return 0
    }
    const tasksOf = (key: string) => tx.tasks.by('slot', key)
    const step = rollout.advance({ ...this.#viewOf(tx, service), tasksOf })
    const write = new TaskWriter(this.#env, tx)
    for (const { place, shutdownTaskIds, create } of step.updates) {
      write.raise(shutdownTaskIds, TaskState.Shutdown)
      if (create !== undefined) write.create(service, place, create)
    }
    if (step.updateStatus !== undefined) tx.update('services', id, { updateStatus: step.updateStatus })
    if (step.done) this.#rollouts.delete(id)
    if (step.more) this.#dirtyRollouts.add(id)
    if (step.recheckAtMs !== undefined) {
      this.#timers.set(id, step.recheckAtMs, () => {
        this.#dirtyRollouts.add(id)
        this.#wake()
      })
    }
    return write.changes
  }
}

export const serviceLoop: LoopFactory = (env, store, wake) => new ServiceLoop(env, store, wake)

/** Says that a slot is not updated in the order that was asked for. */
function noteStopFirst(tx: Tx, service: Service, place: Place): void {
  const status = service.updateStatus
  if (status === undefined) return
  const where = 'slot' in place ? `slot ${place.slot}` : `node ${place.nodeId}`
  const what = isRollingBack(service) ? 'rollback' : 'update'
  const message = `${what} in progress: stop-first on ${where}, where the old task is in the way`
  tx.update('services', service.id, { updateStatus: { ...status, message } })
}

/** Gives a slot a task unless it has one by now. */
function fillSlot(tx: Tx, write: TaskWriter, serviceId: string, place: Place): void {
  const service = tx.services.get(serviceId)
  if (service === undefined) return
  const tasks = tx.tasks.by('slot', placeKey(serviceId, place))
  if (fillingTasks(service, tasks).length > 0) return
  const waits = tasks.some((task) => isStopping(task, (id) => tx.nodes.get(id)))
  write.create(service, place, { desiredState: waits ? TaskState.Ready : TaskState.Running })
}

/** Whether somebody has to look at the slot itself. */
function needsAttention(filling: readonly Task[], tx: Tx): boolean {
  if (filling.length > 1) return true
  return filling.some((task) => {
    if (!isLive(task)) return false
    if (isDead(task) || task.desiredState === TaskState.Ready) return true
    return task.nodeId !== undefined && isInvalidNode(tx.nodes.get(task.nodeId))
  })
}
