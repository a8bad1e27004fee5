import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ServiceSpec, TaskSpec } from '../../../src/model/spec/index.js'
import { TaskState } from '../../../src/model/task-state.js'
import { Harness, ms, withImage } from '../../sim/orchestrator/harness.js'
import { inOrder } from './builders.js'

const { Running, Shutdown, Failed, Complete } = TaskState

async function deployed(template: TaskSpec = {}, more: ServiceSpec = {}) {
  const h = new Harness()
  const nodes = await h.addNodes(3)
  const TaskTemplate = { ContainerSpec: { Image: 'app:1' }, RestartPolicy: { Delay: 100 * ms }, ...template }
  const id = await h.createService({ Name: 'agent', Mode: { Global: {} }, TaskTemplate, ...more })
  await h.run(1000)
  /** Nodes with a running task. */
  const on = () =>
    h
      .running(id)
      .map(({ nodeId }) => nodeId)
      .sort(inOrder)
  return { h, id, nodes, on }
}

test('4.1 every node gets one task, with its node, slot 0 and desired state RUNNING from the start', async () => {
  const { h, id, nodes, on } = await deployed()
  assert.deepEqual(on(), nodes)
  for (const task of h.tasks(id)) assert.deepEqual([task.slot, task.desiredState], [0, Running])
  const [added] = await h.addNodes(1)
  await h.run(1000)
  assert.deepEqual(on(), [...nodes, added])
  await h.stop()
})

test('4.2 constraints choose the nodes, at any time', async () => {
  const { h, nodes, on } = await deployed({ Placement: { Constraints: ['node.labels.zone==a'] } })
  assert.deepEqual(on(), [])
  const label = (id: string, zone: string) =>
    h.updateNode(id, { spec: { Availability: 'active', Labels: { zone } } })
  await label(nodes[1] ?? '', 'a')
  await h.run(1000)
  assert.deepEqual(on(), [nodes[1]])
  await label(nodes[1] ?? '', 'b')
  await h.run(1000)
  assert.deepEqual(on(), [])
  await h.stop()
})

test('4.2 new constraints take the tasks from nodes that fail them', async () => {
  const { h, id, nodes, on } = await deployed()
  await h.updateService(id, (spec) => ({
    ...spec,
    TaskTemplate: { ...spec.TaskTemplate, Placement: { Constraints: [`node.id==${nodes[0]}`] } },
  }))
  await h.run(1000)
  assert.deepEqual(on(), [nodes[0]])
  assert.equal(h.live(id).length, 1)
  await h.stop()
})

test('4.3 drain and down stop the task, without another in its place', async () => {
  const { h, id, nodes, on } = await deployed()
  await h.setAvailability(nodes[0] ?? '', 'drain')
  h.silent.add(nodes[1] ?? '')
  await h.setNodeState(nodes[1] ?? '', 'down')
  await h.run(1000)
  assert.deepEqual(on(), [nodes[2]])
  assert.equal(h.tasks(id).length, 3)
  await h.setAvailability(nodes[0] ?? '', 'active')
  await h.run(1000)
  assert.deepEqual(on(), [nodes[0], nodes[2]])
  await h.stop()
})

test('4.9 a node that is active again gets its task whatever the restart policy', async () => {
  const { h, nodes, on } = await deployed({ RestartPolicy: { Condition: 'none' } })
  await h.setAvailability(nodes[0] ?? '', 'drain')
  await h.run(1000)
  await h.setAvailability(nodes[0] ?? '', 'active')
  await h.run(1000)
  assert.deepEqual(on(), nodes)
  await h.stop()
})

test('4.9 but not one whose task came to its own end', async () => {
  const { h, id, nodes, on } = await deployed({ RestartPolicy: { Condition: 'none' } })
  const done = h.running(id).find(({ nodeId }) => nodeId === nodes[0])
  await h.report(done?.id ?? '', Complete)
  await h.run(1000)
  await h.setAvailability(nodes[0] ?? '', 'drain')
  await h.setAvailability(nodes[0] ?? '', 'active')
  await h.run(1000)
  assert.deepEqual(on(), nodes.slice(1))
  await h.stop()
})

