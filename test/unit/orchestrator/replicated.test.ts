import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Task } from '../../../src/model/objects.js'
import { TaskState } from '../../../src/model/task-state.js'
import { orchestratorLoops } from '../../../src/orchestrator/index.js'
import { newTask } from '../../../src/orchestrator/task.js'
import { planReplicated } from '../../../src/orchestrator/replicated/plan.js'
import { SimulatedEnv } from '../../lib/simulated-env.js'
import { Harness, replicated, second, withImage } from '../../sim/orchestrator/harness.js'
import { aService, aTask, inOrder } from './builders.js'

const { Running, Shutdown, Remove, Complete, Failed, Preparing } = TaskState

/** Nodes of which nothing is known. */
const anywhere = { nodeOf: () => undefined, strategy: undefined }

function scaled(Replicas: number) {
  return aService({ Mode: { Replicated: { Replicas } } })
}

function keptSlots(replicas: number, tasks: readonly Task[]): readonly number[] {
  return planReplicated(scaled(replicas), tasks, anywhere).slots.map(({ slot }) => slot)
}

test('3.1 a new service gets one task per slot, from 1, with its own spec object', async () => {
  const h = new Harness()
  await h.addNodes(3)
  const id = await h.createService(replicated('web', 5))
  await h.until('5 running', () => h.running(id).length === 5)
  const slots = h.tasks(id).map(({ slot }) => slot)
  assert.deepEqual(slots.sort(inOrder), [1, 2, 3, 4, 5])
  assert.equal(h.tasks(id)[0]?.spec, h.service(id).spec.TaskTemplate)
  assert.equal(h.service(id).updateStatus, undefined)
  await h.stop()
})

test('3.2 without a mode a service has one replica', () => {
  assert.deepEqual(planReplicated(aService(), [], anywhere).createSlots, [1])
})

test('1.4 more tasks than a transaction holds are created without a gap', async () => {
  const h = new Harness({ agents: false })
  const id = await h.createService(replicated('web', 1234))
  await h.until('all tasks', () => h.tasks(id).length === 1234)
  await h.run(1000)
  const slots = new Set(h.tasks(id).map(({ slot }) => slot))
  assert.equal(slots.size, 1234)
  assert.equal(Math.max(...slots), 1234)
  // The service, and 200 tasks in each of the others.
  assert.equal(h.entries, 8)
  await h.stop()
})

test('3.7 a removed service has its tasks stopped, then forgotten', async () => {
  const h = new Harness()
  await h.addNodes(2)
  h.behaviours.set('app:1', { stopMs: 8000 })
  const id = await h.createService(replicated('web', 3))
  await h.until('3 running', () => h.running(id).length === 3)
  await h.removeService(id)
  await h.run(1000)
  const desired = h.tasks(id).map(({ desiredState }) => desiredState)
  assert.deepEqual(desired, [Remove, Remove, Remove])
  await h.until('no tasks', () => h.tasks(id).length === 0)
  assert.deepEqual(h.violations, [])
  await h.stop()
})

test('3.3 a slot whose task is not to be restarted counts as filled', () => {
  const service = aService({
    Mode: { Replicated: { Replicas: 2 } },
    TaskTemplate: { RestartPolicy: { Condition: 'none' } },
  })
  const done = aTask(service, { slot: 1, state: Complete, desiredState: Shutdown })
  assert.deepEqual(planReplicated(service, [done], anywhere).createSlots, [2])
})

test('3.3 such a slot is dead while a rollback from its spec runs', () => {
  const spec = {
    Mode: { Replicated: { Replicas: 1 } },
    TaskTemplate: { RestartPolicy: { Condition: 'none' } },
  }
  const service = aService(spec, { updateStatus: { state: 'rollback_started', message: '' } })
  const failed = aTask(service, { state: Failed, desiredState: Shutdown, specVersion: 5 })
  assert.deepEqual(planReplicated(service, [failed], anywhere).createSlots, [1])
  const current = aTask(service, { state: Failed, desiredState: Shutdown })
  assert.deepEqual(planReplicated(service, [current], anywhere).createSlots, [])
})

