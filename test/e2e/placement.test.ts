import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { test } from 'node:test'
import { TestCluster, type ClusterNode } from '../lib/cluster.js'
import { eventually } from '../lib/eventually.js'
import { needs } from '../lib/needs.js'

const skepPath = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url))

/** Runs `skep` against a node; stdout. */
function skep(node: ClusterNode, ...args: string[]): Promise<string> {
  const env = { ...process.env, DOCKER_HOST: node.skepd.host }
  return new Promise((resolve, reject) => {
    execFile(process.execPath, [skepPath, ...args], { env }, (error, stdout, stderr) => {
      if (error === null) resolve(stdout)
      else reject(new Error(`skep ${args.join(' ')}: ${stderr}`))
    })
  })
}

test('reasons, strategies and rebalancing on three nodes', { skip: needs('cli') }, async (t) => {
  const cluster = await TestCluster.start(3, ['--sim-cpus', '4', '--sim-memory', String(8 * 2 ** 30)])
  t.after(() => cluster.stop())
  await cluster.init()
  await cluster.join(2, 'manager')
  const first = cluster.node(1)
  const { docker } = first
  const service = (name: string, flags: string) =>
    docker.ok(`service create -d --name ${name} ${flags} busybox sleep 1000`)
  /** Nodes of the tasks that run, sorted. */
  const running = async (name: string) => {
    const format = '{{.Node}} {{.CurrentState}}'
    const args = ['service', 'ps', name, '--filter', 'desired-state=running', '--format', format]
    const { stdout } = await docker.run(args)
    const lines = stdout.split('\n').filter((line) => line.includes(' Running'))
    return lines.map((line) => line.split(' ')[0] ?? '').sort()
  }
  const runsOn = (name: string, nodes: string) =>
    eventually(`${name} on ${nodes}`, async () => (await running(name)).join() === nodes)

  await t.test('why a task waits is told on any manager, with numbers', async () => {
    await docker.ok('node update --label-add zone=eu node-2')
    await service('big', '--reserve-memory 4g --constraint node.labels.zone==us')
    await eventually('the reason', async () =>
      (await docker.ok('service ps big --no-trunc --format {{.Error}}')).includes('not satisfied on 2 nodes'),
    )
    for (const node of [first, cluster.node(2)]) {
      const text = await skep(node, 'explain', 'big')
      assert.match(
        text,
        /^big\.1\.\w+ waits for a node: no suitable node \(scheduling constraints not satisfied on 2 nodes\)/,
      )
      assert.match(text, /node-1 +no +0 of 4 +0 B of 8 GiB .*label zone is not set, wanted us/)
      assert.match(text, /node-2 +no .*label zone is eu, wanted us/)
    }
    await docker.ok('service update -d --constraint-rm node.labels.zone==us --reserve-memory 9g big')
    const short = 'needs 9 GiB of memory, has 8 GiB free of 8 GiB'
    await eventually('the other reason', async () => (await skep(first, 'explain', 'big')).includes(short))
    await docker.ok('service rm big')
  })

  await t.test('binpack fills one node; affinity and anti-affinity look at other services', async () => {
    await service('packed', '--replicas 3 --reserve-cpu 1 --label skep.placement.strategy=binpack')
    const nodes = await eventually('the packed tasks', async () => {
      const found = await running('packed')
      return found.length === 3 && found
    })
    assert.equal(new Set(nodes).size, 1)
    const [full = ''] = nodes
    const empty = full === 'node-1' ? 'node-2' : 'node-1'
    await service('near', '--replicas 2 --label skep.affinity=packed')
    await service('far', '--replicas 2 --label skep.anti-affinity=packed')
    await runsOn('near', `${full},${full}`)
    await runsOn('far', `${empty},${empty}`)
    const refused = await docker.fails('service create -d --label skep.affinity=a,,b busybox')
    assert.match(refused, /invalid label skep\.affinity=a,,b: want comma-separated service names/)
    await docker.ok('service rm packed near far')
  })

  await t.test('a node that joins gets its share when somebody asks for it', async () => {
    await service('web', '--replicas 6')
    await runsOn('web', 'node-1,node-1,node-1,node-2,node-2,node-2')
    await cluster.join(3, 'worker')
    await eventually('node-3 to be ready', async () =>
      (await cluster.list()).some((line) => line.startsWith('node-3 ready')),
    )
    // On the manager that does not lead.
    const plan = await skep(cluster.node(2), 'rebalance', '--dry-run')
    assert.match(plan, /^2 tasks of 1 service would move:/)
    assert.match(
      plan,
      /web\.\d\.\w+ +node-[12] +node-3 +node-[12] runs 3 tasks of the service, node-3 runs 0/,
    )
    assert.deepEqual(await running('web'), ['node-1', 'node-1', 'node-1', 'node-2', 'node-2', 'node-2'])
    await skep(cluster.node(2), 'rebalance', 'web')
    await runsOn('web', 'node-1,node-1,node-2,node-2,node-3,node-3')
    await eventually(
      'nothing left to do',
      async () => (await skep(first, 'rebalance', '--dry-run')) === 'Nothing to move.\n',
    )
  })

  await t.test('volumes of the cluster say why nobody can use them', async () => {
    await docker.ok('volume create --driver csi --type mount --scope multi --sharing all --group g shared')
    assert.match(await docker.ok('volume ls --cluster'), /shared +g +csi +active +pending creation/)
    await service('user', '--mount type=cluster,source=shared,target=/data')
    const why = 'cluster volume shared is not created yet: there is no CSI plugin csi'
    await eventually('the reason', async () => (await skep(first, 'explain', 'user')).includes(why))
    await docker.ok('volume update --availability drain shared')
    const drained = 'cluster volume shared has availability drain'
    await eventually('the drain', async () => (await skep(first, 'explain', 'user')).includes(drained))
    await docker.ok('volume rm shared')
    assert.equal((await docker.ok('volume ls -q')).includes('shared'), false)
  })
})
