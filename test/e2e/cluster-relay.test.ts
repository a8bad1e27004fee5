import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TestCluster } from '../lib/cluster.js'
import { DaemonProcess } from '../lib/daemon-process.js'
import { eventually } from '../lib/eventually.js'
import { findProgram, needs } from '../lib/needs.js'

test('sessions and logs through managers that do not lead', { skip: needs('cli') }, async (t) => {
  const cluster = await TestCluster.start(4)
  t.after(() => cluster.stop())
  const [one, two, three, four] = [cluster.node(1), cluster.node(2), cluster.node(3), cluster.node(4)]
  await cluster.init()
  await cluster.join(2, 'manager')
  await cluster.join(3, 'manager')
  await cluster.join(4, 'worker', 2)
  const quiet = '--label skep.rebalance=off --constraint node.hostname==node-4'
  await one.docker.ok(
    `service create -d --name talk ${quiet} --container-label skep.sim.log=hello@100ms busybox sleep 1000000`,
  )
  await one.docker.ok(
    `service create -d --name done ${quiet} --restart-condition none --container-label skep.sim.log=bye@50ms --container-label skep.sim.exit=0@1s busybox`,
  )

  await t.test('logs from any manager', async () => {
    const states = () => one.docker.ok('service ps done --format {{.CurrentState}}')
    await eventually('the job to end', async () => (await states()).startsWith('Complete'))
    const expected = await one.docker.ok('service logs --raw done')
    assert.match(expected, /^(bye\n)+$/)
    for (const { docker } of [two, three]) {
      assert.equal(await docker.ok('service logs --raw done'), expected)
      const taskId = (await docker.ok('service ps -q --no-trunc done')).trim()
      assert.equal(await docker.ok(`service logs --raw ${taskId}`), expected)
      assert.equal(await docker.ok('service logs --raw --tail 2 done'), 'bye\nbye\n')
      assert.match(await docker.ok('service logs --tail 1 done'), /^done\.1\.\w+@node-4 +\| bye\n$/)
    }
  })

  await t.test('logs that are followed', async () => {
    const follow = ['service', 'logs', '--raw', '--follow', '--tail', '1', 'talk']
    const reader = new DaemonProcess('docker', findProgram('docker') ?? 'docker', [
      '--host',
      two.skepd.host,
      ...follow,
    ])
    t.after(() => reader.signal('SIGKILL'))
    await eventually('what is written meanwhile', () => {
      reader.assertRunning()
      return reader.log().split('\n').length > 5
    })
    assert.match(reader.log(), /^(hello\n)+$/)
    reader.signal('SIGINT')
    await reader.exit()
  })

  await t.test('what the leader refuses is refused', async () => {
    assert.match(await two.docker.fails('service logs nosuch'), /no such task or service: nosuch/)
  })

  await t.test('the leader dies: the worker’s session goes on, its containers are the same', async () => {
    const running = () => four.docker.ok('ps --no-trunc --format {{.ID}}_{{.Status}}')
    const containers = async () => (await running()).replaceAll(/_.*/g, '')
    const before = await containers()
    assert.notEqual(before, '')
    const tasks = await two.docker.ok('service ps -q --no-trunc talk')
    await one.skepd.kill()
    await eventually(
      'node-4 at the new leader',
      async () => (await cluster.list(2)).includes('node-4 ready active'),
      60_000,
    )
    assert.equal(await containers(), before)
    assert.equal(await two.docker.ok('service ps -q --no-trunc talk'), tasks)
    await eventually('logs at the new leader and at the other manager', async () => {
      const all = await Promise.all(
        [two, three].map(({ docker }) => docker.ok('service logs --raw --tail 1 talk')),
      )
      return all.every((text) => text === 'hello\n')
    })
  })
})
