import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TaskState } from '../../../src/model/task-state.js'
import { Fixture } from './fixture.js'

const hourMs = 3_600_000

test('a session makes its node READY, with address and description', async () => {
  const cluster = await Fixture.start()
  await cluster.open()
  const node = cluster.node()
  assert.equal(node?.status.state, 'ready')
  assert.equal(node?.status.addr, '10.1.2.3')
  assert.equal(node?.description?.Hostname, 'h')
  assert.equal(cluster.node('n2')?.status.state, 'unknown')
  await cluster.dispatcher.stop()
})

test('2.10 a node whose connection died is DOWN 3 s later', async () => {
  const cluster = await Fixture.start()
  const agent = await cluster.open()
  agent.link.cut()
  await cluster.run(2900)
  assert.equal(cluster.node()?.status.state, 'ready')
  await cluster.run(200)
  assert.equal(cluster.node()?.status.state, 'down')
  assert.equal(cluster.node()?.status.message, 'heartbeat failure')
  await cluster.dispatcher.stop()
})

test('a node that comes back within 3 s was never down, and nothing is written', async () => {
  const cluster = await Fixture.start()
  const agent = await cluster.open()
  const { version } = cluster.node() ?? {}
  agent.link.cut()
  await cluster.run(2500)
  const next = await cluster.open()
  await cluster.run(3000)
  assert.equal(cluster.node()?.status.state, 'ready')
  assert.equal(cluster.node()?.version, version)
  assert.equal(next.near.closed, undefined)
  await cluster.dispatcher.stop()
})

test('2.10 a silent node is DOWN after three periods; its session ends', async () => {
  const cluster = await Fixture.start()
  const agent = await cluster.open()
  await cluster.run(14_000)
  assert.equal(cluster.node()?.status.state, 'ready')
  await cluster.run(2000)
  assert.equal(cluster.node()?.status.state, 'down')
  assert.equal(agent.near.closed?.code, 4408)
  await cluster.dispatcher.stop()
})

test('2.10 a node that beats stays READY, and beats are not written', async () => {
  const cluster = await Fixture.start()
  const agent = await cluster.open()
  const { appliedIndex } = cluster.store
  for (let beat = 0; beat < 20; beat++) {
    agent.say({ type: 'heartbeat' })
    await cluster.run(10)
    const { periodMs } = agent.last('heartbeat')
    assert.ok(periodMs >= 4500 && periodMs <= 5500, `${periodMs}`)
    await cluster.run(periodMs)
  }
  assert.equal(cluster.node()?.status.state, 'ready')
  await cluster.run(1)
  // The other node was given up meanwhile, which is the one thing that was written.
  assert.equal(cluster.store.appliedIndex, appliedIndex + 1)
  assert.equal(cluster.node('n2')?.status.message, 'heartbeat failure for node in "unknown" state')
  await cluster.dispatcher.stop()
})

test('2.11 a new leader knows nothing of the nodes and gives them time to find it', async () => {
  const cluster = await Fixture.start()
  await cluster.open('n1')
  await cluster.open('n2')
  await cluster.changeLeader()
  await cluster.run(10)
  assert.equal(cluster.node('n1')?.status.state, 'unknown')
  assert.match(cluster.node('n1')?.status.message ?? '', /due to leadership change/)
  await cluster.open('n1')
  await cluster.run(10_000)
  assert.equal(cluster.node('n1')?.status.state, 'ready')
  assert.equal(cluster.node('n2')?.status.state, 'unknown')
  await cluster.run(10_000)
  assert.equal(cluster.node('n2')?.status.state, 'down')
  await cluster.dispatcher.stop()
})

test('2.12 tasks of a node that was down for 24 h are orphans, whoever led meanwhile', async () => {
  const cluster = await Fixture.start()
  const agent = await cluster.open()
  await cluster.addTask('runs')
  await cluster.addTask('ended')
  await cluster.store.update((tx) => {
    tx.update('tasks', 'runs', { status: { state: TaskState.Running, timestampMs: 0, message: 'started' } })
    tx.update('tasks', 'ended', { status: { state: TaskState.Failed, timestampMs: 0, message: 'started' } })
  })
  agent.link.cut()
  await cluster.run(20 * hourMs)
  await cluster.changeLeader()
  await cluster.run(3.9 * hourMs)
  assert.equal(cluster.store.view.tasks.get('runs')?.status.state, TaskState.Running)
  await cluster.run(0.2 * hourMs)
  assert.equal(cluster.store.view.tasks.get('runs')?.status.state, TaskState.Orphaned)
  assert.equal(cluster.store.view.tasks.get('ended')?.status.state, TaskState.Failed)
  await cluster.dispatcher.stop()
})

test('2.12 a node that returns in time keeps its tasks', async () => {
  const cluster = await Fixture.start()
  const agent = await cluster.open()
  await cluster.addTask('t')
  agent.link.cut()
  await cluster.run(23 * hourMs)
  const next = await cluster.open()
  for (let minute = 0; minute < 120; minute++) {
    next.say({ type: 'description', description: { Hostname: 'h' } })
    for (let beat = 0; beat < 12; beat++) {
      next.say({ type: 'heartbeat' })
      await cluster.run(5000)
    }
  }
  assert.equal(cluster.store.view.tasks.get('t')?.status.state, TaskState.Assigned)
  await cluster.dispatcher.stop()
})

test('a node that leaves is DOWN at once and may still report', async () => {
  const cluster = await Fixture.start()
  const agent = await cluster.open()
  await cluster.addTask('t')
  agent.say({ type: 'leave' })
  await cluster.run(10)
  assert.equal(cluster.node()?.status.state, 'down')
  const status = { state: TaskState.Shutdown, timestampMs: 1, message: 'shutdown' }
  agent.say({ type: 'status', report: 1, updates: [{ taskId: 't', status }] })
  await cluster.run(10)
  assert.equal(cluster.store.view.tasks.get('t')?.status.state, TaskState.Shutdown)
  await cluster.dispatcher.stop()
})

test('after the end nothing is written and no timer is left', async () => {
  const cluster = await Fixture.start()
  const agent = await cluster.open()
  agent.link.cut()
  await cluster.dispatcher.stop()
  const { appliedIndex } = cluster.store
  await cluster.run(100_000)
  assert.equal(cluster.store.appliedIndex, appliedIndex)
  assert.equal(cluster.env.nextDueMs(), undefined)
})

test('a manager that stood still itself does not take its nodes for dead', async () => {
  const cluster = await Fixture.start()
  const agent = await cluster.open('n1')
  await cluster.open('n2')
  cluster.env.jump(3_600_000)
  await cluster.run(1000)
  agent.say({ type: 'heartbeat' })
  await cluster.run(5000)
  assert.equal(cluster.node('n1')?.status.state, 'ready')
  assert.equal(cluster.node('n2')?.status.state, 'down')
  await cluster.dispatcher.stop()
})
