import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Agent } from '../../../src/agent/index.js'
import { Dispatcher } from '../../../src/dispatcher/index.js'
import { TaskState } from '../../../src/model/task-state.js'
import type { Store } from '../../../src/store/store.js'
import { aNode, aTask, newObject } from '../../lib/builders.js'
import { FakeExecutor } from '../../lib/fake-executor.js'
import { instantStore } from '../../lib/instant-store.js'
import { MemoryLink } from '../../lib/memory-connection.js'
import { MemoryTaskStorage } from '../../lib/memory-task-storage.js'
import { runFor } from '../../lib/run-for.js'
import { SimulatedEnv } from '../../lib/simulated-env.js'
import { FakeAgent, description } from './fixture.js'

/** Managers `m1` to `m3` on one store, and nodes `n1` and `n2`. */
class Managers {
  readonly env = new SimulatedEnv(1)
  readonly store: Store = instantStore(this.env)
  /** Connections that relay, the newest last. */
  readonly links: MemoryLink[] = []
  readonly all: readonly Dispatcher[]
  leader: Dispatcher | undefined

  private constructor() {
    this.all = ['m1', 'm2', 'm3'].map(
      (managerId) =>
        new Dispatcher(this.env, this.store, { managerId, dialLeader: () => Promise.resolve(this.#dial()) }),
    )
  }

  /** The first one leads. */
  static async start(): Promise<Managers> {
    const managers = new Managers()
    await managers.store.update((tx) => {
      for (const id of ['n1', 'n2'])
        tx.create('nodes', newObject(aNode({ id, status: { state: 'unknown', message: '', addr: '' } })))
    })
    managers.lead(0)
    return managers
  }

  at(index: number): Dispatcher {
    const manager = this.all[index]
    assert.ok(manager)
    return manager
  }

  lead(index: number, formerLeaderId?: string): void {
    this.leader = this.at(index)
    this.leader.start(formerLeaderId)
  }

  /** The leader is gone, without a word. */
  async die(): Promise<void> {
    const dead = this.leader
    this.leader = undefined
    for (const link of this.links) link.freeze()
    await dead?.stop()
    for (const manager of this.all) manager.leaderChanged()
  }

  #dial() {
    if (this.leader === undefined) throw new Error('no leader')
    const link = new MemoryLink()
    this.links.push(link)
    this.leader.acceptRelay(link.ends[1])
    return link.ends[0]
  }

  run(ms: number): Promise<void> {
    return runFor(this.env, ms)
  }

  connect(index: number, nodeId = 'n1'): FakeAgent {
    const agent = new FakeAgent()
    this.at(index).accept(agent.far, { nodeId }, `10.1.2.${index}`)
    return agent
  }

  async open(index: number, nodeId = 'n1'): Promise<FakeAgent> {
    const agent = this.connect(index, nodeId)
    agent.say({ type: 'hello', protocol: 1, description })
    await this.run(300)
    return agent
  }

  async stop(): Promise<void> {
    const ended = Promise.all(this.all.map((manager) => manager.close()))
    await this.run(1000)
    await ended
    assert.equal(this.env.nextDueMs(), undefined)
  }

  state(nodeId = 'n1') {
    return this.store.view.nodes.get(nodeId)?.status.state
  }
}

test('a manager that does not lead relays the whole session', async () => {
  const managers = await Managers.start()
  const agent = await managers.open(1)
  await managers.open(1, 'n2')
  assert.equal(managers.links.length, 1, 'all sessions share one connection')
  assert.equal(managers.store.view.nodes.get('n1')?.status.addr, '10.1.2.1', 'the node’s own address')
  assert.equal(agent.last('session').node.id, 'n1')

  const status = { state: TaskState.Assigned, timestampMs: 0, message: 'assigned' }
  await managers.store.update((tx) => {
    tx.create('tasks', newObject(aTask({ id: 't1', nodeId: 'n1', status })))
  })
  await managers.run(10)
  assert.deepEqual(
    agent.last('assignments').changes.map((change) => change.op === 'update' && change.kind),
    ['task'],
  )
  const running = { state: TaskState.Running, timestampMs: 5, message: 'started' }
  agent.say({ type: 'status', report: 3, updates: [{ taskId: 't1', status: running }] })
  agent.say({ type: 'heartbeat' })
  await managers.run(10)
  assert.deepEqual(agent.last('status-ack'), { type: 'status-ack', report: 3, refused: [] })
  assert.equal(managers.store.view.tasks.get('t1')?.status.state, TaskState.Running)
  assert.ok(agent.last('heartbeat').periodMs > 4000)

  agent.link.cut()
  await managers.run(2900)
  assert.equal(managers.state(), 'ready')
  await managers.run(200)
  assert.equal(managers.state(), 'down')
  assert.equal(managers.state('n2'), 'ready')
  await managers.stop()
})

test('what the leader refuses the agent is told', async () => {
  const managers = await Managers.start()
  const stranger = await managers.open(1, 'nobody')
  assert.deepEqual(stranger.near.closed, { code: 4404, reason: 'node nobody not found' })
  const agent = await managers.open(1)
  await managers.store.update((tx) => tx.remove('nodes', 'n1'))
  await managers.run(10)
  assert.equal(agent.near.closed?.code, 4410)
  await managers.stop()
})

test('a leader that dies: sessions go on with the next one, on the same connections', async () => {
  const managers = await Managers.start()
  const agents = [await managers.open(1), await managers.open(2, 'n2')]
  const ids = agents.map((agent) => agent.last('session').sessionId)
  await managers.die()
  await managers.run(1500)
  // Nobody hears a heartbeat meanwhile, and nobody is sent away.
  for (const agent of agents) assert.equal(agent.near.closed, undefined)
  managers.lead(2, 'm1')
  await managers.run(300)
  for (const [index, agent] of agents.entries()) {
    assert.equal(agent.near.closed, undefined)
    assert.notEqual(agent.last('session').sessionId, ids[index])
    assert.equal(agent.last('assignments').kind, 'complete')
  }
  assert.equal(managers.state('n1'), 'ready')
  assert.equal(managers.state('n2'), 'ready')
  await managers.stop()
})

test('a change of leader leaves the tasks of an agent as they are, and loses no status', async () => {
  const managers = await Managers.start()
  const executor = new FakeExecutor(managers.env)
  const agent = new Agent(managers.env, {
    nodeId: 'n1',
    hostname: 'host-1',
    executor,
    dbPath: '',
    storage: new MemoryTaskStorage(),
    dial: () => {
      const { ends } = new MemoryLink()
      managers.at(1).accept(ends[1], { nodeId: 'n1' }, '10.0.0.1')
      return Promise.resolve(ends[0])
    },
  })
  const starting = agent.start()
  await managers.run(500)
  await starting
  executor.behaviours.set('job', { exit: { code: 0, afterMs: 2000 } })
  const status = { state: TaskState.Assigned, timestampMs: 0, message: 'assigned' }
  const spec = { ContainerSpec: { Image: 'job' } }
  await managers.store.update((tx) => {
    tx.create('tasks', newObject(aTask({ id: 'long', nodeId: 'n1', status })))
    tx.create('tasks', newObject(aTask({ id: 'short', nodeId: 'n1', status, spec })))
  })
  await managers.run(500)
  const before = managers.store.view.tasks.get('long')
  assert.equal(before?.status.state, TaskState.Running)
  await managers.die()
  // The job ends while nobody leads.
  await managers.run(3000)
  managers.lead(2)
  await managers.run(1000)
  assert.equal(managers.store.view.tasks.get('short')?.status.state, TaskState.Complete)
  assert.deepEqual(managers.store.view.tasks.get('long'), before)
  assert.equal(executor.containers.size, 2)
  const stopping = agent.stop()
  await managers.run(2000)
  await stopping
  await managers.stop()
})

test('a manager that becomes the leader serves the sessions that it relayed', async () => {
  const managers = await Managers.start()
  const agent = await managers.open(1)
  const waiting = managers.connect(1, 'n2')
  await managers.die()
  managers.lead(1, 'm1')
  await managers.run(300)
  assert.equal(agent.of('session').length, 2)
  assert.equal(managers.state(), 'ready')
  // Who had not greeted yet does it now.
  waiting.say({ type: 'hello', protocol: 1, description })
  agent.say({ type: 'heartbeat' })
  await managers.run(300)
  assert.equal(managers.state('n2'), 'ready')
  assert.equal(agent.of('heartbeat').length, 1)
  await managers.stop()
})

test('a node whose connection broke shortly before the leader died is not waited for long', async () => {
  const managers = await Managers.start()
  const [lost] = [await managers.open(1), await managers.open(2, 'n2')]
  await managers.die()
  lost.link.cut()
  await managers.run(1400)
  managers.lead(2, 'm1')
  await managers.run(300)
  assert.equal(managers.state(), 'unknown')
  await managers.run(2000)
  assert.equal(managers.state(), 'down')
  assert.equal(managers.state('n2'), 'ready')
  await managers.stop()
})

test('a node that gives up a manager without a leader is no loss', async () => {
  const managers = await Managers.start()
  const agent = await managers.open(1)
  await managers.die()
  agent.near.close(4408, 'the manager is silent')
  await managers.run(500)
  managers.lead(2, 'm1')
  await managers.run(6000)
  assert.equal(managers.state(), 'unknown')
  await managers.stop()
})

test('one that came to another manager since is no loss', async () => {
  const managers = await Managers.start()
  const first = await managers.open(1)
  await managers.die()
  first.link.cut()
  await managers.open(2)
  await managers.run(1000)
  managers.lead(2)
  await managers.run(10_000)
  assert.equal(managers.state(), 'ready')
  await managers.stop()
})

test('without a leader for long nobody is kept waiting', async () => {
  const managers = await Managers.start()
  const agent = await managers.open(1)
  const isWaiting = () => agent.near.closed === undefined
  await managers.die()
  await managers.run(4000)
  assert.ok(isWaiting())
  await managers.run(2000)
  assert.ok(!isWaiting())
  const late = managers.connect(1, 'n2')
  await managers.run(1000)
  assert.equal(late.near.closed?.code, undefined, 'it is waited for anew')
  await managers.stop()
})

test('a leader whose write fails turns one session away; it comes back', async () => {
  const managers = await Managers.start()
  const agent = await managers.open(1)
  // The leader has lost its majority and says so, but the connection between the managers is there.
  const dead = managers.leader
  managers.leader = undefined
  await dead?.stop()
  managers.lead(0)
  await managers.run(2000)
  assert.equal(agent.near.closed, undefined)
  assert.equal(agent.of('session').length, 2)
  assert.equal(managers.state(), 'ready')
  await managers.stop()
})

test('the leader leaves a slow worker behind another manager alone', async () => {
  const managers = await Managers.start()
  const agent = await managers.open(1)
  agent.far.bufferedAmount = 2 * 1024 * 1024
  const status = { state: TaskState.Assigned, timestampMs: 0, message: 'assigned' }
  const addTask = async (id: string) => {
    await managers.store.update((tx) => {
      tx.create('tasks', newObject(aTask({ id, nodeId: 'n1', status })))
    })
    await managers.run(20)
  }
  // The first message tells that it is slow.
  await addTask('t1')
  const before = agent.of('assignments').length
  await addTask('t2')
  await addTask('t3')
  assert.equal(agent.of('assignments').length, before)
  agent.far.bufferedAmount = 0
  await managers.run(1000)
  assert.equal(agent.of('assignments').length, before + 1)
  assert.equal(agent.last('assignments').kind, 'complete')
  assert.equal(agent.last('assignments').changes.length, 3)
  await managers.stop()
})

test('what is no frame ends the connection between managers, which is made anew', async () => {
  const managers = await Managers.start()
  const agent = await managers.open(1)
  managers.links[0]?.ends[0].send(Buffer.from([1]))
  await managers.run(1000)
  assert.equal(managers.links.length, 2)
  assert.equal(managers.links[0]?.ends[0].closed?.code, 4400)
  assert.equal(agent.near.closed, undefined)
  assert.equal(agent.of('session').length, 2)
  await managers.stop()
})
