import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TaskState } from '../../../src/model/task-state.js'
import { Store } from '../../../src/store/store.js'
import { description, Fixture } from './fixture.js'

const running = { state: TaskState.Running, timestampMs: 7, message: 'started' }

test('a session begins with what the node must know, then everything that is assigned to it', async () => {
  const cluster = await Fixture.start()
  await cluster.addTask('t1')
  await cluster.store.update((tx) => void tx.update('nodes', 'n2', { managerAddr: '10.0.0.2:2377' }))
  const agent = await cluster.open()
  const [session, assignments] = agent.messages
  assert.ok(session?.type === 'session' && assignments?.type === 'assignments')
  assert.equal(session.node.id, 'n1')
  assert.deepEqual(session.managers, [{ nodeId: 'n2', addr: '10.0.0.2:2377', weight: 10 }])
  assert.equal(assignments.kind, 'complete')
  assert.equal(assignments.changes.length, 1)
  await cluster.dispatcher.stop()
})

test('a node hears of itself and of the managers again when they change, not of its own word', async () => {
  const cluster = await Fixture.start()
  const agent = await cluster.open()
  agent.say({ type: 'description', description: { Hostname: 'renamed' } })
  await cluster.run(10)
  assert.equal(cluster.node()?.description?.Hostname, 'renamed')
  assert.equal(agent.of('session').length, 1)
  const spec = { Labels: {}, Role: 'manager', Availability: 'active' }
  await cluster.store.update((tx) => void tx.update('nodes', 'n1', { spec }))
  await cluster.store.update((tx) => void tx.update('nodes', 'n2', { managerAddr: '10.0.0.2:2377' }))
  await cluster.run(10)
  assert.equal(agent.of('session').length, 2, 'both changes in one')
  assert.equal(agent.last('session').node.spec.Role, 'manager')
  assert.equal(agent.last('session').managers.length, 1)
  await cluster.dispatcher.stop()
})

test('changes of one turn are one message, each built on the one before', async () => {
  const cluster = await Fixture.start()
  const agent = await cluster.open()
  await Promise.all([cluster.addTask('t1'), cluster.addTask('t2'), cluster.addTask('other', 'n2')])
  await cluster.run(10)
  await cluster.addTask('t3')
  await cluster.run(10)
  const sets = agent.of('assignments')
  assert.deepEqual(
    sets.map(({ kind, appliesTo, resultsIn, changes }) => [kind, appliesTo, resultsIn, changes.length]),
    [
      ['complete', 0, 1, 0],
      ['incremental', 1, 2, 2],
      ['incremental', 2, 3, 1],
    ],
  )
  await cluster.dispatcher.stop()
})

test('a node that lost the thread gets everything again', async () => {
  const cluster = await Fixture.start()
  const agent = await cluster.open()
  await cluster.addTask('t1')
  await cluster.run(10)
  agent.say({ type: 'resync' })
  await cluster.run(10)
  assert.equal(agent.last('assignments').kind, 'complete')
  assert.equal(agent.last('assignments').changes.length, 1)
  await cluster.addTask('t2')
  await cluster.run(10)
  assert.equal(agent.last('assignments').appliesTo, agent.of('assignments').at(-2)?.resultsIn)
  await cluster.dispatcher.stop()
})

test('a slow worker gets one fresh set instead of a growing queue', async () => {
  const cluster = await Fixture.start()
  const agent = await cluster.open()
  agent.far.bufferedAmount = 2 * 1024 * 1024
  for (let number = 0; number < 5; number++) {
    await cluster.addTask(`t${number}`)
    await cluster.run(300)
  }
  assert.equal(agent.of('assignments').length, 1)
  agent.far.bufferedAmount = 0
  await cluster.run(300)
  assert.equal(agent.of('assignments').length, 2)
  assert.equal(agent.last('assignments').kind, 'complete')
  assert.equal(agent.last('assignments').changes.length, 5)
  await cluster.dispatcher.stop()
})

test('a report is acknowledged only when it is committed', async () => {
  let release: (() => void)[] = []
  const cluster = await Fixture.start({
    store: (env) => {
      let index = 0
      const store: Store = new Store(env, {
        propose: (data) => {
          const at = ++index
          release.push(() => store.apply(at, data))
          if (index <= 3) queueMicrotask(() => release.shift()?.())
          return at
        },
      })
      return store
    },
  })
  const created = cluster.addTask('t')
  await cluster.run(10)
  await created
  const agent = await cluster.open()
  agent.say({ type: 'status', report: 5, updates: [{ taskId: 't', status: running }] })
  await cluster.run(1000)
  assert.equal(release.length, 1, 'it waits for the log')
  assert.equal(agent.of('status-ack').length, 0)
  release.shift()?.()
  release = []
  await cluster.run(10)
  assert.deepEqual(agent.last('status-ack'), { type: 'status-ack', report: 5, refused: [] })
  assert.deepEqual(cluster.store.view.tasks.get('t')?.status, {
    ...running,
    appliedAtMs: cluster.store.view.tasks.get('t')?.updatedAtMs,
    appliedBy: 'm1',
  })
  await cluster.dispatcher.stop()
})

test('2.2 states never go back, the same again is not written, unknown tasks are skipped', async () => {
  const cluster = await Fixture.start()
  await cluster.addTask('t')
  const agent = await cluster.open()
  const report = async (number: number, taskId: string, status: typeof running | object) => {
    const whole = { ...running, ...status }
    agent.say({ type: 'status', report: number, updates: [{ taskId, status: whole }] })
    await cluster.run(10)
    assert.equal(agent.last('status-ack').report, number)
  }
  await report(1, 't', {})
  const { appliedIndex } = cluster.store
  await report(2, 't', {})
  await report(3, 't', { state: TaskState.Preparing, message: 'preparing' })
  await report(4, 'nobody', {})
  assert.equal(cluster.store.appliedIndex, appliedIndex)
  assert.equal(cluster.store.view.tasks.get('t')?.status.state, TaskState.Running)
  await report(5, 't', { err: 'the same state may say more' })
  assert.equal(cluster.store.view.tasks.get('t')?.status.err, 'the same state may say more')
  await cluster.dispatcher.stop()
})

