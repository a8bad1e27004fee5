import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Node, Task } from '../../../src/model/objects.js'
import { TaskState } from '../../../src/model/task-state.js'
import { ClusterFacts } from '../../../src/scheduler/cluster-facts.js'
import { Planner, type Decision } from '../../../src/scheduler/planner.js'
import { emptyTables } from '../../../src/store/schema.js'
import { aNode, aTask } from '../../lib/builders.js'

const running = { state: TaskState.Running, timestampMs: 0, message: 'started' }
const id = (prefix: string, at: number) => `${prefix}${String(at).padStart(5, '0')}`

function planner(nodes: readonly Node[], tasks: readonly Task[]): Planner {
  const made = new Planner(new ClusterFacts(emptyTables()))
  for (const node of nodes) made.setNode(node)
  for (const task of tasks) made.setTask(task)
  return made
}

function manyNodes(count: number, fields: (at: number) => Partial<Node> = () => ({})): Node[] {
  return Array.from({ length: count }, (_, at) => aNode({ ...fields(at), id: id('n', at) }))
}

function manyTasks(count: number, fields: Partial<Task> = {}): Task[] {
  return Array.from({ length: count }, (_, at) =>
    aTask({ serviceId: 's', slot: at + 1, ...fields, id: id(fields.serviceId ?? 't', at) }),
  )
}

function decideAll(made: Planner, nowMs = 0): Decision[] {
  const all: Decision[] = []
  for (let step = made.step(nowMs); step.length > 0; step = made.step(nowMs)) all.push(...step)
  return all
}

function tasksPerNode(decisions: readonly Decision[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const decision of decisions) {
    if (decision.kind === 'assign') counts[decision.nodeId] = (counts[decision.nodeId] ?? 0) + 1
  }
  return counts
}

function reasons(decisions: readonly Decision[]): string[] {
  return [...new Set(decisions.flatMap((decision) => (decision.kind === 'explain' ? decision.reason : [])))]
}

const reserving = (NanoCPUs: number) => ({ Resources: { Reservations: { NanoCPUs } } })
const labelled = (label: string, value: string) => ({ spec: { Labels: { [label]: value } } })

test('9.11 replicas spread evenly, whatever else runs on the nodes', () => {
  const busy = Array.from({ length: 7 }, (_, at) =>
    aTask({ id: id('busy', at), serviceId: 'o', nodeId: id('n', 0), status: running }),
  )
  const made = planner(manyNodes(3), [...busy, ...manyTasks(6)])
  assert.deepEqual(tasksPerNode(decideAll(made)), { n00000: 2, n00001: 2, n00002: 2 })
})

test('9.11 single replicas of many services go where the fewest tasks are', () => {
  const tasks = Array.from({ length: 30 }, (_, at) => aTask({ id: id('t', at), serviceId: id('s', at) }))
  const made = planner(manyNodes(10), tasks)
  assert.deepEqual(new Set(Object.values(tasksPerNode(decideAll(made)))), new Set([3]))
})

test('9.11 a node that comes back empty gets the next replicas of the service', () => {
  const old = manyTasks(4).map((task, at) => ({ ...task, nodeId: id('n', at % 2), status: running }))
  const made = planner(manyNodes(3), [
    ...old,
    ...manyTasks(2, { serviceId: 's' }).map((t) => ({ ...t, id: `new${t.id}` })),
  ])
  assert.deepEqual(tasksPerNode(decideAll(made)), { n00002: 2 })
})

test('9.10 no nodes at all: the reason has no explanation', () => {
  assert.deepEqual(reasons(decideAll(planner([], manyTasks(1)))), ['no suitable node'])
})

test('9.10 the explanation counts each node once, under its first failing filter, most nodes first', () => {
  const nodes = [
    ...manyNodes(2, () => ({ spec: { Availability: 'drain' } })),
    aNode({ id: 'x1' }),
    aNode({ id: 'x2' }),
    aNode({ id: 'x3' }),
    aNode({ id: 'big', description: { Resources: { NanoCPUs: 1e12 } } }),
  ]
  const spec = { ...reserving(5e9), Placement: { Constraints: ['node.labels.a==b'] } }
  const decisions = decideAll(planner(nodes, manyTasks(3, { spec })))
  assert.equal(decisions.length, 3)
  assert.deepEqual(reasons(decisions), [
    'no suitable node (insufficient resources on 3 nodes; 2 nodes not available for new tasks; ' +
      'scheduling constraints not satisfied on 1 node)',
  ])
})

