import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { NodeDescription, TaskSpec } from '../../../src/model/spec/index.js'
import { TaskState } from '../../../src/model/task-state.js'
import { planEnforcement } from '../../../src/orchestrator/enforcer/plan.js'
import { Harness, replicated } from '../../sim/orchestrator/harness.js'
import { aNode, aService, aTask } from './builders.js'

const GiB = 2 ** 30

function nodeWith(Resources: NonNullable<NodeDescription['Resources']>) {
  return aNode('node1', { description: { Hostname: 'a', Resources } })
}

const none = () => undefined

function reserving(memory: number): TaskSpec {
  return { Resources: { Reservations: { MemoryBytes: memory * GiB } } }
}

test('8.7 the constraints of the service decide, not those the task was made with', () => {
  const service = aService({ TaskTemplate: { Placement: { Constraints: ['node.labels.zone==a'] } } })
  const task = aTask(service, { spec: {} })
  const inZone = (zone: string) => aNode('node1', { spec: { Labels: { zone } } })
  assert.deepEqual(
    planEnforcement(inZone('a'), [task], () => service),
    [],
  )
  assert.deepEqual(
    planEnforcement(inZone('b'), [task], () => service),
    [task.id],
  )
})

test('8.7 only on active nodes, and only tasks that are to run', () => {
  const service = aService({ TaskTemplate: { Placement: { Constraints: ['node.id==other'] } } })
  const task = aTask(service)
  for (const Availability of ['pause', 'drain']) {
    const node = aNode('node1', { spec: { Availability } })
    assert.deepEqual(
      planEnforcement(node, [task], () => service),
      [],
    )
  }
  const stopping = aTask(service, { desiredState: TaskState.Shutdown })
  const ended = aTask(service, { state: TaskState.Failed })
  assert.deepEqual(
    planEnforcement(aNode(), [stopping, ended], () => service),
    [],
  )
})

test('8.8 a node that became too small keeps what runs, and the older tasks', () => {
  const service = aService({ TaskTemplate: reserving(2) })
  const preparing = aTask(service, { state: TaskState.Preparing, createdAtMs: 1 })
  const newer = aTask(service, { createdAtMs: 3 })
  const older = aTask(service, { createdAtMs: 2 })
  const victims = (gib: number) =>
    planEnforcement(nodeWith({ MemoryBytes: gib * GiB, NanoCPUs: 1 }), [preparing, newer, older], none)
  assert.deepEqual(victims(6), [])
  assert.deepEqual(victims(4), [preparing.id])
  assert.deepEqual(victims(3), [preparing.id, newer.id])
})

test('8.8 a smaller task may stay where a larger one does not fit', () => {
  const large = aTask(aService({ TaskTemplate: reserving(3) }), { createdAtMs: 1 })
  const small = aTask(aService({ TaskTemplate: reserving(1) }), { createdAtMs: 2 })
  assert.deepEqual(planEnforcement(nodeWith({ MemoryBytes: 2 * GiB }), [large, small], none), [large.id])
})

test('8.8 assigned generic resources must still be there, and each belongs to one task', () => {
  const gpu = (Value: string) => ({ NamedResourceSpec: { Kind: 'gpu', Value } })
  const ssd = (Value: number) => ({ DiscreteResourceSpec: { Kind: 'ssd', Value } })
  const with_ = (createdAtMs: number, ...assignedGenericResources: object[]) =>
    aTask(aService(), { createdAtMs, assignedGenericResources })
  const tasks = [with_(1, gpu('0')), with_(2, gpu('1')), with_(3, ssd(2)), with_(4, ssd(2)), with_(5)]
  const node = nodeWith({ GenericResources: [gpu('1'), ssd(3)] })
  assert.deepEqual(planEnforcement(node, tasks, none), [tasks[0]?.id, tasks[3]?.id])
})

test('8.9 a task that must go is stopped, and its slot filled when it has stopped', async () => {
  const h = new Harness()
  const [a = '', b = ''] = await h.addNodes(2, { Labels: { zone: 'a' } })
  const TaskTemplate = {
    ContainerSpec: { Image: 'app:1' },
    RestartPolicy: { Condition: 'none' },
    Placement: { Constraints: ['node.labels.zone==a'] },
  }
  h.behaviours.set('app:1', { stopMs: 3000 })
  const id = await h.createService(replicated('web', 2, { TaskTemplate }))
  await h.until('running', () => h.running(id).length === 2)
  await h.updateNode(a, { spec: { Labels: { zone: 'b' } } })
  await h.run(1000)
  const old = h.tasks(id).find((task) => task.nodeId === a)
  assert.deepEqual([old?.status.state, old?.desiredState], [TaskState.Running, TaskState.Shutdown])
  assert.equal(old?.status.err, 'assigned node no longer meets constraints')
  await h.updateNode(a, { spec: { Availability: 'pause', Labels: { zone: 'b' } } })
  await h.until('moved', () => h.running(id).length === 2)
  assert.deepEqual(
    h.running(id).map(({ nodeId }) => nodeId),
    [b, b],
  )
  assert.deepEqual(h.violations, [])
  await h.stop()
})
