import { nodeMatches, parseConstraints } from '../../../src/model/constraint.js'
import type { Cluster, Node, Service, Task, TaskStatus } from '../../../src/model/objects.js'
import type { NodeSpec, ServiceSpec } from '../../../src/model/spec/index.js'
import { TaskState } from '../../../src/model/task-state.js'
import { orchestratorLoops } from '../../../src/orchestrator/index.js'
import { LoopRunner, type LoopFactory } from '../../../src/store/loop.js'
import type { Proposer } from '../../../src/store/proposer.js'
import type { View } from '../../../src/store/schema.js'
import { Store } from '../../../src/store/store.js'
import { SimulatedEnv, settle } from '../../lib/simulated-env.js'
import { Disruptions } from './disruptions.js'

/** How the simulated containers of an image behave. Times in ms. */
export interface Behaviour {
  /** Before it is running: `rejected` while preparing, `failed` while starting. */
  readonly refuses?: 'rejected' | 'failed'
  readonly startMs?: number
  readonly stopMs?: number
  /** Ends by itself after so long, with success or not. */
  readonly endsAfterMs?: number
  readonly endState?: typeof TaskState.Complete | typeof TaskState.Failed
}

export const ms = 1e6
export const second = 1e9

interface Options {
  readonly seed?: number
  readonly commitMs?: number
  readonly loops?: readonly LoopFactory[]
  /** False: nobody runs tasks; tests do it by hand. */
  readonly agents?: boolean
  /** False: allocator and scheduler are among the loops. */
  readonly placement?: boolean
}

interface Entry {
  readonly data: Uint8Array
}

/**
 * A cluster around the orchestrator: a leader's store with its loops, a follower that applies the same
 * log and takes over when the leader changes, and a stand-in for allocator, scheduler and agents.
 */
export class Harness {
  readonly env: SimulatedEnv
  readonly behaviours = new Map<string, Behaviour>()
  /** Nodes whose agent is cut off: it neither hears nor reports. */
  readonly silent = new Set<string>()
  /** What went wrong on the way. */
  readonly violations: string[] = []
  /** Entries of the log so far: what a steady cluster must not make more of. */
  entries = 0
  store: Store
  /** What the next leader runs. */
  loops: readonly LoopFactory[]
  #follower: Store
  #runner: LoopRunner
  #queue: Entry[] = []
  #index = 0
  #term = 0
  #ids = 0
  readonly #disruptions = new Disruptions()
  readonly #options: Options

  constructor(options: Options = {}) {
    this.#options = options
    this.loops = options.loops ?? orchestratorLoops
    this.env = new SimulatedEnv(options.seed ?? 1)
    this.store = this.#newStore()
    this.#follower = this.#newStore()
    this.#runner = this.#newRunner()
    this.#lead()
  }

  /** The leader dies: some of what is in flight is lost, and the follower goes on. */
  async changeLeader(keepInFlight = 0): Promise<void> {
    const old = this.store
    const lost = this.#queue.splice(keepInFlight)
    this.#term++
    this.#commitAll()
    old.leadershipLost()
    const stopped = this.#runner.stop()
    this.entries -= lost.length
    this.#index -= lost.length
    this.store = this.#follower
    this.#follower = this.#newStore()
    const objects = (['clusters', 'nodes', 'services', 'tasks'] as const).flatMap((table) =>
      this.store.view[table].list().map((object) => ({ table, object })),
    )
    this.#follower.restore(this.store.appliedIndex, objects)
    this.#runner = this.#newRunner()
    this.#lead()
    await stopped.catch(() => undefined)
  }

  async stop(): Promise<void> {
    await this.#wait(this.#runner.stop())
  }

  /** Lets `durationMs` pass. */
  async run(durationMs: number): Promise<void> {
    const untilMs = this.env.monotonicMs() + durationMs
    await this.#settle()
    for (;;) {
      const dueMs = this.env.nextDueMs()
      if (dueMs === undefined || dueMs > untilMs) break
      this.env.advance(Math.max(0, dueMs - this.env.monotonicMs()))
      await this.#settle()
    }
    this.env.advance(untilMs - this.env.monotonicMs())
    await this.#settle()
  }

  /** Lets time pass until `condition` holds; fails after `limitMs`. */
  async until(what: string, condition: () => boolean, limitMs = 120_000): Promise<void> {
    const untilMs = this.env.monotonicMs() + limitMs
    await this.#settle()
    while (!condition()) {
      const dueMs = this.env.nextDueMs()
      if (dueMs === undefined || dueMs > untilMs) {
        throw new Error(`waited ${limitMs} ms in vain for ${what}\n${this.describe()}`)
      }
      this.env.advance(Math.max(0, dueMs - this.env.monotonicMs()))
      await this.#settle()
    }
  }