test('4.4 a paused node keeps its task as it is, and gets none', async () => {
  const { h, id, nodes, on } = await deployed()
  await h.setAvailability(nodes[0] ?? '', 'pause')
  await h.updateService(id, withImage('app:2'))
  const [paused] = await h.addNodes(1, { Availability: 'pause' })
  await h.run(20_000)
  const images = h.running(id).map((task) => [task.nodeId, task.spec.ContainerSpec?.Image])
  assert.deepEqual(images.sort(inOrder), [
    [nodes[0], 'app:1'],
    [nodes[1], 'app:2'],
    [nodes[2], 'app:2'],
  ])
  // Once it is active again, it is brought up to date.
  await h.setAvailability(nodes[0] ?? '', 'active')
  await h.run(5000)
  assert.ok(h.running(id).every((task) => task.spec.ContainerSpec?.Image === 'app:2'))
  assert.ok(!on().includes(paused))
  await h.stop()
})

test('4.4 a task that ends on a paused node is not followed by another', async () => {
  const { h, id, nodes, on } = await deployed()
  await h.setAvailability(nodes[0] ?? '', 'pause')
  await h.report(h.running(id).find(({ nodeId }) => nodeId === nodes[0])?.id ?? '', Failed)
  await h.run(10_000)
  assert.deepEqual(on(), nodes.slice(1))
  assert.equal(h.live(id).length, 2)
  await h.stop()
})

test('4.5 a task that ends is followed by one on the same node', async () => {
  const { h, id, nodes, on } = await deployed()
  await h.report(h.running(id).find(({ nodeId }) => nodeId === nodes[0])?.id ?? '', Failed)
  await h.run(1000)
  assert.deepEqual(on(), nodes)
  assert.equal(h.tasks(id).length, 4)
  await h.stop()
})

test('4.6 tasks of a removed node go with it', async () => {
  const { h, id, nodes } = await deployed()
  h.silent.add(nodes[0] ?? '')
  await h.setNodeState(nodes[0] ?? '', 'down')
  await h.removeNode(nodes[0] ?? '')
  await h.run(2000)
  assert.deepEqual(
    h
      .tasks(id)
      .map(({ nodeId }) => nodeId)
      .sort(inOrder),
    nodes.slice(1),
  )
  await h.stop()
})

test('4.7 a removed service has its tasks stopped, then forgotten', async () => {
  const { h, id } = await deployed()
  await h.removeService(id)
  await h.until('no tasks', () => h.tasks(id).length === 0)
  await h.stop()
})

test('4.8 an update goes node by node, and a change of a node does not speed it up', async () => {
  const { h, id, nodes } = await deployed({}, { UpdateConfig: { Parallelism: 1, Delay: 60_000 * ms } })
  await h.updateService(id, withImage('app:2'))
  const updated = () => h.running(id).filter((task) => task.spec.ContainerSpec?.Image === 'app:2').length
  await h.run(5000)
  for (const node of nodes) await h.updateNode(node, { spec: { Availability: 'active', Labels: { a: 'b' } } })
  await h.run(5000)
  assert.equal(updated(), 1)
  await h.until('completed', () => h.service(id).updateStatus?.state === 'completed', 400_000)
  assert.equal(updated(), 3)
  await h.stop()
})

test('4.8 while an old task still stops, the new one waits', async () => {
  const { h, id, nodes } = await deployed()
  h.behaviours.set('app:1', { stopMs: 5000 })
  await h.setAvailability(nodes[0] ?? '', 'drain')
  await h.run(100)
  await h.setAvailability(nodes[0] ?? '', 'active')
  await h.run(2000)
  const states = () =>
    h
      .tasks(id)
      .filter(({ nodeId }) => nodeId === nodes[0])
      .map((task) => [task.status.state, task.desiredState])
      .sort(inOrder)
  assert.deepEqual(states(), [
    [TaskState.Ready, TaskState.Ready],
    [Running, Shutdown],
  ])
  await h.run(5000)
  assert.deepEqual(states(), [
    [Running, Running],
    [Shutdown, Shutdown],
  ])
  await h.stop()
})
