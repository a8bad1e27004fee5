import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { TestCluster, type ClusterNode } from '../lib/cluster.js'
import { eventually } from '../lib/eventually.js'
import { needs } from '../lib/needs.js'
import { skep } from '../lib/skep-cli.js'
import { WitnessProcess } from '../lib/witness-process.js'

const waitMs = 30_000

interface World {
  readonly cluster: TestCluster
  readonly one: ClusterNode
  readonly two: ClusterNode
  readonly witness: WitnessProcess
}

/** As all are when nothing is wrong. Who leads may change at any time on a busy machine. */
const allWell = [
  'nas ready drain reachable',
  'node-1 ready active reachable',
  'node-2 ready active reachable',
]

/** Two servers and a witness that has its vote. */
async function start(t: TestContext): Promise<World> {
  const cluster = await TestCluster.start(2)
  t.after(() => cluster.stop())
  await cluster.init()
  await cluster.join(2, 'manager')
  const address = `127.0.0.3:${cluster.port}`
  const joining = { token: await cluster.token('manager'), manager: cluster.node(1).clusterAddr }
  const witness = await WitnessProcess.join(address, joining)
  t.after(() => witness.dispose())
  await shows(cluster, 1, allWell)
  return { cluster, one: cluster.node(1), two: cluster.node(2), witness }
}

/** Waits for a list of the nodes in which the leader counts as reachable. */
function shows(cluster: TestCluster, number: number, list: readonly string[]): Promise<true> {
  return eventually(
    'node ls to show what it should',
    async () => {
      const shown = (await cluster.list(number)).map((line) => line.replace('leader', 'reachable'))
      if (shown.join() !== list.join()) throw new Error(`it shows ${shown.join(', ')}`)
      return true
    },
    waitMs,
  )
}

/** The server that leads now, and the other one, which has all that was written. */
async function leaderAndFollower(cluster: TestCluster): Promise<[ClusterNode, ClusterNode]> {
  const [one, two] = [cluster.node(1), cluster.node(2)]
  const lines = await eventually('a leader', async () => {
    const list = await cluster.list(1)
    return list.some((line) => line.endsWith('leader')) && list
  })
  const [leader, follower] = lines.includes('node-2 ready active leader') ? [two, one] : [one, two]
  await configs(follower)
  return [leader, follower]
}

/** One write, which must succeed. Resolves with how long it took. */
async function write({ skepd }: ClusterNode, name: string): Promise<number> {
  const fromMs = performance.now()
  const body = { Name: name, Data: Buffer.from(name).toString('base64') }
  const { status, body: text } = await skepd.request('POST', '/configs/create', { body, timeoutMs: 60_000 })
  assert.equal(status, 201, `${name}: ${text.toString()}`)
  return performance.now() - fromMs
}

async function configs({ skepd }: ClusterNode): Promise<string[]> {
  const reply = await skepd.request('GET', '/configs', { timeoutMs: 60_000 })
  assert.equal(reply.status, 200, reply.body.toString())
  return (reply.json() as { Spec: { Name: string } }[]).map(({ Spec }) => Spec.Name).sort()
}

async function saysThatThereIsNoLeader({ skepd }: ClusterNode): Promise<void> {
  for (const [method, path, body] of [
    ['GET', '/configs', undefined],
    ['POST', '/configs/create', { Name: 'refused', Data: '' }],
  ] as const) {
    const reply = await skepd.request(method, path, { body, timeoutMs: 60_000 })
    assert.match(reply.body.toString(), /The swarm does not have a leader/, `${method} ${path}`)
  }
}

test(
  'two servers and a witness keep writing when either server or the witness dies, and refuse when two of them do',
  { skip: needs('cli'), timeout: 180_000 },
  async (t) => {
    const { cluster, one, two, witness } = await start(t)
    const written: string[] = []
    const next = async (node: ClusterNode, name: string) => {
      const tookMs = await write(node, name)
      written.push(name)
      t.diagnostic(`${name}: ${Math.round(tookMs)} ms`)
    }
    /** A read waits until the manager knows all that was acknowledged. */
    const hasAll = async (node: ClusterNode) => assert.deepEqual(await configs(node), written.toSorted())
    await next(one, 'with-all')

    for (const victim of ['follower', 'leader'] as const) {
      const [leader, follower] = await leaderAndFollower(cluster)
      const [dies, stays] = victim === 'leader' ? [leader, follower] : [follower, leader]
      await dies.skepd.kill()
      await next(stays, `without-the-${victim}`)
      await dies.skepd.restart()
      await hasAll(dies)
      await shows(cluster, 1, allWell)
    }

    // The witness dies, and comes back without a token.
    await witness.kill()
    await next(one, 'without-the-witness')
    await next(two, 'without-the-witness-either')
    witness.startAgain()
    await witness.hasSession()
    await shows(cluster, 1, allWell)

    // Server and witness die: the last one refuses, and nothing is lost.
    const [dies, stays] = await leaderAndFollower(cluster)
    await witness.kill()
    await dies.skepd.kill()
    await saysThatThereIsNoLeader(stays)
    witness.startAgain()
    await witness.hasSession()
    await next(stays, 'with-the-witness-again')
    await dies.skepd.restart()
    await hasAll(dies)

    // A swarm that was recovered has other members: the witness becomes one of them by itself.
    await hasAll(two)
    await witness.kill()
    await one.skepd.kill()
    const recovered = await skep(two, ['recover', '--force'])
    assert.equal(recovered.code, 0, recovered.stderr)
    witness.startAgain()
    await one.skepd.restart()
    await shows(cluster, 2, allWell)
    await hasAll(one)
  },
)

