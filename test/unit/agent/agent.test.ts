import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TaskState } from '../../../src/model/task-state.js'
import { assignment, Fixture, secret, withSecret } from './fixture.js'

const running = `t ${TaskState.Running}`

test('an assigned task runs, with the secrets that it refers to and no others', async () => {
  const node = new Fixture()
  const manager = await node.open([secret('s1'), secret('s2'), assignment('t', withSecret('s2'))])
  assert.equal(manager.reported.at(-1), running)
  assert.deepEqual(node.engine.secretsSeen.get('t'), ['data of s2'])
  await node.stop()
})

test('the greeting says what the node offers, under its own name', async () => {
  const node = new Fixture({
    describe: (description) => ({ ...description, Engine: { Labels: { a: 'b' } } }),
  })
  const { description, protocol } = (await node.open()).of('hello')[0] ?? {}
  assert.equal(protocol, 1)
  assert.equal(description?.Hostname, 'host')
  assert.deepEqual(description?.Engine?.Labels, { a: 'b' })
  node.engine.description = { ...node.engine.description, Resources: { NanoCPUs: 1e9 } }
  await node.run(21_000)
  assert.deepEqual(node.manager.of('description').at(-1)?.description.Resources, { NanoCPUs: 1e9 })
  await node.run(60_000)
  assert.equal(node.manager.of('description').length, 1)
  await node.stop()
})

test('a stop leaves containers alone; the next start takes them up before any manager is asked', async () => {
  const node = new Fixture()
  await node.open([assignment('t')])
  await node.stop()
  assert.equal(node.engine.stateOf('t'), 'running')
  node.engine.ends('t', 3)
  await node.restart()
  await node.run(2000)
  assert.equal(node.disk.rows.get('t')?.status.state, TaskState.Failed, 'noticed without a manager')
  node.manager.open()
  await node.run(10)
  assert.deepEqual(node.manager.reported, [`t ${TaskState.Failed}`])
  assert.equal(node.engine.made.length, 1)
  await node.stop()
})

test('what the managers do not know yet is said in every new session', async () => {
  const node = new Fixture()
  const first = await node.open()
  first.acknowledges = false
  first.assign('incremental', 1, 2, [assignment('t')])
  await node.run(100)
  assert.equal(first.reported.at(-1), running)
  first.link.cut()
  const second = await node.reconnect()
  second.open()
  await node.run(10)
  assert.deepEqual(second.reported, [running], 'only the newest')
  second.link.cut()
  const third = await node.reconnect()
  third.open()
  await node.run(10)
  assert.deepEqual(third.reported, [], 'it was acknowledged')
  third.assign('complete', 0, 1, [assignment('t')])
  await node.run(10)
  assert.deepEqual(third.reported, [running], 'these managers have never heard of it')
  await node.stop()
})

test('a manager that writes a higher state is not contradicted', async () => {
  const node = new Fixture()
  const manager = await node.open([assignment('t')])
  const status = { state: TaskState.Orphaned, timestampMs: 0, message: '' }
  const { length } = manager.reported
  manager.assign('complete', 0, 2, [assignment('t', { status })])
  await node.run(10)
  assert.equal(manager.reported.length, length)
  await node.stop()
})

test('a gap in the chain leads to a complete set, and is asked for once', async () => {
  const node = new Fixture()
  const manager = await node.open()
  manager.assign('incremental', 1, 2, [assignment('a')])
  manager.assign('incremental', 3, 4, [assignment('c')])
  manager.assign('incremental', 4, 5, [assignment('d')])
  await node.run(10)
  assert.equal(manager.of('resync').length, 1)
  assert.deepEqual([...node.disk.rows.keys()], ['a'])
  manager.assign('complete', 0, 6, [assignment('a'), assignment('b'), assignment('c'), assignment('d')])
  manager.assign('incremental', 6, 7, [assignment('e')])
  await node.run(10)
  assert.deepEqual([...node.disk.rows.keys()], ['a', 'b', 'c', 'd', 'e'])
  assert.equal(manager.of('resync').length, 1)
  await node.stop()
})

test('assignments that could not be stored are asked for again', async () => {
  const node = new Fixture()
  const manager = await node.open()
  const putTasks = node.disk.putTasks.bind(node.disk)
  node.disk.putTasks = () => Promise.reject(new Error('disk full'))
  manager.assign('incremental', 1, 2, [assignment('t')])
  await node.run(500)
  assert.equal(node.engine.containers.size, 0)
  node.disk.putTasks = putTasks
  await node.run(1000)
  assert.equal(manager.of('resync').length, 1)
  manager.assign('complete', 0, 3, [assignment('t')])
  await node.run(10)
  assert.equal(node.engine.stateOf('t'), 'running')
  await node.stop()
})

test('a task that is gone leaves nothing, though the engine is busy for a while', async () => {
  const node = new Fixture()
  node.engine.behaviours.set('busybox', { removeFailures: 3 })
  const manager = await node.open([assignment('t')])
  manager.assign('incremental', 1, 2, [{ op: 'remove', kind: 'task', id: 't' }])
  await node.run(10)
  assert.equal(node.disk.rows.get('t')?.isAssigned, false)
  await node.run(30_000)
  assert.equal(node.engine.containers.size, 0)
  assert.equal(node.disk.rows.size, 0)
  await node.stop()
})