  /** Looks at the cluster every 10 ms until `condition` holds. */
  async watch(what: string, condition: () => boolean, look: () => void | Promise<void>): Promise<void> {
    for (let step = 0; !condition(); step++) {
      if (step > 12_000) throw new Error(`waited in vain for ${what}\n${this.describe()}`)
      await this.run(10)
      await look()
    }
  }

  describe(): string {
    const services = this.store.view.services
      .list()
      .map((service) => `${service.spec.Name} ${JSON.stringify(service.updateStatus)}`)
    const tasks = this.store.view.tasks
      .list()
      .map(
        (task) =>
          `${task.serviceAnnotations.name}.${task.slot} ${task.id.slice(0, 4)} node=${task.nodeId} observed=${task.status.state} desired=${task.desiredState} v${task.specVersion}`,
      )
    return [...services, ...tasks.sort(), ...this.violations].join('\n')
  }

  // What users do.

  async cluster(historyLimit?: number): Promise<void> {
    const done = this.store.update((tx) => {
      const spec = historyLimit === undefined ? {} : { TaskHistoryRetentionLimit: historyLimit }
      const cluster: Omit<Cluster, 'version' | 'createdAtMs' | 'updatedAtMs'> = {
        id: 'cluster',
        spec: { Name: 'default', Orchestration: spec },
        rootCa: { certPem: '', lastForcedRotation: 0 },
        joinTokens: { worker: '', manager: '' },
        defaultAddressPools: null,
        subnetSize: 24,
        dataPathPort: 4789,
        blacklistedCertificates: {},
      }
      tx.create('clusters', cluster)
    })
    await this.#wait(done)
  }

  async addNodes(count: number, spec: NodeSpec = {}): Promise<string[]> {
    const ids: string[] = []
    const done = this.store.update((tx) => {
      for (let n = 0; n < count; n++) {
        const id = `node${String(++this.#ids).padStart(3, '0')}`
        ids.push(id)
        tx.create('nodes', {
          id,
          spec: { Availability: 'active', Role: 'worker', ...spec },
          role: 'worker',
          description: { Hostname: id },
          status: { state: 'ready', message: '', addr: '10.0.0.1' },
        })
      }
    })
    await this.#wait(done)
    return ids
  }

  async createService(spec: ServiceSpec): Promise<string> {
    const id = `svc${String(++this.#ids).padStart(3, '0')}`
    const done = this.store.update((tx) => {
      const job = spec.Mode?.ReplicatedJob !== undefined || spec.Mode?.GlobalJob !== undefined
      tx.create('services', {
        id,
        spec,
        specVersion: 0,
        ...(job ? { jobStatus: { iteration: 0, lastExecutionMs: tx.nowMs } } : {}),
      })
    })
    await this.#wait(done)
    return id
  }

  /** Does to the objects what `service update` does. */
  async updateService(id: string, change: (spec: ServiceSpec) => ServiceSpec): Promise<void> {
    const done = this.store.update((tx) => {
      const service = tx.services.get(id)
      if (service === undefined) throw new Error(`no service ${id}`)
      tx.update('services', id, {
        spec: change(service.spec),
        specVersion: service.version,
        previousSpec: service.spec,
        previousSpecVersion: service.specVersion,
        updateStatus: undefined,
        ...(service.jobStatus === undefined
          ? {}
          : { jobStatus: { iteration: service.jobStatus.iteration + 1, lastExecutionMs: tx.nowMs } }),
      })
    })
    await this.#wait(done)
  }

  async rollbackService(id: string): Promise<void> {
    const done = this.store.update((tx) => {
      const service = tx.services.get(id)
      if (service?.previousSpec === undefined) throw new Error(`no previous spec of ${id}`)
      tx.update('services', id, {
        spec: service.previousSpec,
        specVersion: service.previousSpecVersion ?? 0,
        previousSpec: service.spec,
        previousSpecVersion: service.specVersion,
        updateStatus: {
          state: 'rollback_started',
          startedAtMs: tx.nowMs,
          message: 'manually requested rollback',
        },
      })
    })
    await this.#wait(done)
  }

  async removeService(id: string): Promise<void> {
    await this.#wait(this.store.update((tx) => tx.remove('services', id)))
  }

  async updateNode(id: string, patch: Partial<Pick<Node, 'spec' | 'status' | 'description'>>): Promise<void> {
    const done = this.store.update((tx) => {
      tx.update('nodes', id, patch)
    })
    await this.#wait(done)
  }

