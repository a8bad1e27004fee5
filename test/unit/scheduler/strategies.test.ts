import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Node, Service, Task } from '../../../src/model/objects.js'
import { TaskState } from '../../../src/model/task-state.js'
import { ClusterFacts } from '../../../src/scheduler/cluster-facts.js'
import { Planner, type Decision } from '../../../src/scheduler/planner.js'
import { emptyTables } from '../../../src/store/schema.js'
import { aNode, aService, aTask } from '../../lib/builders.js'

const running = { state: TaskState.Running, timestampMs: 0, message: 'started' }
const id = (prefix: string, at: number) => `${prefix}${String(at).padStart(3, '0')}`
const reserving = (NanoCPUs: number) => ({ Resources: { Reservations: { NanoCPUs } } })

/** A planner over services with labels, given by name. */
class World {
  readonly tables = emptyTables()
  readonly planner = new Planner(new ClusterFacts(this.tables))

  constructor(nodes: readonly Node[]) {
    for (const node of nodes) this.planner.setNode(node)
  }

  service(name: string, labels: Readonly<Record<string, string>> = {}): Service {
    const before = this.tables.services.get(name)
    const after = aService({ id: name, spec: { Name: name, Labels: labels } })
    this.tables.services.set(name, after)
    this.planner.noteChange({ table: 'services', id: name, before, after })
    return after
  }

  /** Labels of the swarm's spec. */
  setCluster(labels: Readonly<Record<string, string>>): void {
    this.tables.clusters.set('c', {
      ...aService({ id: 'c' }),
      spec: { Name: 'default', Labels: labels },
      rootCa: { certPem: '', lastForcedRotation: 0 },
      joinTokens: { worker: '', manager: '' },
      defaultAddressPools: null,
      subnetSize: 24,
      dataPathPort: 4789,
      blacklistedCertificates: {},
    })
  }

  /** New tasks, decided about until nothing is left to decide. @returns nodes of the service, sorted. */
  place(serviceId: string, count: number, fields: Partial<Task> = {}): string[] {
    for (let at = 0; at < count; at++) {
      this.planner.setTask(aTask({ ...fields, id: id(serviceId, at), serviceId, slot: at + 1 }))
    }
    return this.decide()
      .flatMap((decision) => (decision.kind === 'assign' ? decision.nodeId : []))
      .sort()
  }

  decide(): Decision[] {
    const all: Decision[] = []
    for (let step = this.planner.step(0); step.length > 0; step = this.planner.step(0)) all.push(...step)
    return all
  }

  reasons(serviceId: string, count: number): string[] {
    for (let at = 0; at < count; at++) {
      this.planner.setTask(aTask({ id: id(serviceId, at), serviceId, slot: at + 1 }))
    }
    return this.decide().flatMap((decision) => (decision.kind === 'explain' ? decision.reason : []))
  }
}

/** Nodes of 4 CPUs. */
const nodes = (count: number) => Array.from({ length: count }, (_, at) => aNode({ id: id('n', at) }))
const strategy = (name: string) => ({ 'skep.placement.strategy': name })

test('14.1 binpack fills the node with the largest reserved share, then the next', () => {
  const world = new World(nodes(3))
  world.service('a', strategy('binpack'))
  world.planner.setTask(
    aTask({ id: 'x', serviceId: 'x', nodeId: id('n', 1), status: running, spec: reserving(1e9) }),
  )
  assert.deepEqual(world.place('a', 5, { spec: reserving(1e9) }), ['n000', 'n000', 'n001', 'n001', 'n001'])
})

test('14.1 binpack goes on where it was, also with other services between', () => {
  const world = new World(nodes(4))
  world.service('a', strategy('binpack'))
  world.service('b', strategy('binpack'))
  const [first = ''] = world.place('a', 1, { spec: reserving(1e9) })
  assert.deepEqual(world.place('b', 2, { spec: reserving(1.5e9) }), [first, first])
  assert.equal(new Set(world.place('b', 3, { spec: reserving(2e9), specVersion: 1 })).size, 2)
})

test('14.1 spread by reserved share: the emptier node wins though it has more tasks', () => {
  const world = new World(nodes(2))
  const other = (at: number, node: number, cpus: number) =>
    aTask({ id: id('x', at), serviceId: 'x', nodeId: id('n', node), status: running, spec: reserving(cpus) })
  for (const task of [other(0, 0, 2e9), other(1, 1, 1e8), other(2, 1, 1e8)]) world.planner.setTask(task)
  world.service('by-share', strategy('spread'))
  world.service('by-tasks')
  assert.deepEqual(world.place('by-share', 1), ['n001'])
  assert.deepEqual(world.place('by-tasks', 1), ['n000'])
})

test('14.1 a cluster default holds for services that say nothing', () => {
  const world = new World(nodes(2))
  world.setCluster(strategy('binpack'))
  world.service('a')
  world.service('b', strategy('spread'))
  assert.equal(new Set(world.place('a', 4, { spec: reserving(1e9) })).size, 1)
  assert.equal(new Set(world.place('b', 2)).size, 2)
})

