import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Task } from '../../../src/model/objects.js'
import { TaskState } from '../../../src/model/task-state.js'
import { explainTask } from '../../../src/scheduler/explain-task.js'
import { emptyTables } from '../../../src/store/schema.js'
import { aNode, aService, aTask } from '../../lib/builders.js'
import { SimulatedEnv } from '../../lib/simulated-env.js'

const GiB = 2 ** 30
const running = { state: TaskState.Running, timestampMs: 0, message: 'started' }
const never = new AbortController().signal
const env = new SimulatedEnv()

function explain(tables: ReturnType<typeof emptyTables>, task: Task) {
  return explainTask(env, tables, task, never)
}

test('14.4 every node says what it lacks, with numbers and names', async () => {
  const tables = emptyTables()
  const node = (id: string, fields: Partial<Parameters<typeof aNode>[0]> = {}) =>
    tables.nodes.set(id, aNode({ ...fields, id }))
  const endpoint = {
    spec: {},
    virtualIPs: [],
    ports: [{ Protocol: 'tcp', TargetPort: 80, PublishedPort: 8080, PublishMode: 'host' }],
  }
  const platform = { Platform: { Architecture: 'aarch64', OS: 'linux' } }
  node('a')
  node('b', { spec: { Labels: { zone: 'us' } } })
  node('c', { spec: { Labels: { zone: 'eu' } }, description: { Hostname: 'c', ...platform } })
  node('d', { spec: { Availability: 'drain', Labels: { zone: 'us' } } })
  node('e', { spec: { Labels: { zone: 'us' } } })
  const db = aService({ id: 'db' })
  const web = aService({
    id: 'web',
    spec: { Name: 'web', Labels: { 'skep.anti-affinity': 'db', 'skep.affinity': 'cache' } },
  })
  for (const service of [db, web, aService({ id: 'cache' })]) tables.services.set(service.id, service)
  const put = (fields: Partial<Task> & { id: string }) =>
    tables.tasks.set(fields.id, aTask({ status: running, ...fields }))
  const reserving = (MemoryBytes: number) => ({ Resources: { Reservations: { MemoryBytes } } })
  put({ id: 'x', serviceId: 'db', nodeId: 'b', spec: reserving(6.8 * GiB) })
  put({ id: 'y', serviceId: 'db', nodeId: 'e', slot: 2, endpoint })
  put({ id: 'z', serviceId: 'cache', nodeId: 'e' })
  const task = aTask({
    id: 't',
    serviceId: 'web',
    endpoint,
    spec: {
      ...reserving(4 * GiB),
      Placement: {
        Constraints: ['node.labels.zone == us'],
        Platforms: [{ OS: 'linux', Architecture: 'amd64' }],
      },
    },
  })
  tables.tasks.set('t', task)
  const { nodes, strategy, summary } = await explain(tables, task)
  assert.equal(strategy, 'swarm')
  assert.equal(summary, 'waits for a node')
  assert.deepEqual(
    nodes.map(({ hostname, reasons }) => [hostname, reasons.map(({ text }) => text)]),
    [
      ['a', ['label zone is not set, wanted us', 'runs no task of cache']],
      [
        'b',
        ['needs 4 GiB of memory, has 1.2 GiB free of 8 GiB', 'runs no task of cache', 'runs a task of db'],
      ],
      [
        'c',
        [
          'needs 4 GiB of memory, has 0 B free of 0 B',
          'label zone is eu, wanted us',
          'platform is linux/aarch64, wanted linux/amd64',
          'runs no task of cache',
        ],
      ],
      ['d', ['availability is drain', 'runs no task of cache']],
      ['e', ['port 8080/tcp is in use by db.2.y', 'runs a task of db']],
    ],
  )
  assert.deepEqual(nodes[1]?.memoryBytes, { total: 8 * GiB, reserved: 6.8 * GiB, free: 8 * GiB - 6.8 * GiB })
})

test('14.4 a task that has its place does not stand in its own way', async () => {
  const tables = emptyTables()
  tables.nodes.set('n', aNode({ id: 'n' }))
  tables.services.set('s', aService({ id: 's' }))
  const task = aTask({
    id: 't',
    serviceId: 's',
    nodeId: 'n',
    status: running,
    spec: { Resources: { Reservations: { NanoCPUs: 3e9 } }, Placement: { MaxReplicas: 1 } },
  })
  tables.tasks.set('t', task)
  const { nodes, summary } = await explain(tables, task)
  assert.equal(summary, 'runs on n')
  assert.deepEqual([nodes[0]?.fits, nodes[0]?.nanoCpus.free], [true, 4e9])
})

test('14.4 a task of a global service has one node only; what it lacks of named things is counted', async () => {
  const tables = emptyTables()
  const description = {
    Resources: { GenericResources: [{ NamedResourceSpec: { Kind: 'gpu', Value: 'g1' } }] },
  }
  tables.nodes.set('m', aNode({ id: 'm', description }))
  tables.nodes.set('n', aNode({ id: 'n' }))
  tables.services.set('s', aService({ id: 's', spec: { Name: 's', Mode: { Global: {} } } }))
  const GenericResources = [
    { DiscreteResourceSpec: { Kind: 'gpu', Value: 2 } },
    { DiscreteResourceSpec: { Kind: 'ssd', Value: 1 } },
  ]
  const spec = { Resources: { Reservations: { GenericResources } } }
  const { nodes } = await explain(tables, aTask({ id: 't', serviceId: 's', slot: 0, nodeId: 'm', spec }))
  assert.equal(nodes.length, 1)
  assert.deepEqual(
    nodes[0]?.reasons.map(({ text }) => text),
    ['needs 2 gpu, has 1 free of 1', 'needs 1 ssd, has none'],
  )
  assert.deepEqual(nodes[0]?.genericResources, [{ kind: 'gpu', total: 1, reserved: 0, free: 1 }])
})