  async setAvailability(id: string, Availability: string): Promise<void> {
    const spec = this.store.view.nodes.get(id)?.spec ?? {}
    await this.updateNode(id, { spec: { ...spec, Availability } })
  }

  async setNodeState(id: string, state: Node['status']['state']): Promise<void> {
    await this.updateNode(id, { status: { state, message: '', addr: '10.0.0.1' } })
    for (const task of this.store.view.tasks.by('node', id)) this.#think(task)
  }

  async removeNode(id: string): Promise<void> {
    const done = this.store.update((tx) => {
      for (const task of tx.tasks.by('node', id)) {
        if (task.status.state >= TaskState.Complete) continue
        tx.update('tasks', task.id, { status: this.#status(TaskState.Orphaned) })
      }
      tx.remove('nodes', id)
    })
    await this.#wait(done)
  }

  /** An agent's report. Waits for its commit. */
  async report(taskId: string, state: TaskState, appliedAtMs = this.env.nowMs()): Promise<void> {
    const status = { ...this.#status(state), appliedAtMs }
    await this.#wait(
      this.store.update((tx) => {
        tx.update('tasks', taskId, { status })
      }),
    )
  }

  async assign(taskId: string, nodeId: string): Promise<void> {
    const status = this.#status(TaskState.Assigned)
    await this.#wait(
      this.store.update((tx) => {
        tx.update('tasks', taskId, { nodeId, status })
      }),
    )
  }

  // What tests look at.

  service(id: string): Service {
    const service = this.store.view.services.get(id)
    if (service === undefined) throw new Error(`no service ${id}`)
    return service
  }

  tasks(serviceId: string): readonly Task[] {
    return this.store.view.tasks.by('service', serviceId)
  }

  live(serviceId: string): readonly Task[] {
    return this.tasks(serviceId).filter((task) => task.desiredState <= TaskState.Running)
  }

  running(serviceId: string): readonly Task[] {
    return this.live(serviceId).filter((task) => task.status.state === TaskState.Running)
  }

  // How it works.

  #newStore(): Store {
    const term = this.#term
    const proposer: Proposer = { propose: (data) => this.#propose(data, term, store) }
    const store = new Store(this.env, proposer)
    return store
  }

  #newRunner(): LoopRunner {
    return new LoopRunner(this.env, this.store, this.loops)
  }

