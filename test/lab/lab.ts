import { TestCluster, type ClusterNode } from '../lib/cluster.js'
import { eventually } from '../lib/eventually.js'
import { Namespaces } from '../lib/namespaces.js'
import { seededRandom } from '../lib/simulated-env.js'
import { addRegister, Client, create, verify } from './clients.js'
import type { Damage, Fault } from './faults.js'
import { History } from './history.js'

const managerCount = 3
const workerCount = 2
const nodeCount = managerCount + workerCount
const replicas = 4
const registerCount = 3
const settleMs = 90_000

/** What a round was like. Times are since the fault, in ms. */
export interface Round {
  readonly number: number
  readonly fault: Fault
  /** Until a write that was begun afterwards was acknowledged by some manager that lives. */
  readonly writableMs: number
  /** … by each of them. */
  readonly writableEverywhereMs: number
  /** Until all tasks of the worker that died ran elsewhere. */
  readonly tasksElsewhereMs?: number
  readonly answered: number
  readonly refused: number
  /** What there is to say of the way back. */
  readonly note?: string
}

export interface LabOptions {
  readonly random: () => number
  /** Networks and disks of the nodes' own; else all are at 127.0.0.x. */
  readonly isolated: boolean
  /** How long a fault lasts at most, beyond what is waited for. */
  readonly holdMs: number
}

interface ListedNode {
  readonly ID: string
  readonly Description: { readonly Hostname: string }
  readonly Status: { readonly State: string }
  readonly ManagerStatus?: { readonly Leader?: boolean; readonly Reachability: string }
}

interface ListedTask {
  readonly NodeID?: string
  readonly Slot: number
  readonly Status: { readonly State: string }
}

/** Three managers and two workers with a service, clients at each manager, and faults one after the other. */
export class Lab {
  readonly cluster: TestCluster
  readonly history = new History()
  readonly rounds: Round[] = []
  readonly random: () => number
  readonly #namespaces: Namespaces | undefined
  readonly #holdMs: number
  #leader: ClusterNode | undefined

  private constructor(cluster: TestCluster, namespaces: Namespaces | undefined, options: LabOptions) {
    this.cluster = cluster
    this.#namespaces = namespaces
    this.random = options.random
    this.#holdMs = options.holdMs
  }

  static async start(options: LabOptions): Promise<Lab> {
    const namespaces = options.isolated ? await Namespaces.create(nodeCount) : undefined
    const started: { cluster?: TestCluster } = {}
    try {
      const isolated = namespaces && { sites: namespaces.sites, port: 2377, detectAddresses: true }
      started.cluster = await TestCluster.start(nodeCount, [], isolated)
      const lab = new Lab(started.cluster, namespaces, options)
      await lab.#found()
      return lab
    } catch (error) {
      await started.cluster?.stop()
      await namespaces?.stop()
      throw error
    }
  }

  async stop(): Promise<void> {
    // Whoever is stopped hears no other signal.
    for (const { skepd } of this.cluster.nodes) skepd.signal('SIGCONT')
    await this.cluster.stop()
    await this.#namespaces?.stop()
  }

  get managers(): readonly ClusterNode[] {
    return this.cluster.nodes.slice(0, managerCount)
  }