test("2.3 another node's task is refused, the rest of the report counts", async () => {
  const cluster = await Fixture.start()
  await cluster.addTask('own')
  await cluster.addTask('foreign', 'n2')
  const agent = await cluster.open()
  agent.say({
    type: 'status',
    report: 1,
    updates: [
      { taskId: 'foreign', status: running },
      { taskId: 'own', status: running },
    ],
  })
  await cluster.run(10)
  assert.deepEqual(agent.last('status-ack').refused, [
    { taskId: 'foreign', reason: 'cannot update a task not assigned this node' },
  ])
  assert.equal(cluster.store.view.tasks.get('foreign')?.status.state, TaskState.Assigned)
  assert.equal(cluster.store.view.tasks.get('own')?.status.state, TaskState.Running)
  await cluster.dispatcher.stop()
})

test('who is not let in is told why', async () => {
  const cluster = await Fixture.start()
  const refused = async (nodeId: string, first: Parameters<typeof agent.say>[0]) => {
    const other = cluster.accept(nodeId)
    other.say(first)
    await cluster.run(10)
    return other.near.closed
  }
  const agent = cluster.accept()
  assert.deepEqual(await refused('n9', { type: 'hello', protocol: 1, description }), {
    code: 4404,
    reason: 'node n9 not found',
  })
  assert.equal((await refused('n1', { type: 'hello', protocol: 2, description }))?.code, 4426)
  assert.equal((await refused('n1', { type: 'heartbeat' }))?.code, 4400)
  const noise = cluster.accept()
  noise.near.send('"noise"')
  await cluster.run(10)
  assert.equal(noise.near.closed?.code, 4400)
  await cluster.run(6000)
  assert.equal(agent.near.closed?.code, 4408, 'one that never said hello')
  await cluster.dispatcher.stop()
  const late = cluster.accept()
  await cluster.run(10)
  assert.equal(late.near.closed?.code, 4503, 'nobody leads here')
})

test('a second session of a node takes the place of the first', async () => {
  const cluster = await Fixture.start()
  const first = await cluster.open()
  const second = await cluster.open()
  assert.equal(first.near.closed?.code, 4409)
  await cluster.addTask('t')
  await cluster.run(10)
  assert.equal(second.of('assignments').length, 2)
  assert.equal(cluster.node()?.status.state, 'ready')
  await cluster.dispatcher.stop()
})

test('a node that registers without end is slowed down', async () => {
  const cluster = await Fixture.start()
  const codes: (number | undefined)[] = []
  for (let number = 0; number < 10; number++) {
    const agent = await cluster.open()
    codes.push(agent.near.closed?.code)
  }
  assert.deepEqual(codes, [...Array.from({ length: 8 }, () => undefined), 4429, 4429])
  await cluster.run(8000)
  assert.equal((await cluster.open()).near.closed, undefined)
  await cluster.dispatcher.stop()
})

test('a removed node is sent away and not let in again', async () => {
  const cluster = await Fixture.start()
  await cluster.store.update((tx) => {
    tx.create('clusters', {
      id: 'c',
      spec: {},
      rootCa: { certPem: 'PEM', lastForcedRotation: 0 },
      joinTokens: { worker: '', manager: '' },
      defaultAddressPools: null,
      subnetSize: 24,
      dataPathPort: 4789,
      blacklistedCertificates: {},
    })
  })
  const agent = await cluster.open()
  assert.equal(agent.last('session').rootCaPem, 'PEM')
  await cluster.store.update((tx) => {
    tx.update('clusters', 'c', { blacklistedCertificates: { n1: 1 } })
    tx.remove('nodes', 'n1')
  })
  await cluster.run(10)
  assert.deepEqual(agent.near.closed, { code: 4410, reason: 'node n1 was removed from swarm' })
  assert.equal((await cluster.open()).near.closed?.code, 4410)
  await cluster.run(60_000)
  assert.equal(cluster.node(), undefined)
  await cluster.dispatcher.stop()
})

test('the heartbeat period is the one of the cluster, live', async () => {
  const cluster = await Fixture.start()
  await cluster.store.update((tx) => {
    tx.create('clusters', {
      id: 'c',
      spec: { Dispatcher: { HeartbeatPeriod: 2e9 } },
      rootCa: { certPem: 'PEM', lastForcedRotation: 0 },
      joinTokens: { worker: '', manager: '' },
      defaultAddressPools: null,
      subnetSize: 24,
      dataPathPort: 4789,
      blacklistedCertificates: {},
    })
  })
  const agent = await cluster.open()
  assert.equal(agent.last('session').heartbeatPeriodMs, 2000)
  await cluster.store.update(
    (tx) => void tx.update('clusters', 'c', { spec: { Dispatcher: { HeartbeatPeriod: 1e9 } } }),
  )
  agent.say({ type: 'heartbeat' })
  await cluster.run(10)
  assert.equal(agent.last('session').heartbeatPeriodMs, 1000)
  const { periodMs } = agent.last('heartbeat')
  assert.ok(periodMs >= 900 && periodMs <= 1100)
  await cluster.run(3500)
  assert.equal(cluster.node()?.status.state, 'down')
  await cluster.dispatcher.stop()
})
