import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ServiceSpec, UpdateConfig } from '../../../src/model/spec/index.js'
import { TaskState } from '../../../src/model/task-state.js'
import { waitsToLeave } from '../../../src/orchestrator/restart/plan-slot.js'
import { Harness, ms, replicated, second, withImage } from '../../sim/orchestrator/harness.js'

const { Running, Shutdown } = TaskState

/** A service on two nodes, of which the first is about to be drained. Tasks take a second to start. */
async function drainable(replicas: number, UpdateConfig: UpdateConfig, more: ServiceSpec = {}) {
  const h = new Harness()
  const [a = '', b = ''] = await h.addNodes(2)
  h.behaviours.set('app:1', { startMs: 1000, stopMs: 200 })
  await h.setAvailability(b, 'pause')
  const id = await h.createService(replicated('web', replicas, { UpdateConfig, ...more }))
  await h.until('all running', () => h.running(id).length === replicas)
  await h.setAvailability(b, 'active')
  const on = (node: string) => h.running(id).filter((task) => task.nodeId === node)
  return { h, id, a, b, on }
}

test('3.8 a drain keeps to the parallelism of updates, stop-first', async () => {
  const { h, id, a, b, on } = await drainable(4, { Parallelism: 1 })
  await h.setAvailability(a, 'drain')
  await h.watch(
    'drained',
    () => on(b).length === 4,
    () => assert.ok(h.running(id).length >= 3, h.describe()),
  )
  assert.deepEqual(on(a), [])
  assert.equal(h.service(id).updateStatus, undefined)
  assert.deepEqual(h.violations, [])
  await h.stop()
})

test('3.8 a drain starts first where updates do: no replica is missing at any time', async () => {
  const { h, id, a, b, on } = await drainable(4, { Parallelism: 2, Order: 'start-first' })
  await h.setAvailability(a, 'drain')
  let most = 0
  await h.watch(
    'drained',
    () => on(a).length === 0,
    () => {
      assert.ok(h.running(id).length >= 4, h.describe())
      most = Math.max(most, h.live(id).length)
    },
  )
  assert.equal(most, 6)
  await h.until('tidy', () => h.live(id).length === 4)
  assert.equal(on(b).length, 4)
  await h.stop()
})

test('3.8 with parallelism 0 all tasks leave at once, as in Docker', async () => {
  const { h, id, a } = await drainable(4, { Parallelism: 0 })
  await h.setAvailability(a, 'drain')
  await h.run(50)
  assert.equal(h.running(id).length, 0)
  await h.stop()
})

test('3.8 who waits for its turn to leave says so, and takes it back when the drain is called off', async () => {
  const { h, id, a, on } = await drainable(3, { Parallelism: 1, Order: 'start-first' })
  await h.setAvailability(a, 'drain')
  await h.run(100)
  const waiting = () => on(a).filter(({ status }) => status.message === waitsToLeave)
  assert.equal(waiting().length, 2)
  await h.setAvailability(a, 'active')
  await h.until('as before', () => h.live(id).length === 3)
  assert.equal(on(a).length, 3)
  assert.deepEqual(waiting(), [])
  await h.stop()
})

test('3.8 a drain that gets nowhere for five minutes stops what is left', async () => {
  const Placement = { Constraints: ['node.labels.zone==here'] }
  const h = new Harness()
  const [a = ''] = await h.addNodes(1, { Labels: { zone: 'here' } })
  await h.addNodes(1)
  const TaskTemplate = { ContainerSpec: { Image: 'app:1' }, Placement }
  const UpdateConfig = { Parallelism: 1, Order: 'start-first' }
  const id = await h.createService(replicated('web', 3, { TaskTemplate, UpdateConfig }))
  await h.until('all running', () => h.running(id).length === 3)
  await h.setAvailability(a, 'drain')
  await h.run(295_000)
  assert.equal(h.running(id).length, 3)
  await h.run(10_000)
  assert.equal(h.running(id).length, 0)
  assert.equal(h.live(id).length, 3)
  await h.setAvailability(a, 'active')
  await h.until('back', () => h.running(id).length === 3)
  await h.stop()
})

test('3.8 a node that goes down while it is drained is not waited for', async () => {
  const { h, id, a, b, on } = await drainable(4, { Parallelism: 1, Order: 'start-first' })
  h.behaviours.set('app:1', { startMs: 20_000 })
  await h.setAvailability(a, 'drain')
  await h.run(100)
  h.silent.add(a)
  await h.setNodeState(a, 'down')
  await h.run(30_000)
  assert.equal(on(b).length, 4)
  assert.equal(h.live(id).length, 4)
  await h.stop()
})

test('3.8 tasks that do not run yet leave at once', async () => {
  const { h, id, a, b } = await drainable(0, { Parallelism: 1 })
  h.behaviours.set('app:1', { startMs: 60_000 })
  await h.setAvailability(b, 'pause')
  await h.updateService(id, (spec) => ({ ...spec, Mode: { Replicated: { Replicas: 3 } } }))
  await h.run(1000)
  await h.setAvailability(b, 'active')
  await h.setAvailability(a, 'drain')
  await h.run(1000)
  const left = h.live(id).filter(({ nodeId }) => nodeId === a)
  assert.deepEqual(left, [])
  assert.equal(h.live(id).length, 3)
  await h.stop()
})

