import type { Env } from '../env/env.js'
import type { Service, Task } from '../model/objects.js'
import { placementOf } from '../model/placement.js'
import { TaskState } from '../model/task-state.js'
import type { Loop, LoopFactory } from '../store/loop.js'
import { keepRevision } from '../store/revisions.js'
import type { View } from '../store/schema.js'
import type { Commit, Store } from '../store/store.js'
import type { Tx } from '../store/transaction.js'
import { planGlobalSlot, type GlobalPlan } from './global/plan.js'
import { Marks, type SlotRef } from './marks.js'
import { isInvalidNode } from './node.js'
import { planReplicated } from './replicated/plan.js'
import { isDue, planSlot, waitsToLeave, type SlotView } from './restart/plan-slot.js'
import { fillingTasks, groupByNode, isStopping, placeKey } from './slot.js'
import { isDead, isJob, isLive, isRollingBack, isUpdating, modeOf } from './spec.js'
import type { Place } from './task.js'
import { KeyedTimers } from './timers.js'
import { afterUpdateFailure, isUpdateFailure } from './update/failure.js'
import { Rollout } from './update/rollout.js'
import { TaskWriter, tasksPerTransaction } from './write.js'
import { Work } from '../store/work.js'

/** Slots that one transaction looks at, as long as it is not full. */
const slotsPerTransaction = 100
const tasksPerSlice = 1000
/** Tasks and steps that one transaction of plans looks at, more or less. */
const costPerTransaction = 1000

/** Slots that one step looks at, and how much work each of them is. */
const slotsPerStep = 100
const costPerSlot = 2