test('3.4 scale up takes the lowest free slots and keeps the history of those it fills again', () => {
  const service = scaled(3)
  const history = aTask(service, { slot: 1, state: Failed, desiredState: Shutdown })
  const dead = aTask(service, { slot: 9, state: Failed, desiredState: Shutdown })
  const plan = planReplicated(service, [history, aTask(service, { slot: 2 }), dead], anywhere)
  assert.deepEqual(plan.createSlots, [1, 3])
  assert.deepEqual(plan.removeTaskIds, [dead.id])
})

test('3.4 scale up does not wait for an update', async () => {
  const h = new Harness()
  await h.addNodes(2)
  const id = await h.createService(replicated('web', 1))
  await h.until('running', () => h.running(id).length === 1)
  h.behaviours.set('app:2', { startMs: 60_000 })
  await h.updateService(id, withImage('app:2', { Mode: { Replicated: { Replicas: 10 } } }))
  await h.run(1000)
  const starting = h.live(id).filter(({ status }) => status.state === TaskState.Starting)
  assert.equal(starting.length, 10)
  await h.stop()
})

test('3.5 scale down keeps running tasks spread over nodes', () => {
  const service = scaled(0)
  const tasks = [
    aTask(service, { slot: 1, nodeId: 'a' }),
    aTask(service, { slot: 2, nodeId: 'a' }),
    aTask(service, { slot: 3, nodeId: 'a' }),
    aTask(service, { slot: 4, nodeId: 'b' }),
    aTask(service, { slot: 5, nodeId: 'b' }),
  ]
  assert.deepEqual(keptSlots(4, tasks), [1, 2, 4, 5])
  assert.deepEqual(keptSlots(2, tasks), [1, 4])
  assert.deepEqual(keptSlots(1, tasks), [1])
})

test('3.5 scale down prefers to stop what does not run', () => {
  const service = scaled(0)
  const tasks = [
    aTask(service, { slot: 1, nodeId: 'a', state: Preparing }),
    aTask(service, { slot: 2, nodeId: 'a' }),
    aTask(service, { slot: 3, nodeId: 'b', state: Preparing }),
  ]
  assert.deepEqual(keptSlots(2, tasks), [2, 3])
})

test('3.5 unassigned slots and slots in the middle of an update go first', () => {
  const service = scaled(0)
  const { nodeId: _, ...unassigned } = aTask(service, { slot: 1, state: TaskState.Pending })
  const tasks = [
    unassigned,
    aTask(service, { slot: 2, nodeId: 'a' }),
    aTask(service, { slot: 2, nodeId: 'b', desiredState: TaskState.Ready }),
    aTask(service, { slot: 3, nodeId: 'a' }),
    aTask(service, { slot: 4, nodeId: 'a' }),
  ]
  assert.deepEqual(keptSlots(2, tasks), [3, 4])
})

test('3.6 a slot that is given up goes with its history, but nothing that runs is deleted', async () => {
  const h = new Harness()
  await h.addNodes(1)
  h.behaviours.set('app:1', { stopMs: 5000 })
  const id = await h.createService(replicated('web', 3))
  await h.until('3 running', () => h.running(id).length === 3)
  await h.updateService(id, (spec) => ({ ...spec, Mode: { Replicated: { Replicas: 1 } } }))
  await h.run(1000)
  const desired = h.tasks(id).map(({ slot, desiredState }) => `${slot}: ${desiredState}`)
  assert.deepEqual(desired.sort(inOrder), [`1: ${Running}`, `2: ${Remove}`, `3: ${Remove}`])
  await h.until('one task', () => h.tasks(id).length === 1)
  assert.deepEqual(h.violations, [])
  await h.stop()
})

test('3.6 a slot that is scaled up again waits for the task that is still stopping there', async () => {
  const h = new Harness()
  await h.addNodes(1)
  h.behaviours.set('app:1', { stopMs: 5000 })
  const id = await h.createService(replicated('web', 1))
  await h.until('running', () => h.running(id).length === 1)
  const scale = (Replicas: number) =>
    h.updateService(id, (spec) => ({ ...spec, Mode: { Replicated: { Replicas } } }))
  await scale(0)
  await h.until('told to stop', () => h.live(id).length === 0)
  await scale(1)
  await h.run(2000)
  assert.equal(h.live(id)[0]?.status.state, TaskState.Ready)
  await h.run(5000)
  assert.equal(h.running(id).length, 1)
  await h.stop()
})

