import assert from 'node:assert/strict'
import { test } from 'node:test'
import { allocatorLoop } from '../../../src/allocator/index.js'
import type { Task } from '../../../src/model/objects.js'
import type { Mount, ServiceSpec } from '../../../src/model/spec/index.js'
import { TaskState } from '../../../src/model/task-state.js'
import { orchestratorLoops } from '../../../src/orchestrator/index.js'
import { ClusterFacts } from '../../../src/scheduler/cluster-facts.js'
import {
  MovePlanner,
  nodesAsTheyWillBe,
  obstacleOf,
  rebalancerLoop,
  schedulerLoop,
} from '../../../src/scheduler/index.js'
import type { Tx } from '../../../src/store/store.js'
import { Harness, replicated, withImage } from './harness.js'

const auto = { 'skep.rebalance': 'auto' }
const seeds = Number(process.env['SKEP_SIM_SEEDS'] ?? 30)

/** A cluster with everything that decides about tasks. */
class World extends Harness {
  /** Tasks that were marked to be moved, as they were then. */
  readonly moved: Task[] = []

  constructor(seed = 1) {
    super({
      seed,
      placement: false,
      loops: [...orchestratorLoops, allocatorLoop, schedulerLoop, rebalancerLoop],
    })
    this.noteMoves()
  }

  noteMoves(): void {
    this.store.watch(({ changes }) => {
      for (const change of changes) {
        if (
          change.table === 'tasks' &&
          change.after?.moveTo !== undefined &&
          change.before?.moveTo === undefined
        )
          this.moved.push(change.after)
      }
    })
  }

  async up(serviceId: string, replicas: number): Promise<void> {
    const isDone = () =>
      this.serving(serviceId).length === replicas && this.live(serviceId).length === replicas
    await this.until(`${replicas} replicas`, isDone)
  }

  serving(serviceId: string): readonly Task[] {
    return this.tasks(serviceId).filter(
      ({ status, desiredState }) => status.state === TaskState.Running && desiredState === TaskState.Running,
    )
  }

  /** How many tasks of services run on each node, sorted. */
  loads(...serviceIds: string[]): number[] {
    const { nodes } = this.store.view
    const tasks = serviceIds.flatMap((id) => this.serving(id))
    return nodes
      .list()
      .map(({ id }) => tasks.filter(({ nodeId }) => nodeId === id).length)
      .sort((a, b) => a - b)
  }

  async write(fn: (tx: Tx) => void): Promise<void> {
    const state = { done: false }
    const write = this.store.update(fn).finally(() => (state.done = true))
    while (!state.done) await this.run(1)
    await write
  }

  async defaults(Labels: Readonly<Record<string, string>>): Promise<void> {
    await this.write((tx) => tx.update('clusters', 'cluster', { spec: { Name: 'default', Labels } }))
  }

  async request(id: string): Promise<void> {
    await this.write((tx) => tx.update('services', id, { rebalanceRequestedMs: tx.nowMs }))
  }
}

async function world(nodes: number, replicas: number, spec: Partial<ServiceSpec> = {}) {
  const w = new World()
  await w.cluster()
  await w.addNodes(nodes)
  const id = await w.createService(replicated('web', replicas, { Labels: auto, ...spec }))
  await w.up(id, replicas)
  return { w, id }
}

test('14.5 after a node joins, tasks move there one by one, and never fewer run than were asked for', async () => {
  const { w, id } = await world(3, 12)
  await w.addNodes(1)
  await w.run(25_000)
  assert.deepEqual(w.moved, [], 'a node that has just come may go again')
  await w.watch(
    'an even load',
    () => w.loads(id).join() === '3,3,3,3',
    () => {
      const running = w.tasks(id).filter(({ status }) => status.state === TaskState.Running)
      assert.ok(running.length >= 12, `${running.length} run`)
      assert.ok(w.live(id).length <= 13, 'one at a time')
    },
  )
  await w.run(120_000)
  assert.equal(w.moved.length, 3)
  assert.deepEqual(w.violations, [])
  await w.stop()
})

test('14.6 nothing moves without the label, or with off where the swarm says auto', async () => {
  for (const labels of [{}, { 'skep.rebalance': 'off' }]) {
    const { w, id } = await world(2, 6, { Labels: labels })
    if ('skep.rebalance' in labels) {
      await w.defaults(auto)
    }
    await w.addNodes(1)
    await w.run(300_000)
    assert.deepEqual(w.loads(id), [0, 3, 3])
    await w.stop()
  }
})