test('9.1 reservations are held until a task was seen to stop, and then the waiting task is placed', () => {
  const spec = reserving(3e9)
  const first = aTask({ id: 'a', serviceId: 's', spec, nodeId: 'n00000', status: running })
  const made = planner(manyNodes(1), [first, ...manyTasks(1, { spec })])
  assert.deepEqual(reasons(decideAll(made)), ['no suitable node (insufficient resources on 1 node)'])
  made.setTask({ ...first, desiredState: TaskState.Shutdown })
  assert.deepEqual(tasksPerNode(decideAll(made)), {})
  made.setTask({
    ...first,
    desiredState: TaskState.Shutdown,
    status: { ...running, state: TaskState.Shutdown },
  })
  assert.deepEqual(tasksPerNode(decideAll(made)), { n00000: 1 })
})

test('9.3 as many as fit are placed, and the rest say why they are not', () => {
  const decisions = decideAll(planner(manyNodes(2), manyTasks(7, { spec: reserving(2e9) })))
  assert.deepEqual(tasksPerNode(decisions), { n00000: 2, n00001: 2 })
  assert.deepEqual(reasons(decisions), ['no suitable node (insufficient resources on 2 nodes)'])
})

test('9.8 a host port is used once per node and protocol; port 0 never is in the way', () => {
  const endpoint = (PublishedPort: number, Protocol = 'tcp') => ({
    endpoint: {
      spec: {},
      virtualIPs: [],
      ports: [{ Protocol, TargetPort: 80, PublishedPort, PublishMode: 'host' }],
    },
  })
  const decisions = decideAll(planner(manyNodes(2), manyTasks(3, endpoint(8080))))
  assert.deepEqual(tasksPerNode(decisions), { n00000: 1, n00001: 1 })
  assert.deepEqual(reasons(decisions), ['no suitable node (host-mode port already in use on 2 nodes)'])
  assert.deepEqual(tasksPerNode(decideAll(planner(manyNodes(1), manyTasks(3, endpoint(0))))), { n00000: 3 })
  const both = [...manyTasks(1, endpoint(53, 'udp')), ...manyTasks(1, { ...endpoint(53), serviceId: 'u' })]
  assert.deepEqual(tasksPerNode(decideAll(planner(manyNodes(1), both))), { n00000: 2 })
})

test('9.9 max replicas per node', () => {
  const decisions = decideAll(
    planner(manyNodes(2), manyTasks(5, { spec: { Placement: { MaxReplicas: 2 } } })),
  )
  assert.deepEqual(tasksPerNode(decisions), { n00000: 2, n00001: 2 })
  assert.deepEqual(reasons(decisions), ['no suitable node (max replicas per node limit exceed)'])
})

test('9.7 platforms: any of them, x86_64 is amd64', () => {
  const nodes = [
    aNode({ id: 'arm', description: { Platform: { Architecture: 'aarch64', OS: 'linux' } } }),
    aNode({ id: 'amd', description: { Platform: { Architecture: 'x86_64', OS: 'linux' } } }),
  ]
  const on = (...Platforms: { Architecture?: string; OS?: string }[]) =>
    tasksPerNode(decideAll(planner(nodes, manyTasks(2, { spec: { Placement: { Platforms } } }))))
  assert.deepEqual(on({ Architecture: 'amd64', OS: 'linux' }), { amd: 2 })
  assert.deepEqual(on({ Architecture: 'arm64' }), { arm: 2 })
  assert.deepEqual(on({ OS: 'linux' }), { arm: 1, amd: 1 })
  const windows = planner(nodes, manyTasks(1, { spec: { Placement: { Platforms: [{ OS: 'windows' }] } } }))
  assert.deepEqual(reasons(decideAll(windows)), ['no suitable node (unsupported platform on 2 nodes)'])
})

