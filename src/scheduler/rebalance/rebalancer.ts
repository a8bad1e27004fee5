import type { Env } from '../../env/env.js'
import type { Node, Service, Task } from '../../model/objects.js'
import { placementOf } from '../../model/placement.js'
import { TaskState } from '../../model/task-state.js'
import type { Change } from '../../store/apply.js'
import type { Loop, LoopFactory } from '../../store/loop.js'
import { slotKey } from '../../store/schema.js'
import { inSlices } from '../../store/slices.js'
import type { Commit, Store, Tx, View } from '../../store/store.js'
import { ClusterFacts } from '../cluster-facts.js'
import { isReady } from '../filters.js'
import { NodeSet } from '../node-set.js'
import { obstacleOf } from './obstacle.js'
import { MovePlanner, type Move } from './plan.js'

/** Tasks run, and nodes stay ready, for so long before they count for `skep.rebalance=auto`. */
export const settleMs = 30_000
/** Services that move a task at one time; of each of them, one task. */
export const maxMovesAtOnce = 4
/** A service that cannot be moved now is looked at again after so long. */
const retryMs = 5000
/** A new task that does not run by then is given up. */
const moveTimeoutMs = 600_000
/** After a move that failed, the service is left alone for so long. */
const failurePauseMs = 600_000
/** A request that could not be begun is forgotten after so long. */
const requestTimeoutMs = 600_000

/**
 * Spreads tasks anew: services that ask for it by `skep.rebalance=auto` when nodes come (back), and those
 * that somebody asked for. It marks a task with the node that its slot is to move to; the orchestrator
 * starts the successor there, and stops the task when that runs. A few at a time, and only as long as all
 * replicas run: see `obstacleOf` and `MovePlanner`.
 */
export class Rebalancer implements Loop {
  readonly name = 'rebalancer'
  readonly #env: Env
  readonly #store: Store
  readonly #wake: () => void
  /** Services that may want moves, and when to look at them. Monotonic ms. */
  readonly #due = new Map<string, number>()
  /** Services that move by themselves: mostly none, so that nodes that come cost nothing. */
  readonly #automatic = new Set<string>()
  /** Tasks on the move, and their services, by ID. */
  readonly #moving = new Map<string, string>()
  /** Services whose last move failed, and until when they rest. */
  readonly #resting = new Map<string, number>()
  /** Something has moved since all services were looked at: others may want to follow. */
  #hasMoved = false
  #unread: readonly Task[] = []
  #cancelTimer: (() => void) | undefined
  #dirty = true

  constructor(env: Env, store: Store, wake: () => void) {
    this.#env = env
    this.#store = store
    this.#wake = wake
  }

  start(view: View): void {
    this.#unread = view.tasks.list()
    for (const service of view.services.list()) {
      this.#noteMode(service)
      if (service.rebalanceRequestedMs !== undefined) this.#mark(service.id, 0)
    }
    this.#markAutomatic()
  }

  onCommit({ changes }: Commit): void {
    for (const change of changes) this.#note(change)
  }

  get hasWork(): boolean {
    return this.#dirty
  }