test(
  'a witness to stock clients: a drained manager without secrets, of which there is one, and which is removed when it is down',
  { skip: needs('cli'), timeout: 120_000 },
  async (t) => {
    const { cluster, one, two, witness } = await start(t)
    const info = await one.docker.run(['info'])
    assert.match(info.stdout, /Managers: 3\n\s+Nodes: 3/)
    assert.doesNotMatch(info.stderr, /two-manager configuration/)
    // Nobody is sent to it who looks for a manager.
    const inspected = JSON.parse(await two.docker.ok('info --format json')) as {
      Swarm: { RemoteManagers: { NodeID: string }[] }
    }
    assert.ok(!inspected.Swarm.RemoteManagers.some(({ NodeID }) => NodeID === witness.nodeId))
    const [node] = JSON.parse(await one.docker.ok('node inspect nas')) as Record<string, unknown>[]
    assert.deepEqual(node?.['ManagerStatus'], {
      Reachability: 'reachable',
      Addr: `127.0.0.3:${cluster.port}`,
    })

    // It runs nothing and takes nothing of the swarm's data.
    await one.docker.ok('secret create deep -', 'the secret of the hive')
    await one.docker.ok(
      'service create --detach --name everywhere --mode global --secret deep busybox sleep 1000',
    )
    await eventually('tasks on both servers', async () => {
      const nodes = await one.docker.ok('service ps everywhere --format {{.Node}}')
      return nodes.trim().split('\n').sort().join() === 'node-1,node-2' || undefined
    })
    for (const file of readdirSync(witness.dataRoot, {
      recursive: true,
      encoding: 'utf8',
      withFileTypes: true,
    })) {
      if (!file.isFile()) continue
      const bytes = readFileSync(join(file.parentPath, file.name))
      assert.ok(!bytes.includes('everywhere') && !bytes.includes('secret of the hive'), file.name)
    }
    t.diagnostic(`memory of the witness: ${Math.round(residentBytes(witness.pid) / 2 ** 20)} MiB resident`)

    // What cannot be done with it says so.
    assert.match(
      await one.docker.fails('node demote nas'),
      /is a witness and cannot become a worker\. To take it out/,
    )
    assert.match(await one.docker.fails('node update --availability active nas'), /runs no tasks/)
    assert.match(await one.docker.ok('node promote nas'), /already a manager/)
    assert.match(await one.docker.fails('node rm nas'), /is not down and can't be removed/)
    const refused = await skep(one, [
      'witness',
      `--data-root=${join(witness.dataRoot, 'second')}`,
      `--listen-addr=127.0.0.4:${cluster.port}`,
      `--join-token=${await cluster.token('manager')}`,
      `--manager=${one.clusterAddr}`,
    ])
    assert.equal(refused.code, 1)
    assert.match(refused.stderr, /this swarm has a witness, nas: stop it and remove it with `docker node rm/)

    // The root is replaced on it too.
    const rootPath = join(witness.dataRoot, 'witness', 'certificates', 'swarm-root-ca.crt')
    const before = readFileSync(rootPath, 'utf8')
    await one.docker.ok('swarm ca --rotate --quiet')
    const after = await one.docker.ok('swarm ca')
    assert.equal(await one.docker.ok('node ls --format {{.TLSStatus}}'), 'Ready\nReady\nReady\n')
    await eventually('the new root', () => {
      const root = readFileSync(rootPath, 'utf8')
      return (root !== before && root.trim() === after.trim()) || undefined
    })

    assert.equal(await witness.terminate(), 0)
    await shows(cluster, 1, ['nas down drain unreachable', ...allWell.slice(1)])
    await one.docker.ok('node rm nas')
    await shows(cluster, 2, allWell.slice(1))
    await eventually('raft to be without it', async () => {
      const { stderr } = await one.docker.run(['info'])
      return /two-manager configuration/.test(stderr) || undefined
    })
    witness.startAgain()
    assert.equal(await witness.exit(), 1)
    assert.match(witness.log(), /this witness was removed from the swarm; to join again, empty/)
  },
)

test('a witness wants the token of a manager', { skip: needs('cli'), timeout: 60_000 }, async (t) => {
  const cluster = await TestCluster.start(1)
  t.after(() => cluster.stop())
  await cluster.init()
  const one = cluster.node(1)
  const args = ['witness', '--data-root', join(one.skepd.dir, 'witness')]
  const missing = await skep(one, args)
  assert.deepEqual([missing.code, missing.stdout], [1, ''])
  assert.match(missing.stderr, /holds no witness yet: --join-token and --manager are needed to join\n$/)
  const token = await cluster.token('worker')
  const refused = await skep(one, [...args, '--join-token', token, '--manager', one.clusterAddr])
  assert.equal(refused.code, 1)
  assert.match(refused.stderr, /a witness joins with the token of a manager, not of a worker/)
  assert.deepEqual(await cluster.list(), ['node-1 ready active leader'])
})

/** What the kernel says. */
function residentBytes(pid: number): number {
  const [, kilobytes = '0'] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
  return Number(kilobytes) * 1024
}