test('a removal that a restart interrupts is finished after it', async () => {
  const node = new Fixture()
  node.engine.behaviours.set('busybox', { removeFailures: 1 })
  const manager = await node.open([assignment('t')])
  manager.assign('incremental', 1, 2, [{ op: 'remove', kind: 'task', id: 't' }])
  await node.run(10)
  await node.restart()
  assert.equal(node.engine.containers.size, 1)
  await node.run(5000)
  assert.equal(node.engine.containers.size, 0)
  assert.equal(node.disk.rows.size, 0)
  await node.stop()
})

test('containers of tasks that nobody knows are removed at the start', async () => {
  const node = new Fixture()
  for (const [taskId, nodeId] of [
    ['lost', 'n1'],
    ['foreign', 'n2'],
  ] as const)
    node.engine.containers.set(taskId, {
      taskId,
      nodeId,
      containerId: `c-${taskId}`,
      state: 'running',
      exitCode: 0,
      startedAtMs: 0,
    })
  await node.start()
  assert.deepEqual([...node.engine.containers.keys()], ['foreign'])
  await node.stop()
})

test('after a restart a task waits for its secrets, which are never on disk', async () => {
  const node = new Fixture()
  node.engine.behaviours.set('busybox', { prepareMs: 1000 })
  await node.open([secret('s1'), assignment('t', withSecret('s1'))])
  await node.restart()
  assert.ok(!JSON.stringify([...node.disk.rows]).includes(Buffer.from('data of s1').toString('base64')))
  await node.run(4000)
  assert.equal(node.disk.rows.get('t')?.status.state, TaskState.Preparing)
  node.manager.open()
  node.manager.assign('complete', 0, 1, [secret('s1'), assignment('t', withSecret('s1'))])
  await node.run(2000)
  assert.equal(node.manager.reported.at(-1), running)
  assert.deepEqual(node.engine.secretsSeen.get('t'), ['data of s1'])
  await node.stop()
})

test('credentials for a registry are never on disk either', async () => {
  const node = new Fixture()
  node.engine.behaviours.set('busybox', { prepareMs: 1000 })
  await node.open([assignment('t', { registryAuth: 'hush' })])
  assert.ok(!JSON.stringify([...node.disk.rows]).includes('hush'))
  await node.restart()
  await node.run(4000)
  assert.equal(node.disk.rows.get('t')?.status.state, TaskState.Preparing)
  node.manager.open()
  node.manager.assign('complete', 0, 1, [assignment('t', { registryAuth: 'hush' })])
  await node.run(2000)
  assert.equal(node.engine.stateOf('t'), 'running')
  await node.stop()
})

test('a secret that even a complete set lacks lets the task fail by itself', async () => {
  const node = new Fixture()
  await node.open([assignment('t', withSecret('gone'))])
  assert.deepEqual(node.engine.secretsSeen.get('t'), ['missing'])
  await node.stop()
})

test('a node that leaves says so, stops its tasks, reports that, and removes their containers', async () => {
  const node = new Fixture()
  node.engine.behaviours.set('busybox', { stopMs: 2000 })
  const manager = await node.open([assignment('t')])
  const left = node.agent.leave()
  await node.run(20_000)
  await left
  assert.equal(manager.of('leave').length, 1)
  assert.equal(manager.reported.at(-1), `t ${TaskState.Shutdown}`)
  assert.equal(node.engine.containers.size, 0)
  assert.equal(node.disk.rows.size, 0)
  assert.equal(manager.near.closed?.code, 1001)
})

test('leaving takes no longer than it may, with tasks that do not stop and no manager', async () => {
  const node = new Fixture()
  node.engine.behaviours.set('busybox', { stopMs: 60_000 })
  const manager = await node.open([assignment('t')])
  manager.link.freeze()
  let isLeft = false
  void node.agent.leave().then(() => {
    isLeft = true
  })
  await node.run(15_000)
  assert.ok(isLeft)
  assert.equal(node.engine.containers.size, 0)
})

test('a stop says first what has just happened, and leaves no timer', async () => {
  const node = new Fixture()
  const manager = await node.open([assignment('t')])
  manager.acknowledges = false
  node.engine.ends('t', 0)
  await node.run(1000)
  const stopped = node.agent.stop()
  await node.run(10)
  manager.say({ type: 'status-ack', report: manager.of('status').at(-1)?.report ?? 0, refused: [] })
  await node.run(10)
  await stopped
  assert.equal(manager.reported.at(-1), `t ${TaskState.Complete}`)
  await node.run(60_000)
  assert.equal(node.env.nextDueMs(), undefined)
})

test('the daemon hears of the session, and of its removal', async () => {
  const heard: string[] = []
  const node = new Fixture({
    onSession: ({ managers }) => heard.push(`${managers.length} managers`),
    onRemoved: (reason) => heard.push(reason),
  })
  const manager = await node.open()
  manager.near.close(4410, 'node n1 was removed from swarm')
  await node.run(10)
  assert.deepEqual(heard, ['0 managers', 'node n1 was removed from swarm'])
  await node.stop()
})

test('an agent that is stopped while it starts ends all the same', async () => {
  const node = new Fixture()
  const started = node.agent.start()
  const stopped = node.agent.stop()
  await node.run(60_000)
  await Promise.all([started, stopped])
  assert.equal(node.env.nextDueMs(), undefined)
  assert.ok(node.managers.every(({ near }) => near.closed !== undefined))
})
