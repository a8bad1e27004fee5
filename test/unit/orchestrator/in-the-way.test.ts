import assert from 'node:assert/strict'
import { test } from 'node:test'
import { allocatorLoop } from '../../../src/allocator/index.js'
import type { ServiceSpec, TaskSpec } from '../../../src/model/spec/index.js'
import { orchestratorLoops } from '../../../src/orchestrator/index.js'
import { TaskState } from '../../../src/model/task-state.js'
import { isInTheWay } from '../../../src/orchestrator/update/in-the-way.js'
import { schedulerLoop } from '../../../src/scheduler/index.js'
import { Harness, replicated, withImage } from '../../sim/orchestrator/harness.js'
import { aNode, aService, aTask } from './builders.js'

/** One node, one replica, start-first, and the real allocator and scheduler. */
async function updated(template: TaskSpec, more: ServiceSpec = {}) {
  const loops = [...orchestratorLoops, allocatorLoop, schedulerLoop]
  const h = new Harness({ loops, placement: false })
  const [node = ''] = await h.addNodes(1)
  await h.updateNode(node, {
    description: { Hostname: 'a', Resources: { MemoryBytes: 100, NanoCPUs: 100 } },
  })
  const TaskTemplate = { ContainerSpec: { Image: 'app:1' }, ...template }
  const UpdateConfig = { Parallelism: 1, Order: 'start-first' }
  const id = await h.createService(replicated('web', 1, { UpdateConfig, TaskTemplate, ...more }))
  await h.until('running', () => h.running(id).length === 1)
  await h.updateService(id, withImage('app:2'))
  await h.run(3000)
  const images = h.running(id).map((task) => task.spec.ContainerSpec?.Image)
  const message = h.service(id).updateStatus?.message
  await h.stop()
  return { images, message }
}

const fallback = 'update in progress: stop-first on slot 1, where the old task is in the way'

test('6.13 a slot falls back to stop-first where the old task has the port', async () => {
  const port = { TargetPort: 80, PublishedPort: 80, PublishMode: 'host' }
  assert.deepEqual(await updated({}, { EndpointSpec: { Ports: [port] } }), {
    images: ['app:2'],
    message: fallback,
  })
})

test('6.13 ... where it is the one replica that the node may have', async () => {
  assert.deepEqual(await updated({ Placement: { MaxReplicas: 1 } }), {
    images: ['app:2'],
    message: fallback,
  })
})

test('6.13 ... where it has the memory', async () => {
  assert.deepEqual(await updated({ Resources: { Reservations: { MemoryBytes: 60 } } }), {
    images: ['app:2'],
    message: fallback,
  })
})

test('6.13 but not where there is room for both', async () => {
  assert.deepEqual(await updated({ Resources: { Reservations: { MemoryBytes: 50 } } }), {
    images: ['app:2'],
    message: 'update in progress',
  })
})

test('6.13 nor where stopping the old task would not help', async () => {
  const loops = [...orchestratorLoops, allocatorLoop, schedulerLoop]
  const h = new Harness({ loops, placement: false })
  await h.addNodes(1)
  const UpdateConfig = { Parallelism: 1, Order: 'start-first' }
  const id = await h.createService(replicated('web', 1, { UpdateConfig }))
  await h.until('running', () => h.running(id).length === 1)
  const Placement = { Constraints: ['node.labels.zone==nowhere'] }
  await h.updateService(id, (spec) => ({
    ...spec,
    TaskTemplate: { ...spec.TaskTemplate, Placement, ForceUpdate: 1 },
  }))
  await h.run(30_000)
  assert.equal(h.running(id).length, 1)
  assert.equal(h.live(id).length, 2)
  await h.stop()
})

test('6.13 a task that has no place yet is in nobody’s way', () => {
  const Ports = [{ TargetPort: 80, PublishedPort: 80, PublishMode: 'host' }]
  const endpoint = { spec: { Ports }, ports: [], virtualIPs: [] }
  const service = aService({ EndpointSpec: { Ports } })
  const old = aTask(service, { endpoint })
  const pending = aTask(service, { endpoint, state: TaskState.Pending })
  const wanted = { ...pending, id: 'wanted', status: { ...pending.status, err: 'no suitable node' } }
  assert.equal(isInTheWay(old, wanted, aNode(), [old, pending, wanted]), true)
  assert.equal(isInTheWay(old, wanted, aNode(), [old, aTask(service, { endpoint }), wanted]), false)
  assert.equal(isInTheWay(old, pending, aNode(), [old, pending]), false)
})