test('9.5 plugins: log and volume drivers must be there, unless the node does not list log drivers', () => {
  const nodes = [aNode({ id: 'a' }), aNode({ id: 'b', description: { Engine: { Plugins: [] } } })]
  const log = manyTasks(2, { logDriver: { Name: 'gelf' } })
  assert.deepEqual(tasksPerNode(decideAll(planner(nodes, log))), { b: 2 })
  const Mounts = [{ Type: 'volume', Source: 'v', VolumeOptions: { DriverConfig: { Name: 'nfs' } } }]
  const volume = manyTasks(1, { spec: { ContainerSpec: { Mounts } } })
  assert.deepEqual(reasons(decideAll(planner(nodes, volume))), [
    'no suitable node (missing plugin on 2 nodes)',
  ])
})

test('9.4 generic resources: numbers are counted, names are claimed', () => {
  const description = {
    Resources: {
      GenericResources: [
        { DiscreteResourceSpec: { Kind: 'ssd', Value: 2 } },
        { NamedResourceSpec: { Kind: 'gpu', Value: 'g1' } },
        { NamedResourceSpec: { Kind: 'gpu', Value: 'g2' } },
        { NamedResourceSpec: { Kind: 'gpu', Value: 'g3' } },
      ],
    },
  }
  const GenericResources = [
    { DiscreteResourceSpec: { Kind: 'gpu', Value: 2 } },
    { DiscreteResourceSpec: { Kind: 'ssd', Value: 1 } },
  ]
  const spec = { Resources: { Reservations: { GenericResources } } }
  const decisions = decideAll(planner([aNode({ id: 'n', description })], manyTasks(2, { spec })))
  assert.deepEqual(
    decisions.map((decision) => (decision.kind === 'assign' ? decision.generics : decision.kind)),
    [
      [
        { NamedResourceSpec: { Kind: 'gpu', Value: 'g1' } },
        { NamedResourceSpec: { Kind: 'gpu', Value: 'g2' } },
        { DiscreteResourceSpec: { Kind: 'ssd', Value: 1 } },
      ],
      'explain',
    ],
  )
})

test('9.12 a node on which the service failed five times of late is a last resort, and is forgiven later', () => {
  const made = planner(manyNodes(2), [])
  const failed = aTask({ id: 'f', serviceId: 's', nodeId: 'n00000' })
  for (let times = 0; times < 5; times++) made.recordFailure(failed, 1000)
  for (const task of manyTasks(3)) made.setTask(task)
  assert.deepEqual(tasksPerNode(decideAll(made, 2000)), { n00001: 3 })
  for (const task of manyTasks(2, { serviceId: 's' })) made.setTask({ ...task, id: `later${task.id}` })
  assert.deepEqual(tasksPerNode(decideAll(made, 1000 + 5 * 60_000)), { n00000: 2 })
})

test('9.13 spread over a label: branches get equal shares, nodes without the label are one branch', () => {
  const zone = ['east', 'west', 'west', 'west']
  const nodes = [
    ...zone.map((value, at) => aNode({ ...labelled('zone', value), id: id('n', at) })),
    aNode({ id: 'bare' }),
  ]
  const Preferences = [{ Spread: { SpreadDescriptor: 'node.labels.zone' } }]
  const decisions = decideAll(planner(nodes, manyTasks(12, { spec: { Placement: { Preferences } } })))
  assert.equal(tasksPerNode(decisions)['n00000'], 4)
  assert.equal(tasksPerNode(decisions)['bare'], 4)
  assert.deepEqual(
    ['n00001', 'n00002', 'n00003'].map((node) => tasksPerNode(decisions)[node] ?? 0).sort((a, b) => a - b),
    [1, 1, 2],
  )
})

test('9.13 spread over two labels, with a full branch whose share goes to the others', () => {
  const place = [
    ['east', 'r1'],
    ['east', 'r2'],
    ['west', 'r1'],
  ]
  const nodes = place.map(([zone = '', rack = ''], at) =>
    aNode({
      id: id('n', at),
      spec: { Labels: { zone, rack } },
      description: { Resources: { NanoCPUs: at === 2 ? 1e9 : 1e12 } },
    }),
  )
  const Preferences = ['node.labels.zone', 'node.labels.rack'].map((SpreadDescriptor) => ({
    Spread: { SpreadDescriptor },
  }))
  const spec = { ...reserving(1e9), Placement: { Preferences } }
  const decisions = decideAll(planner(nodes, manyTasks(9, { spec })))
  assert.deepEqual(tasksPerNode(decisions), { n00000: 4, n00001: 4, n00002: 1 })
})

