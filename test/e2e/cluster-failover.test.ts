import assert from 'node:assert/strict'
import Database from 'better-sqlite3'
import { join } from 'node:path'
import { test } from 'node:test'
import { TestCluster, type ClusterNode } from '../lib/cluster.js'
import { eventually } from '../lib/eventually.js'
import { needs } from '../lib/needs.js'
import { seededRandom } from '../lib/simulated-env.js'

const rounds = Number(process.env['SKEP_FAILOVER_ROUNDS'] ?? 3)
const seed = Number(process.env['SKEP_SEED'] ?? Date.now() % 100_000)

interface Stored {
  readonly ID: string
  readonly Version: { readonly Index: number }
  readonly Spec: { readonly Name: string }
}

/** Writes through one manager after another, and remembers what was acknowledged. */
class Client {
  readonly acknowledged = new Set<string>()
  readonly #nodes: readonly ClusterNode[]
  readonly #name: string
  readonly #stopped = new AbortController()
  readonly #running: Promise<void>
  /** When the last write was acknowledged, and the longest time between two of them. */
  lastMs = performance.now()
  longestGapMs = 0

  constructor(nodes: readonly ClusterNode[], name: string) {
    this.#nodes = nodes
    this.#name = name
    this.#running = this.#run()
  }

  async stop(): Promise<void> {
    this.#stopped.abort()
    await this.#running
  }