test('14.6 the default of the swarm holds for services that say nothing', async () => {
  const { w, id } = await world(2, 6, { Labels: {} })
  await w.defaults(auto)
  await w.addNodes(1)
  await w.until('an even load', () => w.loads(id).join() === '2,2,2')
  await w.stop()
})

test('14.7 a request moves at once, and is over when nothing is left to move', async () => {
  const { w, id } = await world(2, 6, { Labels: {} })
  await w.addNodes(1)
  await w.request(id)
  await w.until('an even load', () => w.loads(id).join() === '2,2,2', 20_000)
  await w.until('the end of the request', () => w.service(id).rebalanceRequestedMs === undefined, 20_000)
  await w.stop()
})

test('14.5 single replicas of many services move to the node that came back', async () => {
  const w = new World()
  await w.cluster()
  const [first = ''] = await w.addNodes(1)
  const ids: string[] = []
  for (let at = 0; at < 8; at++) ids.push(await w.createService(replicated(`s${at}`, 1, { Labels: auto })))
  for (const id of ids) await w.up(id, 1)
  await w.addNodes(1)
  await w.until('half of them there', () => w.loads(...ids).join() === '4,4')
  await w.setAvailability(first, 'drain')
  await w.until('all of them there', () => w.loads(...ids).join() === '0,8')
  await w.setAvailability(first, 'active')
  await w.until('half of them back', () => w.loads(...ids).join() === '4,4')
  await w.stop()
})

test('14.5 zones are evened out first, then nodes', async () => {
  const Preferences = [{ Spread: { SpreadDescriptor: 'node.labels.zone' } }]
  const spec = { TaskTemplate: { ContainerSpec: { Image: 'app:1' }, Placement: { Preferences } } }
  const w = new World()
  await w.cluster()
  await w.addNodes(3, { Labels: { zone: 'a' } })
  const id = await w.createService(replicated('web', 8, { Labels: auto, ...spec }))
  await w.up(id, 8)
  const [b = ''] = await w.addNodes(1, { Labels: { zone: 'b' } })
  await w.until('half of them in b', () => w.serving(id).filter(({ nodeId }) => nodeId === b).length === 4)
  await w.run(120_000)
  assert.deepEqual(w.loads(id), [1, 1, 2, 4])
  await w.stop()
})

test('14.8 constraints, data on the node and packing keep tasks where they are', async () => {
  const mount = (fields: Mount) => ({ ContainerSpec: { Image: 'app:1', Mounts: [fields] } })
  const specs: Partial<ServiceSpec>[] = [
    {
      TaskTemplate: {
        ContainerSpec: { Image: 'app:1' },
        Placement: { Constraints: ['node.labels.old==yes'] },
      },
    },
    { TaskTemplate: mount({ Type: 'volume', Source: 'data', Target: '/data' }) },
    { TaskTemplate: mount({ Type: 'bind', Source: '/srv', Target: '/srv' }) },
    { Labels: { ...auto, 'skep.placement.strategy': 'binpack' } },
  ]
  for (const spec of specs) {
    const w = new World()
    await w.cluster()
    await w.addNodes(2, { Labels: { old: 'yes' } })
    const id = await w.createService(replicated('web', 6, { Labels: auto, ...spec }))
    await w.up(id, 6)
    await w.addNodes(1)
    await w.run(200_000)
    assert.deepEqual(w.moved, [], JSON.stringify(spec))
    await w.stop()
  }
})

test('14.9 a successor that does not come up is given up; the task stays, and the service rests', async () => {
  const { w, id } = await world(2, 4)
  const [dead = ''] = await w.addNodes(1)
  w.silent.add(dead)
  await w.until('the move to begin', () => w.moved.length === 1)
  await w.run(590_000)
  assert.equal(w.serving(id).length, 4)
  assert.equal(w.live(id).length, 5)
  await w.until('the move to be given up', () => w.tasks(id).every(({ moveTo }) => moveTo === undefined))
  assert.deepEqual(w.loads(id), [0, 2, 2])
  await w.run(500_000)
  assert.equal(w.moved.length, 1)
  assert.equal(w.live(id).length, 4)
  await w.stop()
})

test('14.9 a successor that fails is given up at once', async () => {
  const { w, id } = await world(2, 4)
  w.behaviours.set('app:1', { refuses: 'failed' })
  await w.addNodes(1)
  await w.until('the move to begin', () => w.moved.length === 1)
  await w.until(
    'the move to be given up',
    () => w.tasks(id).every(({ moveTo }) => moveTo === undefined),
    20_000,
  )
  await w.run(60_000)
  assert.deepEqual([w.serving(id).length, w.live(id).length, w.loads(id).join()], [4, 4, '0,2,2'])
  await w.stop()
})