  #propose(data: Uint8Array, _term: number, store: Store): number {
    if (store !== this.store) throw new Error('not the leader')
    this.#queue.push({ data })
    this.entries++
    const term = this.#term
    this.env.after(this.#options.commitMs ?? 2, () => {
      if (term === this.#term) this.#commitNext()
    })
    return ++this.#index
  }

  #commitNext(): void {
    const entry = this.#queue.shift()
    if (entry === undefined) return
    const index = this.store.appliedIndex + 1
    this.store.apply(index, entry.data)
    // As over the network: other bytes.
    this.#follower.apply(index, Uint8Array.from(entry.data))
  }

  #commitAll(): void {
    while (this.#queue.length > 0) this.#commitNext()
  }

  #lead(): void {
    const { store } = this
    this.#runner.start()
    store.watch(({ changes }) => {
      for (const change of changes) {
        const disruption = this.#disruptions.note(store.view, change)
        if (disruption !== undefined) this.violations.push(disruption)
        if (change.table !== 'tasks') continue
        this.#check(change.before, change.after)
        if (store === this.store && change.after !== undefined) this.#think(change.after)
      }
    })
    for (const task of store.view.tasks.list()) this.#think(task)
  }

  #check(before: Task | undefined, after: Task | undefined): void {
    if (before === undefined) return
    if (after === undefined) {
      const { state } = before.status
      const runs = state >= TaskState.Assigned && state <= TaskState.Running
      if (runs) this.violations.push(`task ${before.id} deleted in state ${state}`)
      return
    }
    if (after.status.state < before.status.state) {
      this.violations.push(`observed state of ${after.id} went back`)
    }
    if (after.desiredState < before.desiredState)
      this.violations.push(`desired state of ${after.id} went back`)
    if (before.nodeId !== undefined && after.nodeId !== before.nodeId) {
      this.violations.push(`task ${after.id} changed its node`)
    }
  }

  /** What allocator, scheduler and agent will do next about a task. */
  #think(task: Task): void {
    if (this.#options.agents === false) return
    const next = this.#nextStep(task)
    if (next === undefined) return
    const term = this.#term
    this.env.after(next.delayMs, () => {
      if (term !== this.#term) return
      void this.store
        .update((tx) => {
          const now = tx.tasks.get(task.id)
          if (now === undefined || this.#nextStep(now)?.state !== next.state) return
          if (now.status.state !== task.status.state) return
          const placed = next.state === TaskState.Assigned && now.nodeId === undefined
          const nodeId = placed ? this.#chooseNode(tx, now) : undefined
          if (placed && nodeId === undefined) {
            this.env.after(500, () => this.#think(this.store.view.tasks.get(task.id) ?? task))
            return
          }
          tx.update('tasks', task.id, {
            status: this.#status(next.state),
            ...(nodeId === undefined ? {} : { nodeId }),
          })
        })
        .catch((error: unknown) => {
          if (this.store.view.tasks.get(task.id) !== undefined && term === this.#term) throw error
        })
    })
  }

  #nextStep(task: Task): { readonly state: TaskState; readonly delayMs: number } | undefined {
    const { state } = task.status
    const desired = task.desiredState
    const behaviour = this.behaviours.get(task.spec.ContainerSpec?.Image ?? '') ?? {}
    const jitter = () => 1 + this.env.randomInt(20)
    if (state > TaskState.Running) return undefined
    if (state < TaskState.Assigned) {
      if (this.#options.placement === false) return undefined
      if (desired > TaskState.Complete) return undefined
      return { state: state === TaskState.New ? TaskState.Pending : TaskState.Assigned, delayMs: jitter() }
    }
    const node = this.store.view.nodes.get(task.nodeId ?? '')
    if (node === undefined || node.status.state === 'down' || this.silent.has(node.id)) return undefined
    if (desired >= TaskState.Shutdown)
      return { state: TaskState.Shutdown, delayMs: behaviour.stopMs ?? jitter() }
    switch (state) {
      case TaskState.Assigned:
        return { state: TaskState.Accepted, delayMs: jitter() }
      case TaskState.Accepted:
        return { state: TaskState.Preparing, delayMs: jitter() }
      case TaskState.Preparing:
        return {
          state: behaviour.refuses === 'rejected' ? TaskState.Rejected : TaskState.Ready,
          delayMs: jitter(),
        }
      case TaskState.Ready:
        return desired > TaskState.Ready ? { state: TaskState.Starting, delayMs: jitter() } : undefined
      case TaskState.Starting:
        return {
          state: behaviour.refuses === 'failed' ? TaskState.Failed : TaskState.Running,
          delayMs: behaviour.startMs ?? jitter(),
        }
      case TaskState.Running:
        if (behaviour.endsAfterMs === undefined) return undefined
        return { state: behaviour.endState ?? TaskState.Failed, delayMs: behaviour.endsAfterMs }
      default:
        return undefined
    }
  }

  #chooseNode(tx: View, task: Task): string | undefined {
    const constraints = parseConstraints(task.spec.Placement?.Constraints ?? [])
    const usable = tx.nodes.list().filter((node) => {
      const active = (node.spec.Availability ?? 'active') === 'active'
      return active && node.status.state === 'ready' && nodeMatches(constraints, node)
    })
    const load = (node: Node) =>
      tx.tasks
        .by('node', node.id)
        .filter((task) => task.desiredState <= TaskState.Complete && task.status.state <= TaskState.Running)
        .length
    return usable.map((node) => ({ id: node.id, load: load(node) })).sort((a, b) => a.load - b.load)[0]?.id
  }

  #status(state: TaskState): TaskStatus {
    return {
      state,
      timestampMs: this.env.nowMs(),
      appliedAtMs: this.env.nowMs(),
      message: '',
      ...(state === TaskState.Running ? { container: { containerId: 'c', pid: 1, exitCode: 0 } } : {}),
    }
  }

  async #wait(done: Promise<void>): Promise<void> {
    const state = { settled: false }
    const end = done.finally(() => {
      state.settled = true
    })
    await settle()
    while (!state.settled) await this.run(1)
    await end
    await this.#settle()
  }

  /** Loops let others run by `setImmediate`: a few turns are enough for each of their steps. */
  async #settle(): Promise<void> {
    for (let turn = 0; turn < 4; turn++) await settle()
  }
}

export function replicated(name: string, replicas: number, more: Partial<ServiceSpec> = {}): ServiceSpec {
  return {
    Name: name,
    Mode: { Replicated: { Replicas: replicas } },
    TaskTemplate: { ContainerSpec: { Image: 'app:1' } },
    ...more,
  }
}

export function withImage(Image: string, more: Partial<ServiceSpec> = {}) {
  return (spec: ServiceSpec): ServiceSpec => ({
    ...spec,
    ...more,
    TaskTemplate: { ...spec.TaskTemplate, ContainerSpec: { ...spec.TaskTemplate?.ContainerSpec, Image } },
  })
}
