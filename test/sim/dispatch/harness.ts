import assert from 'node:assert/strict'
import { Agent, type TaskStorage } from '../../../src/agent/index.js'
import { Dispatcher } from '../../../src/dispatcher/index.js'
import type { Env } from '../../../src/env/env.js'
import type { Task } from '../../../src/model/objects.js'
import { TaskState } from '../../../src/model/task-state.js'
import type { Store } from '../../../src/store/store.js'
import { aNode, aTask, newObject } from '../../lib/builders.js'
import { FakeExecutor } from '../../lib/fake-executor.js'
import { instantStore } from '../../lib/instant-store.js'
import { MemoryLink } from '../../lib/memory-connection.js'
import { MemoryTaskStorage } from '../../lib/memory-task-storage.js'
import { SimulatedEnv } from '../../lib/simulated-env.js'

/** One run of an agent's process: killed, nothing of it happens any more. */
class Process {
  isAlive = true
  readonly env: Env

  constructor(env: Env) {
    this.env = {
      ...envMethods(env),
      after: (delayMs, fn) => env.after(delayMs, () => (this.isAlive ? fn() : undefined)),
    }
  }
}

function envMethods(env: Env): Env {
  return {
    nowMs: () => env.nowMs(),
    monotonicMs: () => env.monotonicMs(),
    after: (delayMs, fn) => env.after(delayMs, fn),
    randomInt: (bound) => env.randomInt(bound),
    randomBytes: (length) => env.randomBytes(length),
    log: env.log,
  }
}

class SimNode {
  readonly id: string
  readonly engine: FakeExecutor
  readonly disk = new MemoryTaskStorage()
  process: Process
  agent: Agent
  link: MemoryLink | undefined

  constructor(id: string, env: SimulatedEnv) {
    this.id = id
    this.engine = new FakeExecutor(env)
    this.process = new Process(env)
    this.agent = undefined as never
  }
}

/**
 * Nodes with agents and a dispatcher, over connections that have latency and break. Task states that go
 * back, and containers that are made twice, are found at once.
 */
export class DispatchHarness {
  readonly env: SimulatedEnv
  readonly store: Store
  readonly nodes: SimNode[] = []
  readonly violations: string[] = []
  /** Whether increments of assignments get lost now and then. */
  losesIncrements = true
  #dispatcher: Dispatcher
  #leaderships = 1
  #tasks = 0

  constructor(seed: number) {
    this.env = new SimulatedEnv(seed)
    this.store = instantStore(this.env)
    this.#dispatcher = new Dispatcher(this.env, this.store, { managerId: 'm1' })
    this.store.watch(({ changes }) => {
      for (const change of changes) {
        if (change.table !== 'tasks' || change.before === undefined || change.after === undefined) continue
        const [from, to] = [change.before.status.state, change.after.status.state]
        if (to < from) this.violations.push(`${change.id} went back from ${from} to ${to}`)
      }
    })
  }

  async start(nodeCount: number): Promise<void> {
    await this.store.update((tx) => {
      for (let number = 1; number <= nodeCount; number++)
        tx.create('nodes', newObject(aNode({ id: `n${number}` })))
      for (let number = 1; number <= 3; number++) {
        const Data = Buffer.from(`secret ${number}`).toString('base64')
        const spec = { Name: `s${number}`, Data }
        tx.create('secrets', { id: `s${number}`, spec })
      }
    })
    this.#dispatcher.start()
    for (const { id } of this.store.view.nodes.list()) {
      const node = new SimNode(id, this.env)
      node.engine.behaviours.set('slow', { prepareMs: 3000, startMs: 500, stopMs: 2000 })
      node.engine.behaviours.set('job', { startMs: 20, exit: { code: 0, afterMs: 4000 } })
      node.engine.behaviours.set('crash', { exit: { code: 3, afterMs: 1500 } })
      node.engine.behaviours.set('flaky', { prepareFailures: 2, removeFailures: 1 })
      node.engine.behaviours.set('broken', { prepareError: 'No such image: broken' })
      this.nodes.push(node)
      this.boot(node)
    }
  }

  /** Starts the agent's process on what disk and engine hold. */
  boot(node: SimNode): void {
    const process = new Process(this.env)
    node.process = process
    node.agent = new Agent(process.env, {
      nodeId: node.id,
      hostname: node.id,
      executor: new FakeExecutor(process.env, node.engine),
      dbPath: '',
      storage: diskOf(process, node.disk),
      dial: () => this.#dial(node, process),
    })
    node.agent
      .start()
      .catch((error: unknown) => this.violations.push(`agent did not start: ${String(error)}`))
  }

  /** The process is gone in the middle of whatever it did; the host resets its connections. */
  kill(node: SimNode): void {
    node.process.isAlive = false
    node.link?.cut()
  }

  async changeLeader(): Promise<void> {
    const old = this.#dispatcher
    this.#leaderships++
    this.#dispatcher = new Dispatcher(this.env, this.store, { managerId: `m${this.#leaderships}` })
    await old.stop()
    this.#dispatcher.start()
  }

  /** @returns the node that the task is for. */
  createTask(node = this.#pick(this.nodes)): SimNode {
    const id = `t${String(++this.#tasks).padStart(4, '0')}`
    const image = this.#pick(['steady', 'steady', 'slow', 'job', 'crash', 'flaky', 'broken'])
    const secretIds = ['s1', 's2', 's3'].slice(0, this.env.randomInt(4))
    const task = aTask({
      id,
      nodeId: node.id,
      spec: { ContainerSpec: { Image: image, Secrets: secretIds.map((SecretID) => ({ SecretID })) } },
      desiredState: this.env.randomInt(4) === 0 ? TaskState.Ready : TaskState.Running,
      status: { state: TaskState.Assigned, timestampMs: 0, message: 'scheduler assigned task to node' },
    })
    this.#write(() => this.store.update((tx) => void tx.create('tasks', newObject(task))))
    return node
  }