test('14.9 an update in the middle of a move takes over', async () => {
  const { w, id } = await world(2, 4)
  const [dead = ''] = await w.addNodes(1)
  w.silent.add(dead)
  await w.until('the move to begin', () => w.moved.length === 1)
  await w.run(5000)
  w.silent.delete(dead)
  await w.updateService(id, withImage('app:2'))
  await w.until('the update', () => w.service(id).updateStatus?.state === 'completed')
  await w.up(id, 4)
  assert.ok(w.live(id).every(({ spec }) => spec.ContainerSpec?.Image === 'app:2'))
  await w.stop()
})

test('14.9 a new leader goes on with the move', async () => {
  const { w, id } = await world(2, 6)
  await w.addNodes(1)
  await w.until('the move to begin', () => w.moved.length === 1)
  await w.changeLeader()
  w.noteMoves()
  await w.until('an even load', () => w.loads(id).join() === '2,2,2')
  await w.run(60_000)
  assert.equal(w.live(id).length, 6)
  assert.deepEqual(w.violations, [])
  await w.stop()
})

for (let seed = 1; seed <= seeds; seed++) {
  test(`14.5 random histories end evenly spread, and stay so (seed ${seed})`, async () => {
    const w = new World(seed)
    await w.cluster()
    const below = (bound: number) => w.env.randomInt(bound)
    const pick = <T>(items: readonly T[]) => items[below(items.length)]
    const zones = ['a', 'b', 'c']
    const nodes = await w.addNodes(1 + below(4), { Labels: { zone: 'a' } })
    const services: string[] = []
    const addService = async () => {
      const Preferences = below(2) === 0 ? [] : [{ Spread: { SpreadDescriptor: 'node.labels.zone' } }]
      const Placement = { Preferences, ...(below(4) === 0 && { MaxReplicas: 3 }) }
      const Labels = { ...auto, ...(below(4) === 0 && { 'skep.placement.strategy': 'spread' }) }
      const TaskTemplate = { ContainerSpec: { Image: 'app:1' }, Placement }
      services.push(
        await w.createService(replicated(`s${services.length}`, 1 + below(6), { Labels, TaskTemplate })),
      )
    }
    await addService()
    for (let step = 0; step < 25; step++) {
      const node = pick(nodes) ?? ''
      const service = pick(services) ?? ''
      switch (below(9)) {
        case 0:
          nodes.push(...(await w.addNodes(1, { Labels: { zone: pick(zones) ?? '' } })))
          break
        case 1:
          if (services.length < 5) await addService()
          break
        case 2:
          await w.setAvailability(node, pick(['active', 'drain', 'pause']) ?? '')
          break
        case 3:
          await w.setNodeState(node, pick(['ready', 'down', 'ready'] as const) ?? 'ready')
          break
        case 4:
          await w.updateService(service, (spec) => ({
            ...spec,
            Mode: { Replicated: { Replicas: 1 + below(8) } },
          }))
          break
        case 5:
          await w.updateService(service, withImage(`app:${below(5)}`))
          break
        case 6:
          await w.changeLeader(below(3))
          w.noteMoves()
          break
        case 7:
          await w.request(service)
          break
        default:
      }
      await w.run(below(50_000))
    }
    for (const node of nodes) {
      await w.setNodeState(node, 'ready')
      await w.setAvailability(node, 'active')
    }
    // Whatever came later than the last change of a node would stay as it is.
    await w.addNodes(1, { Labels: { zone: 'a' } })
    // Moves that failed rest for ten minutes.
    await w.run(1_500_000)
    const { view } = w.store
    const facts = new ClusterFacts(view)
    const set = await nodesAsTheyWillBe(w.env, view, new AbortController().signal)
    for (const id of services) {
      const service = w.service(id)
      const obstacle = obstacleOf(service, w.tasks(id), facts)
      // Too few nodes for the limit of replicas on each.
      if (obstacle?.text.includes('replicas running')) continue
      assert.equal(obstacle, undefined, `${service.spec.Name} ${obstacle?.text}\n${w.describe()}`)
      const planner = new MovePlanner(set, facts, { nowMs: w.env.nowMs(), settleMs: 0 })
      const more = planner.next(service, w.tasks(id))
      assert.equal(more, undefined, `${JSON.stringify(more)}\n${w.describe()}`)
      assert.equal(service.rebalanceRequestedMs, undefined)
    }
    const { length } = w.moved
    await w.run(1_500_000)
    assert.equal(w.moved.length, length, 'nothing moves for ever')
    assert.deepEqual(w.violations, [])
    await w.stop()
  })
}