/** A part of a service's plan. Checks for itself that it is still wanted: it may run a turn later. */
interface Step {
  readonly cost: number
  readonly run: (tx: Tx, write: TaskWriter) => void
}

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
  readonly #rollouts = new Map<string, Rollout>()
  readonly #marks: Marks
  /** Tasks that were there at the start and have yet to be looked at. */
  #unscanned: readonly Task[] = []

  constructor(env: Env, store: Store, wake: () => void) {
    this.#env = env
    this.#store = store
    this.#wake = wake
    this.#timers = new KeyedTimers(env)
    this.#marks = new Marks(store.view, this.#rollouts)
  }

  start(view: View): void {
    for (const service of view.services.list()) this.#marks.noteService(service.id, undefined, service)
    this.#unscanned = view.tasks.unsorted()
  }

  stop(): void {
    this.#timers.clearAll()
  }

  onCommit({ changes }: Commit): void {
    for (const change of changes) this.#marks.note(change)
  }

  get hasWork(): boolean {
    return this.#unscanned.length > 0 || !this.#marks.isEmpty
  }

  async tick(signal: AbortSignal): Promise<void> {
    const work = new Work(this.#store, signal)
    await this.#scan(work)
    while (work.mayGoOn && !this.#marks.isEmpty) {
      await this.#reconcileServices(work)
      await this.#reconcileSlots(work)
      await this.#advanceRollouts(work)
    }
    await work.end()
  }

  /** Finds what a former leader left: tasks of services that are gone. */
  async #scan(work: Work): Promise<void> {
    while (this.#unscanned.length > 0 && work.mayGoOn) {
      for (const { serviceId } of this.#unscanned.slice(0, tasksPerSlice)) {
        if (serviceId === undefined || this.#store.view.services.get(serviceId) !== undefined) continue
        this.#marks.services.add(serviceId)
      }
      this.#unscanned = this.#unscanned.slice(tasksPerSlice)
      await work.breathe(tasksPerSlice)
    }
  }

  /** Small services share transactions; of a large one, the next transactions do what is left. */
  async #reconcileServices(work: Work): Promise<void> {
    const ids = [...this.#marks.services].sort()
    let steps: readonly Step[] = []
    let serviceId = ''
    for (let next = 0, at = 0; next < ids.length || at < steps.length;) {
      // Cut short: the rest is planned anew.
      if (!work.mayGoOn) {
        if (at < steps.length) this.#marks.services.add(serviceId)
        return
      }
      const concerned = new Set(at < steps.length ? [serviceId] : [])
      let cost = 0
      const write = (tx: Tx) => {
        const writer = new TaskWriter(this.#env, tx)
        while (!writer.isFull && cost < costPerTransaction) {
          const step = steps[at]
          if (step !== undefined) {
            at++
            cost += step.cost
            step.run(tx, writer)
          } else {
            if (next === ids.length) break
            serviceId = ids[next++] ?? ''
            if (!this.#marks.services.delete(serviceId)) continue
            concerned.add(serviceId)
            const tasks = tx.tasks.by('service', serviceId)
            cost += tasks.length + 1
            steps = this.#planService(tx, serviceId, tasks)
            at = 0
          }
        }
      }
      work.update(write, () => {
        for (const id of concerned) this.#marks.services.add(id)
      })
      await work.breathe(cost)
    }
  }

  #planService(tx: Tx, id: string, tasks: readonly Task[]): readonly Step[] {
    const service = tx.services.get(id)
    if (service === undefined) {
      this.#rollouts.delete(id)
      this.#timers.clear(id)
      const left = tasks.filter((task) => task.desiredState < TaskState.Remove)
      return left.map((task) => ({ cost: 1, run: (_, write) => write.raise([task.id], TaskState.Remove) }))
    }
    switch (modeOf(service.spec)) {
      case 'replicated':
        return this.#planReplicated(tx, service, tasks)
      case 'global':
        return this.#planGlobal(tx, service, tasks)
      default:
        return []
    }
  }

  #planReplicated(tx: Tx, service: Service, tasks: readonly Task[]): readonly Step[] {
    const { strategy = placementOf(tx.clusters.list()[0]?.spec.Labels).strategy } = placementOf(
      service.spec.Labels,
    )
    const plan = planReplicated(service, tasks, { nodeOf: (id) => tx.nodes.get(id), strategy })
    const places = plan.slots.map(({ slot }) => ({ slot }))
    const ifCurrent = (run: (now: Tx, write: TaskWriter) => void): Step => ({
      cost: 1,
      run: (now, write) => {
        if (now.services.get(service.id)?.spec === service.spec) run(now, write)
      },
    })
    return [
      ...this.#planRollout(service, places),
      ...plan.removeTaskIds.map((taskId) => ifCurrent((_, write) => write.raise([taskId], TaskState.Remove))),
      ...plan.createSlots.map((slot) =>
        ifCurrent((now, write) => fillSlot(now, write, service.id, { slot })),
      ),
    ]
  }

  #planGlobal(tx: Tx, service: Service, tasks: readonly Task[]): readonly Step[] {
    const serviceId = service.id
    for (const node of tx.nodes.list()) this.#marks.markSlot({ serviceId, place: { nodeId: node.id } })
    const places: Place[] = []
    for (const [nodeId, slotTasks] of groupByNode(tasks)) {
      const place = { nodeId }
      this.#marks.markSlot({ serviceId, place })
      if (fillingTasks(service, slotTasks).length > 0) places.push(place)
    }
    return this.#planRollout(service, places)
  }

  /**
   * Finds out whether slots have to be updated or moved, or what is under way has changed: a large service
   * has too many of them for one turn.
   */
  #planRollout(planned: Service, places: readonly Place[]): readonly Step[] {
    const { id } = planned
    if (places.length === 0 && !isUpdating(planned)) {
      this.#rollouts.delete(id)
      return []
    }
    const known = this.#rollouts.get(id)
    const rollout = known?.matches(planned) === true ? known : new Rollout(planned)
    rollout.beginLook()
    // A service that has changed meanwhile is planned anew for that.
    const current = (tx: Tx) => {
      const service = tx.services.get(id)
      return service !== undefined && rollout.matches(service) ? service : undefined
    }
    const steps: Step[] = []
    for (let at = 0; at < places.length; at += slotsPerStep) {
      const some = places.slice(at, at + slotsPerStep)
      const run = (tx: Tx) => {
        const service = current(tx)
        if (service !== undefined) this.#lookAt(tx, service, rollout, some)
      }
      steps.push({ cost: some.length * costPerSlot, run })
    }
    const conclude = (tx: Tx) => {
      const service = current(tx)
      if (service === undefined) return
      if (isUpdating(service) || rollout.isNeeded) {
        rollout.enqueue(service)
        this.#rollouts.set(id, rollout)
        this.#marks.rollouts.add(id)
      } else this.#rollouts.delete(id)
    }
    return [...steps, { cost: 1, run: conclude }]
  }

  #lookAt(tx: Tx, service: Service, rollout: Rollout, places: readonly Place[]): void {
    const slots = places.map((place) => ({ place, tasks: tx.tasks.by('slot', placeKey(service.id, place)) }))
    for (const { place, tasks } of slots) {
      // Those of global services are marked anyway.
      if ('slot' in place && needsAttention(fillingTasks(service, tasks), tx))
        this.#marks.markSlot({ serviceId: service.id, place })
    }
    rollout.look(this.#viewOf(tx, service), slots)
  }

  #viewOf(tx: Tx, service: Service) {
    return { service, nodeOf: (id: string) => tx.nodes.get(id), nowMs: tx.nowMs }
  }

  async #reconcileSlots(work: Work): Promise<void> {
    // In the order of the commits that marked them.
    const keys = [...this.#marks.slots.keys()]
    let at = 0
    while (at < keys.length && work.mayGoOn) {
      const refs: SlotRef[] = []
      work.update(
        (tx) => {
          const write = new TaskWriter(this.#env, tx)
          while (at < keys.length && refs.length < slotsPerTransaction && !write.isFull) {
            const ref = this.#marks.takeSlot(keys[at++] ?? '')
            if (ref === undefined) continue
            refs.push(ref)
            this.#reconcileSlot(tx, write, ref)
          }
        },
        () => {
          for (const ref of refs) this.#marks.markSlot(ref)
        },
      )
      await work.breathe(refs.length * 4)
    }
  }

  #reconcileSlot(tx: Tx, write: TaskWriter, ref: SlotRef): void {
    const key = placeKey(ref.serviceId, ref.place)
    this.#timers.clear(key)
    const tasks = tx.tasks.by('slot', key)
    const found = tx.services.get(ref.serviceId)
    if (found === undefined) {
      if (tasks.some((task) => task.desiredState < TaskState.Remove)) this.#marks.services.add(ref.serviceId)
      return
    }
    if (isJob(found.spec)) return
    const { service, failed } = this.#countFailures(tx, found, key, tasks)
    const plan = this.#planSlot(ref.place, {
      ...this.#viewOf(tx, service),
      tasks,
      tasksOn: (nodeId) => tx.tasks.by('node', nodeId),
      ranMs: (task) => this.#marks.ranMs(task),
      failedUpdate: failed,
    })
    write.raise(plan.removeTaskIds, TaskState.Remove)
    write.raise(plan.shutdownTaskIds, TaskState.Shutdown)
    write.raise(plan.promoteTaskIds, TaskState.Running)
    write.note(plan.stayingTaskIds, 'started')
    const create = plan.replacement ?? plan.create
    if (create !== undefined) write.create(service, ref.place, create)
    for (const id of plan.shutdownTaskIds) this.#marks.forgetRun(id)
    if (plan.inTheWay.length > 0) noteStopFirst(tx, service, ref.place)
    if (plan.empty) this.#marks.services.add(ref.serviceId)
    if (this.#rollouts.get(ref.serviceId)?.touch(key) === true) this.#marks.rollouts.add(ref.serviceId)
    if (plan.recheckAtMs === undefined) return
    this.#timers.set(key, plan.recheckAtMs, () => {
      this.#marks.markSlot(ref)
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
      if (!isUpdateFailure(current, task, this.#marks.ranMs(task)) || !isDue(task, tx.nowMs)) continue
      failed.add(task.id)
      this.#rollouts.get(service.id)?.noteFailure(key, tx.nowMs)
      const patch = afterUpdateFailure(current, task)
      if (patch.spec !== undefined) keepRevision(tx, current, 'failure')
      current = tx.update('services', service.id, patch)
    }
    return { service: current, failed }
  }

  async #advanceRollouts(work: Work): Promise<void> {
    for (const id of [...this.#marks.rollouts].sort()) {
      if (!work.mayGoOn) return
      this.#marks.rollouts.delete(id)
      let cost = 0
      work.update(
        (tx) => {
          cost = this.#advanceRollout(tx, id)
        },
        () => this.#marks.services.add(id),
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
    if (service === undefined || !rollout.matches(service)) {
      this.#rollouts.delete(id)
      return 0
    }
    const tasksOf = (key: string) => tx.tasks.by('slot', key)
    const step = rollout.advance({ ...this.#viewOf(tx, service), tasksOf }, tasksPerTransaction(service))
    const write = new TaskWriter(this.#env, tx)
    for (const { place, shutdownTaskIds, create } of step.updates) {
      write.raise(shutdownTaskIds, TaskState.Shutdown)
      if (create !== undefined) write.create(service, place, create)
      // A new task is there already: what keeps it waiting may concern the update only from now on.
      else this.#marks.markSlot({ serviceId: id, place })
    }
    write.note(step.waitingTaskIds, waitsToLeave)
    if (step.updateStatus !== undefined) tx.update('services', id, { updateStatus: step.updateStatus })
    if (step.done) this.#rollouts.delete(id)
    if (step.more) this.#marks.rollouts.add(id)
    if (step.recheckAtMs !== undefined) {
      this.#timers.set(id, step.recheckAtMs, () => {
        this.#marks.rollouts.add(id)
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
