import type { Env } from '../env/env.js'
import type { Network, Node, Service, Task } from '../model/objects.js'
import { TaskState } from '../model/task-state.js'
import type { Change, TableChange } from '../store/apply.js'
import type { Loop, LoopFactory } from '../store/loop.js'
import { inSlices } from '../store/slices.js'
import type { Commit, Store, Tx, View } from '../store/store.js'
import { Work } from '../store/work.js'
import { Allocation, AllocationError } from './allocation.js'
import { NodeUsage } from './node-usage.js'
import { WaitingList } from './waiting-list.js'

/** Objects looked at in one transaction. */
const chunkSize = 200
/** How many of those who wait for an address try again when one is freed. They may want others as well. */
const retriesPerAddress = 20

interface Unread {
  readonly networks: readonly Network[]
  readonly services: readonly Service[]
  readonly nodes: readonly Node[]
  readonly tasks: readonly Task[]
}

type Kind = 'networks' | 'services' | 'tasks' | 'nodes'
const kinds: readonly Kind[] = ['networks', 'services', 'tasks', 'nodes']

/**
 * Gives networks, services, tasks and nodes their addresses and ports, and lets tasks go on to PENDING
 * once they have all they need. See DESIGN.md.
 * Behaviour: moby/swarmkit manager/allocator.
 */