  /** READY to RUNNING to SHUTDOWN to gone. */
  advanceTask(): void {
    const tasks = this.store.view.tasks.list()
    if (tasks.length === 0) return
    const { id, desiredState, status } = this.#pick(tasks)
    this.#write(() =>
      this.store.update((tx) => {
        if (tx.tasks.get(id) === undefined) return
        if (desiredState === TaskState.Ready) tx.update('tasks', id, { desiredState: TaskState.Running })
        else if (desiredState === TaskState.Running)
          tx.update('tasks', id, { desiredState: TaskState.Shutdown })
        else if (status.state > TaskState.Running || this.env.randomInt(4) === 0) tx.remove('tasks', id)
      }),
    )
  }

  /** What must be true once all is quiet: every end knows the same, and it is what was wanted. */
  checkConverged(): void {
    assert.deepEqual(this.violations, [])
    for (const node of this.nodes) {
      assert.equal(this.store.view.nodes.get(node.id)?.status.state, 'ready', node.id)
      const tasks = this.store.view.tasks.by('node', node.id)
      for (const task of tasks) this.#checkTask(node, task)
      const known = new Set(tasks.map(({ id }) => id))
      const leftovers = [...node.engine.containers.keys()].filter((id) => !known.has(id))
      assert.deepEqual(leftovers, [], `containers without a task on ${node.id}`)
      assert.deepEqual(
        [...node.disk.rows.keys()].sort(),
        [...known].sort(),
        `tasks on the disk of ${node.id}`,
      )
      assert.deepEqual(
        node.engine.made.filter((id, at) => node.engine.made.indexOf(id) !== at),
        [],
        `containers made twice on ${node.id}`,
      )
    }
  }

  #checkTask(node: SimNode, { id, desiredState, spec, status }: Task): void {
    const image = spec.ContainerSpec?.Image ?? ''
    const container = node.engine.containers.get(id)
    const { appliedAtMs: _at, appliedBy: _by, ...reported } = status
    const own = node.disk.rows.get(id)
    assert.deepEqual(reported, own?.status, `status of ${id} (${image}) at both ends`)
    const what = `${id} (${image}, desired ${desiredState}, is ${status.state}: ${status.err ?? status.message})`
    if (desiredState === TaskState.Shutdown) {
      assert.ok(status.state >= TaskState.Complete, what)
      assert.notEqual(container?.state, 'running', what)
      return
    }
    const ends: Readonly<Record<string, number>> = {
      broken: TaskState.Rejected,
      job: TaskState.Complete,
      crash: TaskState.Failed,
    }
    const end = ends[image] ?? TaskState.Running
    if (desiredState === TaskState.Ready) {
      assert.equal(status.state, image === 'broken' ? TaskState.Rejected : TaskState.Ready, what)
      return
    }
    assert.equal(status.state, end, what)
    if (end === TaskState.Running) assert.equal(container?.state, 'running', what)
    if (image === 'crash') assert.equal(status.err, 'task: non-zero exit (3)')
  }

  #dial(node: SimNode, process: Process) {
    if (!process.isAlive) return new Promise<never>(() => undefined)
    if (this.env.randomInt(10) === 0) return Promise.reject(new Error('connection refused'))
    // One queue per link: latency differs from message to message, the order stays.
    let lastMs = 0
    const link = new MemoryLink({
      later: (deliver) => {
        lastMs = Math.max(lastMs, this.env.monotonicMs() + this.env.randomInt(20))
        this.env.after(lastMs - this.env.monotonicMs(), deliver)
      },
      loses: (data) =>
        this.losesIncrements &&
        typeof data === 'string' &&
        data.includes('"kind":"incremental"') &&
        this.env.randomInt(20) === 0,
    })
    node.link = link
    this.#dispatcher.accept(link.ends[1], { nodeId: node.id }, '10.0.0.1')
    return Promise.resolve(link.ends[0])
  }

  #write(write: () => Promise<unknown>): void {
    write().catch((error: unknown) => this.violations.push(`a write failed: ${String(error)}`))
  }

  #pick<T>(items: readonly T[]): T {
    const item = items[this.env.randomInt(items.length)]
    assert.ok(item !== undefined)
    return item
  }
}

/** A disk that takes its time, in order; what it had not yet taken when the process died is lost. */
function diskOf({ env }: Process, disk: MemoryTaskStorage): TaskStorage {
  let lastMs = 0
  const later = <T>(fn: () => Promise<T>): Promise<T> =>
    new Promise((resolve, reject) => {
      lastMs = Math.max(lastMs, env.monotonicMs() + env.randomInt(30))
      env.after(lastMs - env.monotonicMs(), () => void fn().then(resolve, reject))
    })
  return {
    load: () => later(() => disk.load()),
    putTasks: (tasks) => later(() => disk.putTasks(tasks)),
    putStatus: (id, status) => later(() => disk.putStatus(id, status)),
    unassign: (ids) => later(() => disk.unassign(ids)),
    remove: (id) => later(() => disk.remove(id)),
    clear: () => later(() => disk.clear()),
    close: () => Promise.resolve(),
  }
}