test('2.13 a drained or lost node has its tasks moved, a paused or unknown one does not', async () => {
  const h = new Harness()
  const [a = '', b = '', c = '', d = ''] = await h.addNodes(4)
  const id = await h.createService(replicated('web', 8))
  await h.until('8 running', () => h.running(id).length === 8)
  const on = (node: string) => h.running(id).filter(({ nodeId }) => nodeId === node).length
  await h.setAvailability(a, 'pause')
  await h.setNodeState(b, 'unknown')
  await h.run(20_000)
  assert.deepEqual([on(a), on(b)], [2, 2])
  await h.setAvailability(c, 'drain')
  await h.until('drained', () => h.running(id).length === 8 && on(c) === 0)
  h.silent.add(d)
  await h.addNodes(1)
  await h.setNodeState(d, 'down')
  await h.until('moved', () => h.running(id).length === 8 && on(d) === 0)
  // The old tasks are not known to have stopped.
  const old = h.tasks(id).filter(({ nodeId }) => nodeId === d)
  assert.deepEqual(
    old.map((task) => [task.status.state, task.desiredState]),
    old.map(() => [Running, Shutdown]),
  )
  await h.stop()
})

test('3.9 a new leader goes on with restart delays', async () => {
  const h = new Harness()
  await h.addNodes(1)
  const spec = { ContainerSpec: { Image: 'app:1' }, RestartPolicy: { Delay: 20 * second } }
  const id = await h.createService(replicated('web', 1, { TaskTemplate: spec }))
  await h.until('running', () => h.running(id).length === 1)
  await h.report(h.running(id)[0]?.id ?? '', Failed)
  await h.run(15_000)
  await h.changeLeader()
  await h.run(4000)
  assert.equal(h.live(id)[0]?.desiredState, TaskState.Ready)
  await h.run(2000)
  assert.equal(h.running(id).length, 1)
  await h.stop()
})

test('3.9 tasks whose service is gone are stopped first', async () => {
  const h = new Harness({ loops: [] })
  const [nodeId = ''] = await h.addNodes(1)
  const id = await h.createService(replicated('web', 1))
  const { version: _, createdAtMs: __, updatedAtMs: ___, ...task } = aTask(h.service(id), { nodeId })
  const done = h.store.update((tx) => tx.create('tasks', task))
  await h.run(10)
  await done
  await h.removeService(id)
  h.loops = orchestratorLoops
  await h.changeLeader()
  await h.until('no tasks', () => h.tasks(id).length === 0)
  assert.deepEqual(h.violations, [])
  await h.stop()
})

test('1.4 entries of the log stay small whatever the labels of the service', async () => {
  const h = new Harness({ agents: false })
  const Labels = { big: 'x'.repeat(100_000) }
  const id = await h.createService(replicated('web', 40, { Labels, UpdateConfig: { Parallelism: 0 } }))
  await h.until('all tasks', () => h.tasks(id).length === 40)
  await h.updateService(id, withImage('app:2'))
  await h.until('all updated', () => h.tasks(id).length === 80)
  await h.removeService(id)
  await h.until('no tasks', () => h.tasks(id).length === 0)
  await h.stop()
})

test('2.9 a new task has the log driver of its service, else of the cluster, and the endpoint', () => {
  const env = new SimulatedEnv(1)
  const cluster = { spec: { TaskDefaults: { LogDriver: { Name: 'syslog' } } } }
  const made = (LogDriver?: { readonly Name: string }) => {
    const template = { ContainerSpec: { Image: 'app:1' }, ...(LogDriver === undefined ? {} : { LogDriver }) }
    const service = aService({ TaskTemplate: template, EndpointSpec: { Mode: 'dnsrr' } })
    return newTask(env, cluster, service, { slot: 1 }, { desiredState: Running })
  }
  assert.equal(made({ Name: 'json-file' }).logDriver?.Name, 'json-file')
  assert.equal(made().logDriver?.Name, 'syslog')
  assert.deepEqual(made().endpoint?.spec, { Mode: 'dnsrr' })
})