test('14.1 random: every node has its chance, full ones are left out, and the same world decides the same', () => {
  const run = () => {
    const world = new World(nodes(5))
    world.service('a', strategy('random'))
    return world.place('a', 400, { spec: reserving(4e7) })
  }
  const chosen = run()
  assert.equal(chosen.length, 400)
  assert.deepEqual(chosen, run())
  const counts = nodes(5).map((node) => chosen.filter((one) => one === node.id).length)
  assert.ok(
    counts.every((count) => count > 50 && count <= 100),
    counts.join(),
  )
})

test('14.1, 9.12 nodes with many failures are the last resort whatever the strategy', () => {
  for (const name of ['spread', 'binpack', 'random']) {
    const world = new World(nodes(2))
    world.service('a', strategy(name))
    const failed = aTask({ id: 'f', serviceId: 'a', nodeId: 'n000' })
    for (let times = 0; times < 5; times++) world.planner.recordFailure(failed, 0)
    const spec = reserving(1e9)
    assert.deepEqual(world.place('a', 5, { spec }), ['n000', 'n001', 'n001', 'n001', 'n001'], name)
  }
})

test('14.1, 9.13 spread preferences hold above the strategy', () => {
  const zones = ['a', 'a', 'b', 'b']
  const world = new World(zones.map((zone, at) => aNode({ id: id('n', at), spec: { Labels: { zone } } })))
  world.service('s', strategy('binpack'))
  const Preferences = [{ Spread: { SpreadDescriptor: 'node.labels.zone' } }]
  const chosen = world.place('s', 4, { spec: { ...reserving(1e9), Placement: { Preferences } } })
  assert.equal(new Set(chosen).size, 2)
  assert.equal(chosen.filter((node) => node < 'n002').length, 2)
})

test('14.2 affinity: only nodes with a task of the other service, and as soon as there is one', () => {
  const world = new World(nodes(3))
  world.service('cache')
  world.service('web', { 'skep.affinity': 'cache' })
  assert.deepEqual(world.reasons('web', 2), [
    'no suitable node (affinity not satisfied on 3 nodes)',
    'no suitable node (affinity not satisfied on 3 nodes)',
  ])
  const [cache = ''] = world.place('cache', 1).filter((_, at, all) => all.length === 3 || at === 0)
  assert.deepEqual(
    [...world.planner.nodes.nodes()].filter((state) => state.activeOf('web') > 0).map(({ node }) => node.id),
    [cache],
  )
})

test('14.2 affinity to a label of services, which may come later', () => {
  const world = new World(nodes(3))
  world.service('web', { 'skep.affinity': 'tier=data' })
  assert.equal(world.reasons('web', 1).length, 1)
  const [node = ''] = world.place('db', 1)
  world.service('db', { tier: 'data' })
  assert.deepEqual(world.decide(), [
    { kind: 'assign', taskId: 'web000', nodeId: node, generics: [], volumes: [], preassigned: false },
  ])
})

test('14.2 affinity to itself: the first task goes anywhere, the others to it', () => {
  const world = new World(nodes(3))
  world.service('ring', { 'skep.affinity': 'ring' })
  assert.equal(new Set(world.place('ring', 4)).size, 1)
})

test('14.2 anti-affinity holds both ways, whoever comes first', () => {
  const world = new World(nodes(2))
  world.service('quiet', { 'skep.anti-affinity': 'noise=high' })
  world.service('loud', { noise: 'high' })
  const [quiet = ''] = world.place('quiet', 1)
  assert.deepEqual(
    new Set(world.place('loud', 3)),
    new Set(['n000', 'n001'].filter((node) => node !== quiet)),
  )
  world.service('quiet2', { 'skep.anti-affinity': 'loud' })
  assert.deepEqual(world.place('quiet2', 1), [quiet])
})

test('14.2 anti-affinity to itself: one task for each node', () => {
  const world = new World(nodes(2))
  world.service('one', { 'skep.anti-affinity': 'one' })
  assert.deepEqual(world.place('one', 3), ['n000', 'n001'])
  assert.deepEqual(world.reasons('one', 3), ['no suitable node (anti-affinity not satisfied on 2 nodes)'])
})

test('14.2 a label that is taken away lets waiting tasks in', () => {
  const world = new World(nodes(1))
  world.place('other', 1)
  world.service('other')
  world.service('alone', { 'skep.anti-affinity': 'other' })
  assert.equal(world.reasons('alone', 1).length, 1)
  world.service('alone')
  assert.equal(world.decide()[0]?.kind, 'assign')
})

test('14.2 wishes come before spreading, but keep nobody waiting', () => {
  const world = new World(nodes(3))
  world.service('cache')
  world.service('web', { 'skep.affinity': 'prefer cache' })
  const [cache = ''] = world.place('cache', 1)
  assert.deepEqual(world.place('web', 3), [cache, cache, cache])
  world.service('batch', { 'skep.anti-affinity': 'prefer web' })
  const batch = world.place('batch', 4, { spec: reserving(2e9) })
  assert.equal(batch.length, 4)
  assert.ok(!batch.includes(cache))
  assert.deepEqual(world.place('batch', 6, { spec: reserving(2e9) }).slice(0, 2), [cache, cache])
})
