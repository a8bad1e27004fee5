import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TestCluster } from '../lib/cluster.js'
import { eventually } from '../lib/eventually.js'
import { needs } from '../lib/needs.js'

test('the root is replaced while tasks run', { skip: needs('cli') }, async (t) => {
  const cluster = await TestCluster.start(3)
  t.after(() => cluster.stop())
  const [one, two, three] = [cluster.node(1), cluster.node(2), cluster.node(3)]
  await cluster.init()
  await cluster.join(2, 'manager')
  await cluster.join(3, 'worker')
  await one.docker.ok('service create --detach --name web --replicas 3 busybox sleep 1000000')
  const running = async () => {
    const lines = await one.docker.ok('service ps web --filter desired-state=running --format {{.ID}}_{{.CurrentState}}')
    const ids = lines.trim().split('\n').filter((line) => line.includes('_Running'))
    return ids.length === 3 ? ids.map((line) => line.split('_')[0]).sort() : undefined
  }
  const before = await eventually('three tasks to run', running)
  const oldRoot = await one.docker.ok('swarm ca')
  const oldToken = await cluster.token('worker')
  const start = performance.now()
  const out = await one.docker.ok('swarm ca --rotate')
  console.log(performance.now() - start, out)
  const newRoot = await one.docker.ok('swarm ca')
  assert.notEqual(newRoot, oldRoot)
  assert.ok(out.endsWith(newRoot))
  assert.deepEqual(await running(), before)
  void two, three, oldToken
})
