import { allocatorLoop } from '../../allocator/index.js'
import { Dispatcher } from '../../dispatcher/index.js'
import { sleep, type Env } from '../../env/env.js'
import type { Node } from '../../model/objects.js'
import { orchestratorLoops } from '../../orchestrator/index.js'
import { ClusterFacts } from '../../scheduler/cluster-facts.js'
import { schedulerLoop } from '../../scheduler/index.js'
import { Planner } from '../../scheduler/planner.js'
import { LoopRunner } from '../../store/loop.js'
import { emptyTables } from '../../store/schema.js'
import type { Store } from '../../store/store.js'
import { encodeMessage, protocolVersion, type AgentMessage, type Connection } from '../../wire/index.js'
import { nodeCount, nodes, services, storeOf, taskCount, tasks, taskSpec } from './large-cluster.js'

/** What a manager's parts cost in a large cluster. Less is better; there is nothing to compare with but the goal. */
export interface ClusterFigure {
  readonly name: string
  readonly unit: string
  readonly goal: number
  readonly run: (env: Env) => Promise<number>
}

const settlingRounds = 30
const quietPercent = 5
const loops = [...orchestratorLoops, allocatorLoop, schedulerLoop]
const thousands = (count: number) => count.toLocaleString('en')

export const clusterFigures: readonly ClusterFigure[] = [
  {
    name: `decisions, ${thousands(taskCount)} tasks, ${thousands(nodeCount)} nodes`,
    unit: 'ms',
    goal: 1000,
    run: (env) => Promise.resolve(best(3, () => decisionMs(env))),
  },
  { name: 'longest stretch of an update, 10,000 tasks', unit: 'ms', goal: 10, run: updateStretchMs },
  { name: 'idle: loops', unit: '% CPU', goal: 2, run: (env) => idlePercent(env, false) },
  { name: 'idle: loops and heartbeats', unit: '% CPU', goal: 2, run: (env) => idlePercent(env, true) },
]

function best(rounds: number, measure: () => number): number {
  return Math.min(...Array.from({ length: rounds }, measure))
}

/** Time of the planner alone; what it decides is written elsewhere. */
function decisionMs(env: Env): number {
  const planner = new Planner(new ClusterFacts(emptyTables()))
  for (const node of nodes()) planner.setNode(node)
  for (const task of tasks(services(), 'pending')) planner.setTask(task)
  const startMs = env.monotonicMs()
  let placed = 0
  for (let decisions = planner.step(startMs); decisions.length > 0; decisions = planner.step(startMs))
    placed += decisions.length
  const tookMs = env.monotonicMs() - startMs
  if (placed !== taskCount) throw new Error(`only ${placed} of ${taskCount} tasks were placed`)
  return tookMs
}

/**
 * The longest time for which nothing else of the process had its turn while a service of 10,000 tasks was
 * updated: the middle one of several updates, as the machine may do something else meanwhile.
 */
async function updateStretchMs(env: Env): Promise<number> {
  const [service] = services(1, 10_000)
  if (service === undefined) throw new Error('there is no service')
  const all = { nodes: nodes(), services: [service], tasks: tasks([service], 'running') }
  const stretches: number[] = []
  for (let round = 0; round < 5; round++) {
    const store = storeOf(env, all)
    const runner = new LoopRunner(env, store, orchestratorLoops)
    runner.start()
    await sleep(env, 500)
    stretches.push(await longestStretchMs(env, () => update(store, service.id)))
    await runner.stop()
  }
  return stretches.sort((a, b) => a - b)[2] ?? 0
}

async function update(store: Store, id: string): Promise<void> {
  await store.update((tx) => {
    const { spec, specVersion } = tx.services.get(id) ?? { spec: {}, specVersion: 0 }
    const changed = { ...spec, TaskTemplate: taskSpec(0, 'busybox:2') }
    tx.update('services', id, { spec: changed, specVersion: specVersion + 1 })
  })
}

/** From the start of `work` until its effects have had a second. */
async function longestStretchMs(env: Env, work: () => Promise<void>): Promise<number> {
  let longestMs = 0
  let lastMs = env.monotonicMs()
  let isOver = false
  const look = () => {
    const nowMs = env.monotonicMs()
    longestMs = Math.max(longestMs, nowMs - lastMs)
    lastMs = nowMs
    if (!isOver) setImmediate(look)
  }
  look()
  await work()
  await sleep(env, 1000)
  isOver = true
  return longestMs
}

/** Share of one core that a steady cluster costs its leader; without TLS and network. */
async function idlePercent(env: Env, withHeartbeats: boolean): Promise<number> {
  const running = services()
  const store = storeOf(env, { nodes: nodes(), services: running, tasks: tasks(running, 'running') })
  const runner = new LoopRunner(env, store, loops)
  const dispatcher = new Dispatcher(env, store, { managerId: 'bench' })
  runner.start()
  if (withHeartbeats) {
    dispatcher.start()
    for (const node of store.view.nodes.list()) {
      new QuietWorker(env).open(dispatcher, node)
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
  // The first look at everything takes some seconds; what never becomes quiet is measured all the same.
  let percent = 100
  for (let round = 0; round < settlingRounds && percent > quietPercent; round++)
    percent = await processorPercent(env, 1000)
  percent = await processorPercent(env, 10_000)
  await Promise.all([runner.stop(), dispatcher.stop()])
  return percent
}

async function processorPercent(env: Env, durationMs: number): Promise<number> {
  const before = process.cpuUsage()
  const startMs = env.monotonicMs()
  await sleep(env, durationMs)
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 10 / (env.monotonicMs() - startMs)
}

/** The other end of a session: says hello, and beats when it is told to. */
class QuietWorker implements Connection {
  readonly bufferedAmount = 0
  readonly #env: Env
  #receive: (data: string) => void = () => undefined
  #cancelBeat: () => void = () => undefined

  constructor(env: Env) {
    this.#env = env
  }

  open(dispatcher: Dispatcher, { id, description }: Node): void {
    dispatcher.accept(this, { nodeId: id }, '10.0.0.1')
    if (description !== undefined) this.#say({ type: 'hello', protocol: protocolVersion, description })
  }

  /** Manager's messages start with their type; of all of them only these two say when to beat. */
  send(data: string | Uint8Array): void {
    const period = /"(?:heartbeatPeriodMs|periodMs)":(\d+)/.exec(String(data).slice(0, 300))?.[1]
    if (period === undefined) return
    this.#cancelBeat()
    this.#cancelBeat = this.#env.after(Number(period), () => this.#say({ type: 'heartbeat' }))
  }

  close(): void {
    this.#cancelBeat()
  }

  onMessage(listener: (data: string | Buffer) => void): void {
    this.#receive = listener
  }

  onClose(): void {
    // It never closes by itself.
  }

  #say(message: AgentMessage): void {
    this.#receive(encodeMessage(message))
  }
}