  /** As of the beginning of the round. */
  get leader(): ClusterNode {
    if (this.#leader === undefined) throw new Error('nobody has looked for the leader yet')
    return this.#leader
  }

  get namespaces(): Namespaces {
    if (this.#namespaces === undefined) throw new Error('the nodes share one network')
    return this.#namespaces
  }

  /** Number of a node's host. */
  hostOf(node: ClusterNode): number {
    return this.cluster.nodes.indexOf(node) + 1
  }

  someFollower(): ClusterNode {
    const followers = this.managers.filter((manager) => manager !== this.leader)
    return this.#pick(followers)
  }

  /** The worker with the most tasks. */
  async busyWorker(): Promise<ClusterNode> {
    const nodes = await this.#nodes(this.leader)
    const tasks = await this.#tasks(this.leader)
    const load = ({ name }: ClusterNode) => {
      const id = nodes.find(({ Description }) => Description.Hostname === name)?.ID
      return tasks.filter(({ NodeID }) => NodeID === id).length
    }
    const [first, ...rest] = this.cluster.nodes.slice(managerCount)
    if (first === undefined) throw new Error('there are no workers')
    return rest.reduce((best, worker) => (load(worker) > load(best) ? worker : best), first)
  }

  /** Whether a manager answers, and the others see it. */
  async isBack(node: ClusterNode): Promise<boolean> {
    for (const manager of this.managers) {
      const listed = await this.#nodes(manager)
      const own = listed.find(({ Description }) => Description.Hostname === node.name)
      if (own?.Status.State !== 'ready' || own.ManagerStatus?.Reachability !== 'reachable') return false
    }
    return true
  }

  /** What an operator does with a manager whose disk is broken: takes it out, and lets it join anew. */
  async replace(node: ClusterNode): Promise<void> {
    const other = this.#pick(this.managers.filter((manager) => manager !== node))
    await other.docker.ok(`node demote ${node.name}`)
    await node.docker.ok('swarm leave --force')
    await eventually(
      `${node.name} to be down`,
      async () => {
        const list = await this.cluster.list(this.hostOf(other))
        return list.includes(`${node.name} down active`)
      },
      settleMs,
    )
    await other.docker.ok(`node rm ${node.name}`)
    await this.cluster.join(this.hostOf(node), 'manager', this.hostOf(other))
  }

  /** One fault, from a healthy cluster to a healthy cluster. */
  async round(fault: Fault): Promise<Round> {
    const number = this.rounds.length + 1
    await this.#settled()
    await fault.prepare?.(this)
    await this.#settled()
    const clients = this.managers.flatMap((manager) =>
      [1, 2].map((index) => {
        const random = seededRandom(Math.floor(this.random() * 2 ** 32))
        return new Client(this.history, manager, `r${number}-${manager.name}-${index}`, random)
      }),
    )
    const work = clients.map((client) => client.answered + 5 + Math.floor(this.random() * 20))
    await eventually(
      'clients at work',
      () => clients.every((client, index) => client.answered >= (work[index] ?? 0)),
      settleMs,
    )
    const damage = await fault.strike(this)
    const times = await this.#recovery(number, damage)
    await new Promise((resolve) => setTimeout(resolve, this.random() * this.#holdMs))
    const note = await damage.mend()
    await this.#settled()
    await Promise.all(clients.map((client) => client.stop()))
    for (const manager of this.managers) await verify(this.history, manager)
    const sum = (of: (client: Client) => number) => clients.reduce((total, client) => total + of(client), 0)
    const round = {
      number,
      fault,
      ...times,
      answered: sum(({ answered }) => answered),
      refused: sum(({ refused }) => refused),
      ...(note !== undefined && { note }),
    }
    this.rounds.push(round)
    return round
  }

  /** What is measured, while the fault lasts. */
  async #recovery(
    number: number,
    { atMs, broken, deadWorker }: Damage,
  ): Promise<Pick<Round, 'writableMs' | 'writableEverywhereMs' | 'tasksElsewhereMs'>> {
    const living = this.managers.filter((manager) => !broken.includes(manager))
    const writes = living.map(async (manager) => {
      for (let turn = 0; ; turn++) {
        const name = `r${number}-${manager.name}-after-${turn}`
        if (await create(this.history, manager, name, settleMs)) return performance.now() - atMs
        if (performance.now() - atMs > settleMs) throw new Error(`${manager.name} takes no writes`)
      }
    })
    const elsewhere =
      deadWorker === undefined ? undefined : this.#tasksElsewhere(this.#pick(living), deadWorker, atMs)
    const writableMs = await Promise.all(writes)
    const tasksElsewhereMs = await elsewhere
    return {
      writableMs: Math.min(...writableMs),
      writableEverywhereMs: Math.max(...writableMs),
      ...(tasksElsewhereMs !== undefined && { tasksElsewhereMs }),
    }
  }

  #tasksElsewhere(manager: ClusterNode, dead: ClusterNode, atMs: number): Promise<number> {
    return eventually(
      `the tasks of ${dead.name} elsewhere`,
      async () => {
        const nodes = await this.#nodes(manager)
        const deadId = nodes.find(({ Description }) => Description.Hostname === dead.name)?.ID
        const running = (await this.#tasks(manager)).filter(
          ({ Status, NodeID }) => Status.State === 'running' && NodeID !== deadId,
        )
        return new Set(running.map(({ Slot }) => Slot)).size === replicas && performance.now() - atMs
      },
      settleMs,
    )
  }

  async #found(): Promise<void> {
    const { cluster } = this
    await cluster.init()
    for (let number = 2; number <= nodeCount; number++) {
      await cluster.join(number, number <= managerCount ? 'manager' : 'worker')
    }
    const { docker } = cluster.node(1)
    const flags = `--detach --replicas ${replicas} --constraint node.role==worker`
    await docker.ok(`service create ${flags} --name web busybox sleep 1000000`)
    await this.#settled()
    for (let number = 1; number <= registerCount; number++) {
      await addRegister(this.history, cluster.node(1), `register-${number}`)
    }
  }

  /** Waits until all nodes are well and all tasks run; notes who leads. */
  async #settled(): Promise<void> {
    await eventually(
      'a healthy cluster',
      async () => {
        for (const manager of this.managers) {
          const nodes = await this.#nodes(manager)
          const voters = nodes.filter(({ ManagerStatus }) => ManagerStatus?.Reachability === 'reachable')
          const ready = nodes.filter(({ Status }) => Status.State === 'ready')
          if (voters.length !== managerCount || ready.length !== nodeCount || nodes.length !== nodeCount)
            return false
          const name = nodes.find(({ ManagerStatus }) => ManagerStatus?.Leader === true)?.Description.Hostname
          this.#leader = this.managers.find((manager) => manager.name === name)
        }
        const tasks = await this.#tasks(this.leader)
        return tasks.filter(({ Status }) => Status.State === 'running').length === replicas
      },
      settleMs,
    )
  }

  async #nodes({ skepd }: ClusterNode): Promise<readonly ListedNode[]> {
    const reply = await skepd.request('GET', '/nodes')
    if (reply.status !== 200) throw new Error(reply.text)
    return reply.json() as readonly ListedNode[]
  }

  /** Those that are to run. */
  async #tasks({ skepd }: ClusterNode): Promise<readonly ListedTask[]> {
    const filters = JSON.stringify({ service: ['web'], 'desired-state': ['running'] })
    const reply = await skepd.request('GET', `/tasks?filters=${encodeURIComponent(filters)}`)
    if (reply.status !== 200) throw new Error(reply.text)
    return reply.json() as readonly ListedTask[]
  }

  #pick<T>(list: readonly T[]): T {
    const item = list[Math.floor(this.random() * list.length)]
    if (item === undefined) throw new Error('there is nothing to choose from')
    return item
  }
}