test('3.8 drain and update together have no more slots under way than the settings allow', async () => {
  const { h, id, a, b, on } = await drainable(6, { Parallelism: 2, Monitor: 500 * ms })
  h.behaviours.set('app:2', { startMs: 1000, stopMs: 200 })
  await h.updateService(id, withImage('app:2'))
  await h.run(300)
  await h.setAvailability(a, 'drain')
  await h.watch(
    'updated and drained',
    () => h.service(id).updateStatus?.state === 'completed' && on(b).length === 6,
    () => assert.ok(h.running(id).length >= 4, h.describe()),
  )
  await h.stop()
})

test('3.8 a paused update does not keep tasks from leaving', async () => {
  const { h, id, a, b, on } = await drainable(3, { Parallelism: 1, Monitor: 500 * ms })
  h.behaviours.set('bad:1', { refuses: 'failed' })
  await h.updateService(id, withImage('bad:1', { UpdateConfig: { Parallelism: 1, Order: 'start-first' } }))
  await h.until('paused', () => h.service(id).updateStatus?.state === 'paused')
  h.behaviours.set('bad:1', { startMs: 300 })
  await h.setAvailability(a, 'drain')
  await h.watch(
    'drained',
    () => on(b).length === 3,
    () => assert.ok(h.running(id).length >= 3, h.describe()),
  )
  assert.equal(h.service(id).updateStatus?.state, 'paused')
  await h.stop()
})

test('3.8 an update that is paused while a node is drained leaves the drain under way', async () => {
  const { h, id, a, on } = await drainable(3, { Parallelism: 1, Order: 'start-first' })
  h.behaviours.set('app:1', { startMs: 5000 })
  await h.setAvailability(a, 'drain')
  await h.run(1000)
  h.behaviours.set('bad:1', { refuses: 'rejected' })
  await h.updateService(id, withImage('bad:1'))
  await h.until('paused', () => h.service(id).updateStatus?.state === 'paused')
  h.behaviours.set('bad:1', {})
  await h.until('drained', () => on(a).length === 0, 700_000)
  await h.until('tidy', () => h.running(id).length === 3 && h.live(id).length === 3)
  await h.stop()
})

test('3.8 a new leader goes on with a drain, with no more slots under way than before', async () => {
  for (const Order of ['stop-first', 'start-first']) {
    const { h, id, a, b, on } = await drainable(5, { Parallelism: 1, Order })
    await h.setAvailability(a, 'drain')
    const least = Order === 'start-first' ? 5 : 4
    for (let step = 0; on(b).length < 5; step++) {
      assert.ok(step < 500, h.describe())
      await h.run(50)
      assert.ok(h.running(id).length >= least, h.describe())
      // A new leader begins starts anew in this simulation.
      if (step % 31 === 3) await h.changeLeader(step % 3)
    }
    assert.deepEqual(h.violations, [])
    await h.stop()
  }
})

test('3.8, 7.7 a moved task takes its past along, and is no failure of the update', async () => {
  const RestartPolicy = { MaxAttempts: 2, Delay: 100 * ms }
  const TaskTemplate = { ContainerSpec: { Image: 'app:1' }, RestartPolicy }
  const { h, id, a, b, on } = await drainable(1, { Order: 'start-first' }, { TaskTemplate })
  await h.report(h.running(id)[0]?.id ?? '', TaskState.Failed)
  await h.until('restarted', () => h.running(id).length === 1)
  await h.setAvailability(on(a).length === 1 ? a : b, 'drain')
  await h.run(5000)
  const [task] = h.running(id)
  assert.equal(task?.restart?.attempts, 1)
  await h.stop()
})

test('4.3 a global service stops its task on a drained node at once', async () => {
  const h = new Harness()
  const [a = ''] = await h.addNodes(2)
  const spec = replicated('agent', 0, { Mode: { Global: {} }, UpdateConfig: { Delay: 60 * second } })
  const id = await h.createService(spec)
  await h.until('running', () => h.running(id).length === 2)
  await h.setAvailability(a, 'drain')
  await h.until('stopped', () => h.tasks(id).some(({ status }) => status.state === Shutdown))
  assert.deepEqual(
    h.tasks(id).map((task) => [task.nodeId === a, task.status.state]),
    h.tasks(id).map((task) => [task.nodeId === a, task.nodeId === a ? Shutdown : Running]),
  )
  await h.stop()
})

test('3.8 a drain ends also where the update fails that goes on meanwhile', async () => {
  for (const rolledBack of [false, true]) {
    const config = { Order: 'start-first', FailureAction: 'continue', Parallelism: 1, Monitor: 500 * ms }
    const { h, id, a, on } = await drainable(2, config, { RollbackConfig: config })
    h.behaviours.set('bad:1', { refuses: 'failed' })
    await h.setAvailability(a, 'drain')
    await h.updateService(id, withImage('bad:1'))
    const ended = rolledBack ? 'rollback_completed' : 'completed'
    if (rolledBack) {
      h.behaviours.set('app:1', { refuses: 'failed' })
      await h.rollbackService(id)
    }
    await h.until(ended, () => h.service(id).updateStatus?.state === ended)
    assert.equal(on(a).length, 2)
    await h.run(290_000)
    assert.equal(on(a).length, 2)
    await h.run(20_000)
    assert.equal(on(a).length, 0)
    assert.equal(h.service(id).updateStatus?.state, ended)
    await h.stop()
  }
})