test('9.13 branches that already have tasks get less, also where their nodes take none any more', () => {
  const nodes = [
    aNode({ ...labelled('zone', 'a'), id: 'a1' }),
    aNode({ id: 'a2', spec: { Labels: { zone: 'a' }, Availability: 'drain' } }),
    aNode({ ...labelled('zone', 'b'), id: 'b1' }),
  ]
  const Preferences = [{ Spread: { SpreadDescriptor: 'node.labels.zone' } }]
  const spec = { Placement: { Preferences } }
  const old = manyTasks(3, { spec }).map((task) => ({
    ...task,
    id: `old${task.id}`,
    nodeId: 'a2',
    status: running,
  }))
  const decisions = decideAll(planner(nodes, [...old, ...manyTasks(5, { spec })]))
  assert.deepEqual(tasksPerNode(decisions), { a1: 1, b1: 4 })
})

test('4.10 a preassigned task is confirmed on its node, or says why not without the wrapper', () => {
  const tasks = [
    aTask({ id: 'ok', serviceId: 's', slot: 0, nodeId: 'n00000' }),
    aTask({ id: 'no', serviceId: 'u', slot: 0, nodeId: 'n00001', spec: reserving(1e12) }),
  ]
  assert.deepEqual(decideAll(planner(manyNodes(2), tasks)), [
    { kind: 'assign', taskId: 'ok', nodeId: 'n00000', generics: [], volumes: [], preassigned: true },
    { kind: 'explain', taskId: 'no', reason: 'insufficient resources on 1 node' },
  ])
})

test('9.14 a task that is not to run any more gets no node', () => {
  const tasks = [
    aTask({ id: 'a', serviceId: 's', desiredState: TaskState.Shutdown }),
    aTask({ id: 'b', serviceId: 's', desiredState: TaskState.Remove }),
  ]
  assert.deepEqual(decideAll(planner(manyNodes(2), tasks)), [{ kind: 'shut down', taskId: 'a' }])
})

test('9.1 a label that makes a node fit lets waiting tasks in', () => {
  const spec = { Placement: { Constraints: ['node.labels.disk == ssd'] } }
  const made = planner(manyNodes(2), manyTasks(1, { spec }))
  assert.deepEqual(reasons(decideAll(made)), [
    'no suitable node (scheduling constraints not satisfied on 2 nodes)',
  ])
  made.setNode(aNode({ id: id('n', 1), spec: { Labels: { disk: 'ssd' } } }))
  assert.deepEqual(tasksPerNode(decideAll(made)), { n00001: 1 })
})

test('a reason that keeps changing is told again only after a while', () => {
  const made = planner(
    manyNodes(1, () => ({ spec: { Availability: 'pause' } })),
    manyTasks(1),
  )
  const [waiting] = manyTasks(1)
  assert.deepEqual(reasons(decideAll(made, 0)), ['no suitable node (1 node not available for new tasks)'])
  if (waiting === undefined) throw new Error('no task')
  const told = 'no suitable node (1 node not available for new tasks)'
  made.setTask({ ...waiting, status: { ...waiting.status, err: told } })
  made.setNode(aNode({ id: 'later', spec: { Availability: 'pause' } }))
  assert.deepEqual(decideAll(made, 10), [])
  assert.equal(made.nextDueMs(), 1000)
  assert.deepEqual(reasons(decideAll(made, 1000)), ['no suitable node (2 nodes not available for new tasks)'])
})

test('10,000 tasks on 1,000 nodes come out even, as one service and as 1,000', () => {
  const services = [1, 1000]
  for (const count of services) {
    const tasks = Array.from({ length: 10_000 }, (_, at) =>
      aTask({ id: id('t', at), serviceId: id('s', at % count) }),
    )
    const decisions = decideAll(planner(manyNodes(1000), tasks))
    assert.deepEqual(new Set(Object.values(tasksPerNode(decisions))), new Set([10]))
  }
})
