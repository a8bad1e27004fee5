import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TestCluster } from '../lib/cluster.js'
import { eventually } from '../lib/eventually.js'
import { needs } from '../lib/needs.js'
import type { DockerCli } from '../lib/docker-cli.js'

const info = (docker: DockerCli, field: string) => docker.ok(`info --format {{.Swarm.${field}}}`)

test('workers join, work, leave, are removed and come back', { skip: needs('cli') }, async (t) => {
  const cluster = await TestCluster.start(3)
  t.after(() => cluster.stop())
  const [one, two, three] = [cluster.node(1), cluster.node(2), cluster.node(3)]
  await cluster.init()

  await t.test('a join with the worker token', async () => {
    assert.equal(await cluster.join(2, 'worker'), 'This node joined a swarm as a worker.\n')
    assert.deepEqual(await cluster.list(), ['node-1 ready active leader', 'node-2 ready active'])
    assert.equal(await info(two.docker, 'LocalNodeState'), 'active\n')
    assert.equal(await info(two.docker, 'ControlAvailable'), 'false\n')
    assert.equal(await info(two.docker, 'NodeAddr'), '127.0.0.2\n')
    const remotes = JSON.parse(
      (await two.docker.run(['info', '--format', '{{json .Swarm.RemoteManagers}}'])).stdout,
    ) as unknown
    const nodeId = (await info(one.docker, 'NodeID')).trim()
    assert.deepEqual(remotes, [{ NodeID: nodeId, Addr: one.clusterAddr }])
  })

  await t.test('a join where nobody is', async () => {
    assert.match(
      await three.docker.fails(cluster.joinLine(3, await cluster.token('worker'), 3)),
      /^Error response from daemon: rpc error: code = Unavailable desc = connection error: desc = "transport: Error while dialing: dial tcp 127\.0\.0\.3:\d+: connect: connection refused"\n$/,
    )
    assert.equal(await info(three.docker, 'LocalNodeState'), 'inactive\n')
  })

  await t.test('a join that takes no tasks yet', async () => {
    await three.docker.ok(cluster.joinLine(3, await cluster.token('worker'), 1, '--availability pause '))
    assert.deepEqual(await cluster.list(), [
      'node-1 ready active leader',
      'node-2 ready active',
      'node-3 ready pause',
    ])
  })

  await t.test('tasks run on the workers, and move when one leaves', async () => {
    await one.docker.ok('node update --availability active node-3')
    await one.docker.ok('service create -d --name web --replicas 6 busybox sleep 100000')
    const spread = async () => {
      const out = await one.docker.ok(
        'service ps web --filter desired-state=running --format {{.Node}}/{{.CurrentState}}',
      )
      return out
        .trim()
        .split('\n')
        .filter((line) => line.includes('/Running'))
        .map((line) => line.split('/')[0] ?? '')
        .sort()
    }
    await eventually('two tasks on each node', async () => {
      const nodes = await spread()
      return nodes.join() === 'node-1,node-1,node-2,node-2,node-3,node-3'
    })
    assert.equal(await two.docker.ok('swarm leave'), 'Node left the swarm.\n')
    assert.equal(await info(two.docker, 'LocalNodeState'), 'inactive\n')
    await eventually('node-2 to be down', async () => (await cluster.list()).includes('node-2 down active'))
    await eventually('its tasks elsewhere', async () => {
      const nodes = await spread()
      return nodes.length === 6 && !nodes.includes('node-2')
    })
    assert.equal((await two.docker.ok('ps -q')).trim(), '')
  })

  await t.test('node rm', async () => {
    assert.equal(await one.docker.ok('node rm node-2'), 'node-2\n')
    assert.match(
      await one.docker.fails('node rm node-3'),
      /rpc error: code = FailedPrecondition desc = node [0-9a-z]{25} is not down and can't be removed/,
    )
    await one.docker.ok('node rm --force node-3')
    assert.deepEqual(await cluster.list(), ['node-1 ready active leader'])
    await eventually(
      'node-3 to hear of it',
      async () => (await info(three.docker, 'LocalNodeState')) === 'error\n',
    )
    assert.match(await info(three.docker, 'Error'), /^node [0-9a-z]{25} was removed from swarm\n$/)
    await eventually('its containers to be gone', async () => (await three.docker.ok('ps -q')).trim() === '')
  })

  await t.test('both come back as new nodes', async () => {
    await three.docker.ok('swarm leave')
    await cluster.join(2, 'worker')
    await cluster.join(3, 'worker')
    assert.deepEqual(await cluster.list(), [
      'node-1 ready active leader',
      'node-2 ready active',
      'node-3 ready active',
    ])
  })

  await t.test(
    'a worker that restarts is back by itself, whatever becomes of the manager meanwhile',
    async () => {
      await two.skepd.kill()
      await eventually(
        'node-2 to be down',
        async () => (await cluster.list()).includes('node-2 down active'),
        30_000,
      )
      await two.skepd.restart()
      await eventually('node-2 to be back', async () =>
        (await cluster.list()).includes('node-2 ready active'),
      )
      await one.skepd.restart('SIGKILL')
      await eventually(
        'all to be back',
        async () => (await cluster.list()).every((line) => line.includes('ready')),
        30_000,
      )
    },
  )
})
