import assert from 'node:assert/strict'
import { once } from 'node:events'
import { cpSync, existsSync, readdirSync, readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { TestCluster, type ClusterNode } from '../lib/cluster.js'
import { eventually } from '../lib/eventually.js'
import { fill, inventory } from '../lib/inventory.js'
import { needs } from '../lib/needs.js'
import { Skepd } from '../lib/skepd.js'

const settleMs = 60_000
/** Nodes that do not come back are down after four of these. */
const quickHeartbeats = ['--dispatcher-heartbeat', '1s']

async function nodes({ docker }: Pick<ClusterNode, 'docker'>): Promise<readonly string[]> {
  return (await docker.ok('node ls --format {{.ID}}_{{.Hostname}}')).trim().split('\n').sort()
}

async function start(t: TestContext, count: number): Promise<TestCluster> {
  const cluster = await TestCluster.start(count)
  t.after(() => cluster.stop())
  return cluster
}

test(
  'force-new-cluster on the last of three managers keeps everything, and the others come back to it',
  { skip: needs('cli'), timeout: 240_000 },
  async (t) => {
    const cluster = await start(t, 4)
    const [one, two, three] = [cluster.node(1), cluster.node(2), cluster.node(3)]
    await cluster.init(1, quickHeartbeats)
    await cluster.join(2, 'manager')
    await cluster.join(3, 'manager')
    await cluster.join(4, 'worker')
    await fill(one)
    await eventually(
      'three managers',
      async () => (await cluster.list(3)).join().match(/reachable/g)?.length === 2,
    )
    const before = { ...(await inventory(three)), nodes: await nodes(three) }
    await Promise.all([one, two].map(({ skepd }) => skepd.kill()))

    await three.docker.ok(
      `swarm init --force-new-cluster --advertise-addr ${three.address} --listen-addr ${three.clusterAddr}`,
    )
    assert.deepEqual({ ...(await inventory(three)), nodes: await nodes(three) }, before)
    assert.match(
      await cluster.node(4).docker.fails('swarm init --force-new-cluster'),
      /This node is not a swarm manager. Worker nodes can't be used/,
    )
    await three.docker.ok('config create later -', 'later')
    await eventually(
      'the worker to be back, and the lost managers to be down',
      async () =>
        (await cluster.list(3)).join() ===
        'node-1 down active,node-2 down active,node-3 ready active leader,node-4 ready active',
      settleMs,
    )
    await Promise.all([one, two].map(({ skepd }) => skepd.restart()))
    await eventually(
      'the others to be managers of the new cluster',
      async () => {
        const list = await cluster.list(3)
        const managers = list.filter((line) => /ready active (leader|reachable)$/.test(line))
        return managers.length === 3 && list.includes('node-4 ready active')
      },
      settleMs,
    )
    // It was made anew once; the next start must not do it again.
    assert.doesNotMatch(
      readFileSync(join(three.skepd.dataRoot, 'swarm/node-state.json'), 'utf8'),
      /newCluster/,
    )
    assert.match(await one.docker.ok('config ls'), /later/)
  },
)

test('a kill in the middle of init leaves a whole swarm or none', { timeout: 240_000 }, async (t) => {
  const moments = [
    'swarm/certificates/swarm-node.key',
    'swarm/raft/manager.db',
    'swarm/node-state.json',
    'swarm/raft/manager.db-wal',
  ]
  for (const [index, moment] of moments.entries()) {
    const skepd = await Skepd.start()
    t.after(() => skepd.stop())
    const body = { ListenAddr: `127.0.0.1:0`, AdvertiseAddr: '127.0.0.1' }
    const path = join(skepd.dataRoot, moment)
    const outcome = skepd.request('POST', '/swarm/init', { body }).then(
      ({ status }) => status,
      () => 'broken off' as const,
    )
    await eventually(moment, () => existsSync(path))
    await skepd.kill()
    await skepd.restart()
    const state = await eventually('the swarm to be whole, or none', async () => {
      const { Swarm } = (await skepd.request('GET', '/info')).json() as {
        Swarm: { LocalNodeState: string }
      }
      return ['inactive', 'active'].includes(Swarm.LocalNodeState) && Swarm.LocalNodeState
    })
    t.diagnostic(`${index + 1}. killed at ${moment}: init ${await outcome}, then ${state}`)
    if (state === 'inactive') {
      assert.deepEqual(readdirSync(join(skepd.dataRoot, 'swarm')), [])
      assert.equal((await skepd.request('POST', '/swarm/init', { body })).status, 200)
    }
    const made = await skepd.request('POST', '/configs/create', { body: { Name: 'c', Data: 'Yw==' } })
    assert.equal(made.status, 201, made.text)
  }
})

test(
  'a swarm directory that was copied by hand works elsewhere, once it is told that it is alone',
  { skip: needs('cli'), timeout: 240_000 },
  async (t) => {
    const cluster = await start(t, 3)
    const [one, two, elsewhere] = [cluster.node(1), cluster.node(2), cluster.node(3)]
    const forceNewCluster = `swarm init --force-new-cluster --advertise-addr ${elsewhere.address} --listen-addr ${elsewhere.clusterAddr}`
    await cluster.init(1, quickHeartbeats)
    await cluster.join(2, 'manager')
    await fill(one)
    const before = await inventory(two)
    await Promise.all([one, two, elsewhere].map(({ skepd }) => skepd.terminate()))
    const swarm = join(elsewhere.skepd.dataRoot, 'swarm')
    cpSync(join(two.skepd.dataRoot, 'swarm'), swarm, { recursive: true })

    // Another machine has not the address that is written there.
    const [host, port] = two.clusterAddr.split(':')
    const taken = createServer().listen(Number(port), host)
    await once(taken, 'listening')
    await elsewhere.skepd.restart()
    const info = async () => {
      const { Swarm } = (await elsewhere.skepd.request('GET', '/info')).json() as {
        Swarm: { LocalNodeState: string; Error: string }
      }
      return Swarm
    }
    const { LocalNodeState, Error: error } = await info()
    assert.equal(LocalNodeState, 'error')
    assert.match(error, new RegExp(`could not listen on ${two.clusterAddr}`))
    await elsewhere.docker.ok(forceNewCluster)
    assert.deepEqual(await inventory(elsewhere), before)
    taken.close()

    // What is in the way at the start may go away.
    await elsewhere.skepd.terminate()
    const inTheWay = createServer().listen(Number(port), elsewhere.address)
    await once(inTheWay, 'listening')
    await elsewhere.skepd.restart()
    assert.equal((await info()).LocalNodeState, 'error')
    inTheWay.close()
    await eventually(
      'it to be up by itself',
      async () => (await info()).LocalNodeState === 'active',
      settleMs,
    )
    assert.deepEqual(await inventory(elsewhere), before)

    await elsewhere.docker.ok('swarm update --autolock=true')
    const key = await elsewhere.docker.ok('swarm unlock-key -q')
    await eventually('the key file to be locked', () =>
      /ENCRYPTED/.test(readFileSync(join(swarm, 'certificates/swarm-node.key'), 'utf8')),
    )
    await elsewhere.skepd.restart()
    assert.match(await elsewhere.docker.fails(forceNewCluster), /Swarm is encrypted and needs to be unlocked/)
    await elsewhere.docker.ok('swarm unlock', key)
    await elsewhere.docker.ok(forceNewCluster)
    assert.equal(await elsewhere.docker.ok('swarm unlock-key -q'), key)
    assert.deepEqual(await inventory(elsewhere), before)
  },
)
