import assert from 'node:assert/strict'
import Database from 'better-sqlite3'
import { join } from 'node:path'
import { test } from 'node:test'
import { surviveFaults } from '../lab/survive.js'
import { TestCluster, type ClusterNode } from '../lib/cluster.js'
import { eventually } from '../lib/eventually.js'
import { needs } from '../lib/needs.js'

interface Stored {
  readonly Spec: { readonly Name: string }
}

async function configs(node: ClusterNode): Promise<readonly Stored[]> {
  return eventually(`the configs on ${node.name}`, async () => {
    const reply = await node.skepd.request('GET', '/configs')
    return reply.status === 200 && (reply.json() as Stored[])
  })
}

test(
  'clients lose nothing when daemons die, stand still, or find their database damaged',
  { skip: needs('cli'), timeout: 600_000 },
  (t) =>
    surviveFaults(t, ['kill-leader-and-worker', 'sigstop-leader', 'corrupt-last-page'], { isolated: false }),
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