  async #run(): Promise<void> {
    for (let turn = 0; !this.#stopped.signal.aborted; turn++) {
      const node = this.#nodes[turn % this.#nodes.length]
      if (node !== undefined && (await this.#write(node, `${this.#name}-${turn}`))) continue
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }

  async #write(node: ClusterNode, name: string): Promise<boolean> {
    try {
      const body = { Name: name, Data: Buffer.from(name).toString('base64') }
      const reply = await node.skepd.request('POST', '/configs/create', { body, timeoutMs: 30_000 })
      if (reply.status !== 201) return false
    } catch {
      // The daemon died under the call: the outcome is open.
      return false
    }
    this.acknowledged.add(name)
    const nowMs = performance.now()
    this.longestGapMs = Math.max(this.longestGapMs, nowMs - this.lastMs)
    this.lastMs = nowMs
    return true
  }
}

async function leaderOf(nodes: readonly ClusterNode[]): Promise<ClusterNode> {
  return eventually('a leader', async () => {
    for (const node of nodes) {
      const reply = await node.skepd.request('GET', '/nodes').catch(() => undefined)
      if (reply?.status !== 200) continue
      const list = reply.json() as {
        Description: { Hostname: string }
        ManagerStatus?: { Leader?: boolean }
      }[]
      const leader = list.find(({ ManagerStatus }) => ManagerStatus?.Leader === true)
      const found = nodes.find(({ name }) => name === leader?.Description.Hostname)
      if (found !== undefined) return found
    }
    return undefined
  })
}

async function configs(node: ClusterNode): Promise<readonly Stored[]> {
  return eventually(`the configs on ${node.name}`, async () => {
    const reply = await node.skepd.request('GET', '/configs')
    return reply.status === 200 && (reply.json() as Stored[])
  })
}

test(
  `three managers: writes on any of them survive the kill -9 of the leader (seed ${seed})`,
  { skip: needs('cli'), timeout: 240_000 },
  async (t) => {
    t.diagnostic(`SKEP_SEED=${seed}`)
    const random = seededRandom(seed)
    const cluster = await TestCluster.start(3)
    t.after(() => cluster.stop())
    const { nodes } = cluster
    await cluster.init()
    await cluster.join(2, 'manager')
    await cluster.join(3, 'manager', 2)
    await eventually('three managers', async () => {
      const list = await cluster.list(3)
      return (
        list.join() ===
        'node-1 ready active leader,node-2 ready active reachable,node-3 ready active reachable'
      )
    })

    const acknowledged = new Set<string>()
    const versions = new Map<string, number>()
    const gapsMs: number[] = []
    for (let round = 0; round < rounds; round++) {
      const leader = await leaderOf(nodes)
      const rest = nodes.filter((node) => node !== leader)
      const clients = [0, 1, 2].map((index) => new Client(nodes, `r${round}-c${index}`))
      const wanted = 10 + Math.floor(random() * 30)
      await eventually('writes', () => clients.every((client) => client.acknowledged.size >= wanted))
      for (const client of clients) client.longestGapMs = 0
      const killedMs = performance.now()
      await leader.skepd.kill()
      const survivors = new Client(rest, `r${round}-after`)
      await eventually('a write after the leader died', () => survivors.acknowledged.size > 0)
      gapsMs.push(survivors.lastMs - killedMs)
      await Promise.all([...clients, survivors].map((client) => client.stop()))
      for (const client of [...clients, survivors])
        for (const name of client.acknowledged) acknowledged.add(name)

      await leader.skepd.restart('SIGKILL')
      for (const node of nodes) {
        const stored = await configs(node)
        const names = new Set(stored.map(({ Spec }) => Spec.Name))
        for (const name of acknowledged)
          assert.ok(names.has(name), `round ${round}: ${name} was acknowledged and ${node.name} has it not`)
        for (const { ID, Version } of stored) {
          assert.ok(Version.Index >= (versions.get(ID) ?? 0), `round ${round}: ${ID} went back`)
          versions.set(ID, Version.Index)
        }
      }
    }
    const text = gapsMs.map((ms) => ms.toFixed(0)).join(', ')
    t.diagnostic(`writable again after ${text} ms; ${acknowledged.size} writes`)
    assert.ok(Math.max(...gapsMs) < 6000, `writable again after ${text} ms`)
  },
)

test(
  'two of three managers gone: the third one says so, and all is well when they are back',
  { skip: needs('cli'), timeout: 120_000 },
  async (t) => {
    const cluster = await TestCluster.start(3)
    t.after(() => cluster.stop())
    const [one, two, three] = [cluster.node(1), cluster.node(2), cluster.node(3)]
    await cluster.init()
    await cluster.join(2, 'manager')
    await cluster.join(3, 'manager')
    const body = { Name: 'kept', Data: 'a2VwdA==' }
    assert.equal((await three.skepd.request('POST', '/configs/create', { body })).status, 201)
    await Promise.all([one, two].map(({ skepd }) => skepd.kill()))
    const text = await eventually('the refusal', async () => {
      const reply = await three.skepd.request('GET', '/configs')
      return reply.status === 500 && (reply.json() as { message: string }).message
    })
    assert.equal(
      text,
      "rpc error: code = Unknown desc = The swarm does not have a leader. It's possible that too few managers are online. Make sure more than half of the managers are online.",
    )
    await Promise.all([one, two].map(({ skepd }) => skepd.restart('SIGKILL')))
    for (const node of cluster.nodes) {
      const names = (await configs(node)).map(({ Spec }) => Spec.Name)
      assert.deepEqual(names, ['kept'])
    }
  },
)

test(
  'a manager that was away for more than the log keeps is sent a snapshot',
  { skip: needs('cli'), timeout: 120_000 },
  async (t) => {
    const cluster = await TestCluster.start(3)
    t.after(() => cluster.stop())
    const [one, three] = [cluster.node(1), cluster.node(3)]
    await cluster.init()
    await cluster.join(2, 'manager')
    await cluster.join(3, 'manager')
    await eventually('three managers', async () => (await cluster.list()).length === 3)
    await three.skepd.kill()
    const count = 1000
    const write = async (from: number) => {
      for (let index = from; index < count; index += 10) {
        const body = { Name: `c${index}`, Data: Buffer.alloc(2000, index).toString('base64') }
        const reply = await one.skepd.request('POST', '/configs/create', { body })
        assert.equal(reply.status, 201, reply.text)
      }
    }
    await Promise.all(Array.from({ length: 10 }, (_, from) => write(from)))
    await eventually('the logs to be cut off', () =>
      [one, cluster.node(2)].every(({ skepd }) => firstLogIndex(skepd.dataRoot) > 100),
    )
    await three.skepd.restart('SIGKILL')
    assert.equal((await configs(three)).length, count)
    assert.match(one.skepd.log() + cluster.node(2).skepd.log(), /sending a snapshot/)

    // What it was sent is on its disk, and it goes on from there.
    const body = { Name: 'last', Data: 'bGFzdA==' }
    assert.equal((await three.skepd.request('POST', '/configs/create', { body })).status, 201)
    await three.skepd.restart('SIGKILL')
    assert.equal((await configs(three)).length, count + 1)
  },
)

/** Where the log of a manager begins, read from its database. */
function firstLogIndex(dataRoot: string): number {
  const database = new Database(join(dataRoot, 'swarm/raft/manager.db'), { readonly: true })
  try {
    const row = database.prepare('SELECT min(entry_index) AS first FROM raft_entries').get() as {
      first: number
    }
    return row.first
  } finally {
    database.close()
  }
}
