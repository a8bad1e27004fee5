import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { TestCluster, type ClusterNode } from '../lib/cluster.js'
import { eventually } from '../lib/eventually.js'
import { fill, inventory } from '../lib/inventory.js'
import { needs } from '../lib/needs.js'
import { skep } from '../lib/skep-cli.js'

const waitMs = 60_000
const noLeader =
  "Error response from daemon: rpc error: code = Unknown desc = The swarm does not have a leader. It's possible that too few managers are online. Make sure more than half of the managers are online.\n"
/** A request's deadline in Docker; it must not take longer to hear that there is nobody to ask. */
const requestTimeoutMs = 20_000

async function start(t: TestContext, managers: number): Promise<TestCluster> {
  const cluster = await TestCluster.start(managers)
  t.after(() => cluster.stop())
  await cluster.init(1, ['--dispatcher-heartbeat', '1s'])
  for (let number = 2; number <= managers; number++) await cluster.join(number, 'manager')
  await eventually(
    'all to be managers',
    async () => (await cluster.list()).filter((line) => /leader|reachable$/.test(line)).length === managers,
    waitMs,
  )
  return cluster
}

const write = ({ docker }: ClusterNode, name: string) => docker.ok(`config create ${name} -`, name)

async function saysThatThereIsNoLeader({ docker }: ClusterNode): Promise<void> {
  const startMs = performance.now()
  assert.equal(await docker.fails('node ls'), noLeader)
  assert.equal(await docker.fails('service create -d busybox'), noLeader)
  assert.ok(performance.now() - startMs < requestTimeoutMs, 'the CLI hears so soon')
}

/** The same everywhere, as soon as there is a leader. */
async function allShow(cluster: TestCluster, expected: unknown): Promise<void> {
  for (const node of cluster.nodes) {
    const shown = await eventually(`${node.name} to answer`, () => inventory(node), waitMs)
    assert.deepEqual(shown, expected, node.name)
  }
}

test(
  'five managers survive two; without a majority they say so; stopped and started, they are back with everything',
  { skip: needs('cli'), timeout: 240_000 },
  async (t) => {
    const cluster = await start(t, 5)
    const [one, two, three, four, five] = [1, 2, 3, 4, 5].map((number) => cluster.node(number)) as [
      ClusterNode,
      ClusterNode,
      ClusterNode,
      ClusterNode,
      ClusterNode,
    ]
    await fill(one)

    // The first one leads.
    await Promise.all([one, two].map(({ skepd }) => skepd.kill()))
    await write(three, 'with-three-of-five')
    const before = await inventory(three)
    await three.skepd.kill()
    await Promise.all([four, five].map((node) => saysThatThereIsNoLeader(node)))
    assert.match(await four.docker.ok('info'), /Swarm: active\n.*\n  Is Manager: true\n/)

    // All at once, with what two of them may not have.
    await Promise.all([four, five].map(({ skepd }) => skepd.kill()))
    await Promise.all(cluster.nodes.map(({ skepd }) => skepd.restart('SIGKILL')))
    await allShow(cluster, before)

    // In order, and in another order.
    const codes = await Promise.all(cluster.nodes.map(({ skepd }) => skepd.terminate()))
    assert.deepEqual(codes, [0, 0, 0, 0, 0])
    for (const { skepd } of [five, three]) await skepd.restart()
    await saysThatThereIsNoLeader(five)
    await Promise.all([one, four, two].map(({ skepd }) => skepd.restart()))
    await allShow(cluster, before)
    await write(four, 'after-all-that')
  },
)

test(
  'two managers survive nothing; the one that is left is recovered, and the other one joins it again',
  { skip: needs('cli'), timeout: 240_000 },
  async (t) => {
    const cluster = await start(t, 2)
    const [one, two] = [cluster.node(1), cluster.node(2)]
    await fill(one)
    const before = await inventory(two)
    assert.match((await one.docker.run(['info'])).stderr, /Running Swarm in a two-manager configuration/)
    const refused = await skep(two, ['recover'])
    assert.deepEqual(
      [refused.code, refused.stderr],
      [
        1,
        'skep recover: This swarm has a leader: there is nothing to recover from. Use `--force` to make a new cluster of this manager alone all the same.\n',
      ],
    )

    await one.skepd.kill()
    await saysThatThereIsNoLeader(two)
    const folder = mkdtempSync(join(tmpdir(), 'skep-backup-'))
    t.after(() => rmSync(folder, { recursive: true }))
    const file = join(folder, 'backup')
    assert.match(
      (await skep(two, ['backup', '-o', file])).stderr,
      /does not have a leader.*To back up what this manager has, use --stale/,
    )
    const stale = await skep(two, ['backup', '-o', file, '--stale'])
    assert.equal(stale.code, 0, stale.stderr)
    const { code, stdout, stderr } = await skep(two, ['recover', '--format', 'json'])
    assert.equal(code, 0, stderr)
    const { formerManagers, advertiseAddr, services } = JSON.parse(stdout) as {
      formerManagers: { hostname: string }[]
      advertiseAddr: string
      services: number
    }
    assert.deepEqual(
      [formerManagers.map(({ hostname }) => hostname), advertiseAddr, services],
      [['node-1'], two.clusterAddr, 1],
    )
    assert.deepEqual(await inventory(two), before)
    await write(two, 'recovered')

    await one.skepd.restart()
    await eventually(
      'the other to be a manager again',
      async () => {
        const list = await cluster.list(2)
        return list.every((line) => /ready active (leader|reachable)$/.test(line))
      },
      waitMs,
    )
    assert.match(await one.docker.ok('config ls'), /recovered/)
  },
)