export class Allocator implements Loop {
  readonly name = 'allocator'
  readonly #env: Env
  readonly #store: Store
  #allocation = new Allocation()
  #usage = new NodeUsage()
  /** What has to be looked at, in the order in which it came up. */
  readonly #dirty: Readonly<Record<Kind, Set<string>>> = {
    networks: new Set(),
    services: new Set(),
    tasks: new Set(),
    nodes: new Set(),
  }
  readonly #waiting: Readonly<Record<Kind, WaitingList>> = {
    networks: new WaitingList(),
    services: new WaitingList(),
    tasks: new WaitingList(),
    nodes: new WaitingList(),
  }
  /** What was there at the start and has not been looked at yet. */
  #unread: Unread | undefined
  /** A write was lost, so what is handed out here may not be what the store says. */
  #mustRestart = false

  constructor(env: Env, store: Store) {
    this.#env = env
    this.#store = store
  }

  /** Only takes note: looking at 100,000 tasks would hold up everything else. The first tick does it. */
  start(view: View): void {
    this.#allocation = new Allocation()
    this.#usage = new NodeUsage()
    for (const kind of kinds) {
      this.#dirty[kind].clear()
      this.#waiting[kind].takeAll()
    }
    this.#unread = {
      networks: view.networks.list(),
      services: view.services.list(),
      nodes: view.nodes.unsorted(),
      tasks: view.tasks.unsorted(),
    }
  }

  onCommit({ changes }: Commit): void {
    for (const change of changes) this.#onChange(change)
    this.#retryFreed()
  }

  get hasWork(): boolean {
    return this.#mustRestart || this.#unread !== undefined || this.#nextKind() !== undefined
  }

  async tick(signal: AbortSignal): Promise<void> {
    if (this.#mustRestart) {
      this.#mustRestart = false
      this.start(this.#store.view)
    }
    try {
      await this.#restoreAll(signal)
      await this.#allocateAll(signal)
    } catch (error) {
      this.#mustRestart = true
      throw error
    }
  }

  stop(): void {
    // Nothing is timed here.
  }

  /**
   * Takes exactly what the store says is handed out, before anything new is. Each object is looked at as it
   * is by now; commits meanwhile are noted as always.
   */
  async #restoreAll(signal: AbortSignal): Promise<void> {
    if (this.#unread === undefined) return
    const { networks, services, nodes, tasks } = this.#unread
    const { view } = this.#store
    const allocation = this.#allocation
    const restore =
      <T extends { readonly id: string }>(
        table: { get(id: string): T | undefined },
        fn: (object: T) => void,
      ) =>
      ({ id }: T) => {
        const object = table.get(id)
        if (object !== undefined) fn(object)
      }
    const restoreNetwork = restore(view.networks, (network) => {
      allocation.restoreNetwork(network)
      this.#onNetwork(network)
    })
    const restoreService = restore(view.services, (service) => {
      allocation.restoreService(service)
      this.#dirty.services.add(service.id)
    })
    const restoreNode = restore(view.nodes, (node) => {
      allocation.restoreNode(node)
      this.#dirty.nodes.add(node.id)
    })
    const restoreTask = restore(view.tasks, (task) => {
      allocation.restoreTask(task)
      this.#onTask(task.id, task)
    })
    await inSlices(this.#env, networks, restoreNetwork, signal)
    await inSlices(this.#env, services, restoreService, signal)
    await inSlices(this.#env, nodes, restoreNode, signal)
    await inSlices(this.#env, tasks, restoreTask, signal)
    if (!signal.aborted) this.#unread = undefined
  }

  #onChange(change: Change): void {
    switch (change.table) {
      case 'networks':
        if (change.after !== undefined) this.#onNetwork(change.after)
        else this.#removeNetwork(change.id)
        break
      case 'services':
        this.#onService(change)
        break
      case 'tasks':
        this.#onTask(change.id, change.after)
        break
      case 'nodes':
        if (change.before === undefined) this.#dirty.nodes.add(change.id)
        if (change.after === undefined) {
          this.#forget('nodes', change.id)
          this.#allocation.free(change.id)
        }
        break
      case 'secrets':
      case 'configs':
      case 'volumes':
      case 'revisions':
      case 'clusters':
        break
      default:
        change satisfies never
    }
  }

  #onNetwork({ id, driverState }: Network): void {
    if (driverState === undefined) this.#dirty.networks.add(id)
  }

  #removeNetwork(id: string): void {
    if (id === this.#allocation.ingressId) this.#markAll(this.#store.view)
    this.#allocation.removeNetwork(id)
    this.#forget('networks', id)
    // Whoever waited for it does without.
    this.#onAllocated(id)
    this.#retry('networks')
  }

  #onService({ id, before, after }: TableChange<'services'>): void {
    if (after === undefined) {
      this.#forget('services', id)
      this.#allocation.removeService(id)
      this.#retry('services')
    } else if (before?.spec !== after.spec) this.#dirty.services.add(id)
  }

  #onTask(id: string, task: Task | undefined): void {
    for (const nodeId of this.#usage.setTask(id, task)) this.#dirty.nodes.add(nodeId)
    if (task === undefined || task.status.state > TaskState.Running) this.#allocation.free(id)
    const isWanted = task?.status.state === TaskState.New && task.desiredState <= TaskState.Complete
    if (!isWanted) this.#forget('tasks', id)
    else if (this.#waiting.tasks.reasonOf(id) === undefined) this.#dirty.tasks.add(id)
  }

  #forget(kind: Kind, id: string): void {
    this.#dirty[kind].delete(id)
    this.#waiting[kind].delete(id)
  }

  /** For each address that was freed, some of those who wait for one of that network try again. */
  #retryFreed(): void {
    for (const networkId of this.#allocation.takeFreed()) this.#retryFor(networkId, retriesPerAddress)
  }

  /** A network or service has all it needs: whoever waits for it tries again. */
  #onAllocated(id: string): void {
    this.#retryFor(id, Infinity)
  }

  #retryFor(cause: string, limit: number): void {
    for (const kind of kinds)
      for (const id of this.#waiting[kind].take(cause, limit)) this.#dirty[kind].add(id)
  }

  #retryTasks(view: View, serviceId: string): void {
    if (this.#waiting.tasks.size === 0) return
    for (const { id } of view.tasks.by('service', serviceId)) {
      if (this.#waiting.tasks.reasonOf(id) === undefined) continue
      this.#waiting.tasks.delete(id)
      this.#dirty.tasks.add(id)
    }
  }

  /** The ingress network has come or gone, which concerns every node and every service with ports. */
  #markAll(view: View): void {
    for (const { id } of view.nodes.list()) this.#dirty.nodes.add(id)
    for (const { id } of view.services.list()) this.#dirty.services.add(id)
  }

  #retry(kind: Kind): void {
    for (const id of this.#waiting[kind].takeAll()) this.#dirty[kind].add(id)
  }

  /** Networks first, since services need them, and services before tasks. */
  async #allocateAll(signal: AbortSignal): Promise<void> {
    const work = new Work(this.#store, signal)
    for (let kind = this.#nextKind(); kind !== undefined && work.mayGoOn; kind = this.#nextKind())
      await work.breathe(this.#writeChunk(work, kind))
    await work.end()
  }

  #nextKind(): Kind | undefined {
    return kinds.find((kind) => this.#dirty[kind].size > 0)
  }

  /** @returns how many objects it has looked at. */
  #writeChunk(work: Work, kind: Kind): number {
    const ids: string[] = []
    for (const id of this.#dirty[kind]) {
      if (ids.length === chunkSize) break
      ids.push(id)
    }
    for (const id of ids) this.#dirty[kind].delete(id)
    work.update((tx) => {
      for (const id of kind === 'networks' ? ingressFirst(tx, ids) : ids) {
        this.#waiting[kind].delete(id)
        this.#allocate(tx, kind, id)
      }
      this.#retryFreed()
    })
    return ids.length
  }

  #allocate(tx: Tx, kind: Kind, id: string): void {
    try {
      switch (kind) {
        case 'networks':
          this.#allocateNetwork(tx, tx.networks.get(id))
          break
        case 'services':
          this.#allocateService(tx, tx.services.get(id))
          break
        case 'tasks':
          this.#allocateTask(tx, tx.tasks.get(id))
          break
        case 'nodes':
          this.#allocateNode(tx, tx.nodes.get(id))
          break
        default:
          kind satisfies never
      }
    } catch (error) {
      if (!(error instanceof AllocationError)) throw error
      this.#wait(tx, kind, id, error)
    }
  }

  #allocateNetwork(tx: Tx, network: Network | undefined): void {
    if (network === undefined || network.driverState !== undefined) return
    tx.update('networks', network.id, this.#allocation.allocateNetwork(network, tx.clusters.list()[0]))
    this.#onAllocated(network.id)
    if (network.id === this.#allocation.ingressId) this.#markAll(tx)
  }

  #allocateService(tx: Tx, service: Service | undefined): void {
    if (service === undefined) return
    const before = service.endpoint
    const endpoint = this.#allocation.allocateService(tx, service)
    if (endpoint !== before) {
      tx.update('services', service.id, { endpoint })
      // Ports may have become free, and tasks may wait for networks that they do not need any more.
      if (before !== undefined) {
        this.#retry('services')
        this.#retryTasks(tx, service.id)
      }
    }
    this.#onAllocated(service.id)
  }

  #allocateTask(tx: Tx, task: Task | undefined): void {
    if (task?.status.state !== TaskState.New || task.desiredState > TaskState.Complete) return
    const service = tx.services.get(task.serviceId ?? '')
    // The orchestrator removes what a deleted service leaves behind.
    if (task.serviceId !== undefined && service === undefined) return
    const reason = service && this.#waiting.services.reasonOf(service.id)
    if (service !== undefined && reason !== undefined) throw new AllocationError(reason, service.id)
    const networks = this.#allocation.allocateTask(tx, task, service)
    tx.update('tasks', task.id, {
      networks,
      ...(service?.endpoint === undefined ? {} : { endpoint: service.endpoint }),
      status: { state: TaskState.Pending, timestampMs: tx.nowMs, message: 'pending task scheduling' },
    })
  }

  #allocateNode(tx: Tx, node: Node | undefined): void {
    if (node === undefined) return
    const { ingressId } = this.#allocation
    const ingress = ingressId !== undefined && tx.networks.get(ingressId)?.driverState ? [ingressId] : []
    const wanted = [...new Set([...ingress, ...this.#usage.networksOf(node.id)])]
    const { attachments, short } = this.#allocation.allocateNode(node, wanted)
    const before = node.attachments ?? []
    if (JSON.stringify(attachments) !== JSON.stringify(before)) tx.update('nodes', node.id, { attachments })
    if (short.length > 0) this.#waiting.nodes.add(node.id, 'networks are short of addresses', short)
  }

  /** Notes the reason, and tells those who ask: users see it on the tasks that wait. */
  #wait(tx: Tx, kind: Kind, id: string, error: AllocationError): void {
    // A network that cannot be had says itself why.
    const reason = this.#waiting.networks.reasonOf(error.causeId ?? '') ?? error.message
    const isFirst = this.#waiting[kind].size === 0
    this.#waiting[kind].add(id, reason, error.causeId === undefined ? [] : [error.causeId])
    // The service's tasks have to say something else now.
    if (kind === 'services') this.#onAllocated(id)
    if (isFirst) this.#env.log.warn({ kind, id, reason }, 'cannot allocate yet')
    const task = kind === 'tasks' ? tx.tasks.get(id) : undefined
    if (task !== undefined && task.status.err !== reason)
      tx.update('tasks', id, { status: { ...task.status, timestampMs: tx.nowMs, err: reason } })
  }
}

export const allocatorLoop: LoopFactory = (env, store) => new Allocator(env, store)

/** The ingress network gets the first subnet, the others follow in the order of their creation. */
function ingressFirst(view: View, ids: readonly string[]): readonly string[] {
  const rank = (id: string) => (view.networks.get(id)?.spec.Ingress === true ? 0 : 1)
  const createdAtMs = (id: string) => view.networks.get(id)?.createdAtMs ?? 0
  return ids.toSorted((a, b) => rank(a) - rank(b) || createdAtMs(a) - createdAtMs(b))
}