  async tick(signal: AbortSignal): Promise<void> {
    this.#dirty = false
    await inSlices(this.#env, this.#unread, (task) => this.#noteMove(task), signal)
    if (signal.aborted) return
    this.#unread = []
    try {
      await this.#followMoves()
      await this.#beginMoves(signal)
    } catch (error) {
      // What was taken up is forgotten: look at everything again.
      for (const service of this.#store.view.services.list()) {
        if (this.#isWanted(service)) this.#mark(service.id, retryMs)
      }
      throw error
    }
    this.#armTimer()
  }

  stop(): void {
    this.#cancelTimer?.()
  }

  #note(change: Change): void {
    if (change.table === 'nodes' && isBetterNow(change.before, change.after)) this.#markAutomatic()
    else if (change.table === 'clusters' && change.before?.spec !== change.after?.spec) {
      for (const service of this.#store.view.services.list()) this.#noteMode(service)
      this.#markAutomatic()
    }
    if (change.table === 'services') this.#noteService(change.id, change.before, change.after)
    else if (change.table === 'tasks') {
      if (change.after !== undefined) this.#noteMove(change.after)
      if (this.#concernsMove(change.id, change.after)) this.#dirty = true
    }
  }

  #noteService(id: string, before: Service | undefined, after: Service | undefined): void {
    if (after !== undefined) this.#noteMode(after)
    if (after === undefined) {
      this.#automatic.delete(id)
      this.#due.delete(id)
      this.#resting.delete(id)
    } else if (after.rebalanceRequestedMs !== undefined && before?.rebalanceRequestedMs === undefined) {
      this.#resting.delete(id)
      this.#mark(id, 0)
    } else if (before !== undefined && before.spec !== after.spec && this.#automatic.has(id)) {
      this.#mark(id, settleMs)
    }
  }

  #noteMove({ id, serviceId, moveTo }: Task): void {
    if (moveTo === undefined || serviceId === undefined || this.#moving.has(id)) return
    this.#moving.set(id, serviceId)
    this.#hasMoved = true
    this.#dirty = true
  }

  /** A task on the move, or one of a service that has one. */
  #concernsMove(id: string, task: Task | undefined): boolean {
    if (this.#moving.size === 0) return false
    if (this.#moving.has(id)) return true
    return task?.serviceId !== undefined && [...this.#moving.values()].includes(task.serviceId)
  }

  #noteMode({ id, spec }: Service): void {
    const [cluster] = this.#store.view.clusters.list()
    const { rebalance = placementOf(cluster?.spec.Labels).rebalance } = placementOf(spec.Labels)
    if (rebalance === 'auto') this.#automatic.add(id)
    else this.#automatic.delete(id)
  }

  #isWanted({ id, rebalanceRequestedMs }: Service): boolean {
    return rebalanceRequestedMs !== undefined || this.#automatic.has(id)
  }

  #markAutomatic(): void {
    for (const id of this.#automatic) this.#mark(id, settleMs)
  }

  #mark(serviceId: string, delayMs: number): void {
    this.#due.set(serviceId, this.#env.monotonicMs() + delayMs)
    this.#dirty = true
  }

  /** Looks after what is on the move; gives up what does not get there. */
  async #followMoves(): Promise<void> {
    const { view } = this.#store
    const failed: string[] = []
    for (const [taskId, serviceId] of this.#moving) {
      const task = view.tasks.get(taskId)
      if (
        task?.moveTo === undefined ||
        task.desiredState > TaskState.Running ||
        task.status.state > TaskState.Running
      ) {
        this.#moving.delete(taskId)
        this.#mark(serviceId, 0)
        continue
      }
      const isLate = this.#env.nowMs() - task.moveTo.sinceMs >= moveTimeoutMs
      if (isLate || hasFailed(task, task.moveTo, view)) failed.push(taskId)
    }
    if (failed.length === 0) return
    await this.#store.update((tx) => {
      for (const id of failed) this.#giveUp(tx, id)
    })
    for (const id of failed) {
      const serviceId = this.#moving.get(id)
      if (serviceId === undefined) continue
      this.#moving.delete(id)
      this.#resting.set(serviceId, this.#env.monotonicMs() + failurePauseMs)
      this.#mark(serviceId, failurePauseMs)
      this.#env.log.warn({ task: id, service: serviceId }, 'a task could not be moved and stays where it is')
    }
  }

  /** The task stays; the orchestrator stops the successor that is superfluous now. */
  #giveUp(tx: Tx, taskId: string): void {
    const task = tx.tasks.get(taskId)
    if (task?.moveTo === undefined) return
    tx.update('tasks', taskId, { moveTo: undefined })
    if (tx.services.get(task.serviceId ?? '')?.rebalanceRequestedMs !== undefined)
      tx.update('services', task.serviceId ?? '', { rebalanceRequestedMs: undefined })
  }

  async #beginMoves(signal: AbortSignal): Promise<void> {
    const nowMs = this.#env.monotonicMs()
    const { view } = this.#store
    const facts = new ClusterFacts(view)
    const busy = new Set(this.#moving.values())
    const ready: Service[] = []
    const done: string[] = []
    for (const id of this.#takeDue(nowMs)) {
      const service = view.services.get(id)
      // A service that is busy is marked again when its move is over.
      if (service === undefined || !this.#isWanted(service) || busy.has(id)) continue
      const lookAgainMs = this.#obstructedUntilMs(service, facts)
      if (lookAgainMs === undefined) ready.push(service)
      else if (lookAgainMs === Infinity) done.push(id)
      else this.#due.set(id, lookAgainMs)
    }
    const moves = await this.#planMoves(ready, facts, done, signal)
    if (this.#hasMoved && moves.length + this.#moving.size === 0) {
      this.#hasMoved = false
      this.#markAutomatic()
    }
    if (signal.aborted || moves.length + done.length === 0) return
    await this.#store.update((tx) => {
      for (const move of moves) begin(tx, move)
      for (const id of done) endRequest(tx, id)
    })
  }

  /** Longest due first. */
  #takeDue(nowMs: number): readonly string[] {
    const due = [...this.#due].filter(([, dueMs]) => dueMs <= nowMs)
    for (const [id] of due) this.#due.delete(id)
    return due.sort(([a, x], [b, y]) => x - y || (a < b ? -1 : 1)).map(([id]) => id)
  }

  /** When an obstacle may be over, monotonic ms; Infinity for never, undefined where there is none. */
  #obstructedUntilMs(service: Service, facts: ClusterFacts): number | undefined {
    const nowMs = this.#env.monotonicMs()
    const restsUntilMs = this.#resting.get(service.id) ?? 0
    if (restsUntilMs > nowMs) return restsUntilMs
    const obstacle = obstacleOf(service, this.#store.view.tasks.by('service', service.id), facts)
    if (obstacle === undefined) return undefined
    const askedMs = service.rebalanceRequestedMs
    const isForgotten = askedMs !== undefined && this.#env.nowMs() - askedMs >= requestTimeoutMs
    if (!obstacle.passes || (isForgotten && !this.#automatic.has(service.id))) return Infinity
    return nowMs + retryMs
  }

  /** One move for each service, as far as there is room; `done` gets the services that want none any more. */
  async #planMoves(
    services: readonly Service[],
    facts: ClusterFacts,
    done: string[],
    signal: AbortSignal,
  ): Promise<readonly Move[]> {
    if (services.length === 0) return []
    const room = maxMovesAtOnce - this.#moving.size
    const retryAtMs = this.#env.monotonicMs() + retryMs
    const nodes = room > 0 ? await nodesAsTheyWillBe(this.#env, this.#store.view, signal) : new NodeSet()
    const nowMs = this.#env.nowMs()
    const moves: Move[] = []
    const look = (service: Service) => {
      const isAsked = service.rebalanceRequestedMs !== undefined
      const planner = new MovePlanner(nodes, facts, { nowMs, settleMs: isAsked ? 0 : settleMs })
      const tasks = this.#store.view.tasks.by('service', service.id)
      const move = moves.length < room ? planner.next(service, tasks) : undefined
      if (move !== undefined) moves.push(move)
      // Also one that is begun: should the write find it to be out of date, it is planned anew.
      if (move !== undefined || moves.length >= room) this.#due.set(service.id, retryAtMs)
      else if (!isAsked && !planner.hasSettled(tasks)) this.#due.set(service.id, retryAtMs)
      else done.push(service.id)
    }
    await inSlices(this.#env, services, look, signal)
    return moves
  }

  #armTimer(): void {
    this.#cancelTimer?.()
    const nowMs = this.#env.monotonicMs()
    const dueMs = Math.min(
      ...this.#due.values(),
      ...Array.from(this.#moving.keys(), (id) => nowMs + this.#remainingMs(id)),
    )
    if (dueMs === Infinity) return
    this.#cancelTimer = this.#env.after(Math.max(0, dueMs - nowMs), () => {
      this.#dirty = true
      this.#wake()
    })
  }

  /** How long a move may take yet. */
  #remainingMs(taskId: string): number {
    const sinceMs = this.#store.view.tasks.get(taskId)?.moveTo?.sinceMs ?? 0
    return Math.max(0, Math.min(moveTimeoutMs, sinceMs + moveTimeoutMs - this.#env.nowMs()))
  }
}

export const rebalancerLoop: LoopFactory = (env, store, wake) => new Rebalancer(env, store, wake)

/** Every node with its tasks, without those that are about to leave. */
export async function nodesAsTheyWillBe(env: Env, view: View, signal: AbortSignal): Promise<NodeSet> {
  const nodes = new NodeSet()
  const all = view.nodes.list()
  await inSlices(env, all, (node) => nodes.setNode(node), signal)
  const count = (task: Task) => {
    if (task.moveTo === undefined) nodes.setTask(task)
  }
  await inSlices(env, all, ({ id }) => view.tasks.by('node', id).forEach(count), signal)
  return nodes
}

/** A node takes tasks that did not before, or may take others. */
function isBetterNow(before: Node | undefined, after: Node | undefined): boolean {
  if (after === undefined || !isReady(after)) return false
  return before === undefined || !isReady(before) || before.spec.Labels !== after.spec.Labels
}

/** The successor ended instead of running. */
function hasFailed(task: Task, { nodeId, sinceMs }: NonNullable<Task['moveTo']>, view: View): boolean {
  return view.tasks
    .by('slot', slotKey(task) ?? '')
    .some(
      (other) =>
        other.nodeId === nodeId && other.createdAtMs >= sinceMs && other.status.state > TaskState.Running,
    )
}

/** Marks the task, unless something has changed since the plan was made. */
function begin(tx: Tx, { taskId, serviceId, fromNodeId, toNodeId }: Move): void {
  const task = tx.tasks.get(taskId)
  const node = tx.nodes.get(toNodeId)
  const service = tx.services.get(serviceId)
  if (task === undefined || node === undefined || service === undefined) return
  if (task.nodeId !== fromNodeId || task.moveTo !== undefined || task.desiredState !== TaskState.Running)
    return
  if (task.status.state !== TaskState.Running || !isReady(node)) return
  tx.update('tasks', taskId, { moveTo: { nodeId: toNodeId, sinceMs: tx.nowMs } })
}

function endRequest(tx: Tx, serviceId: string): void {
  if (tx.services.get(serviceId)?.rebalanceRequestedMs === undefined) return
  tx.update('services', serviceId, { rebalanceRequestedMs: undefined })
}
