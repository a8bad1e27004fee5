import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Task } from '../../../src/model/objects.js'
import type { ServiceSpec, UpdateConfig } from '../../../src/model/spec/index.js'
import { TaskState } from '../../../src/model/task-state.js'
import { revisionsOf } from '../../../src/store/revisions.js'
import { Harness, ms, replicated, second, withImage } from '../../sim/orchestrator/harness.js'
import { inOrder } from './builders.js'

const { Failed, Running, Shutdown, Starting, Ready } = TaskState

/** A cluster with a service of which all tasks run `app:1`. */
async function deployed(config: UpdateConfig, replicas = 4, more: ServiceSpec = {}) {
  const h = new Harness()
  await h.addNodes(3)
  const UpdateConfig = { Parallelism: 1, ...config }
  const TaskTemplate = { ContainerSpec: { Image: 'app:1' }, RestartPolicy: { Delay: 100 * ms } }
  const id = await h.createService(replicated('web', replicas, { UpdateConfig, TaskTemplate, ...more }))
  await h.until('running', () => h.running(id).length === replicas)
  await h.run(10_000)
  const image = (task: Task) => task.spec.ContainerSpec?.Image
  return {
    h,
    id,
    state: () => h.service(id).updateStatus?.state,
    message: () => h.service(id).updateStatus?.message,
    runs: (name: string) => h.running(id).filter((task) => image(task) === name).length,
    made: (name: string) => h.tasks(id).filter((task) => image(task) === name),
  }
}

test('6.6 an update replaces every task, and says when it began and ended', async () => {
  const { h, id, state, message, runs } = await deployed({})
  const beforeMs = h.env.nowMs()
  await h.updateService(id, withImage('app:2'))
  await h.run(20)
  assert.deepEqual([state(), message()], ['updating', 'update in progress'])
  await h.until('updated', () => runs('app:2') === 4)
  assert.equal(state(), 'updating')
  await h.until('completed', () => state() === 'completed')
  const status = h.service(id).updateStatus
  assert.equal(message(), 'update completed')
  assert.ok((status?.startedAtMs ?? 0) >= beforeMs)
  assert.ok((status?.completedAtMs ?? 0) > (status?.startedAtMs ?? 0))
  assert.equal(h.live(id).length, 4)
  await h.stop()
})

test('6.6 scaling, labels and update settings are no update', async () => {
  const { h, id, state } = await deployed({})
  await h.updateService(id, (spec) => ({
    ...spec,
    Labels: { a: 'b' },
    Mode: { Replicated: { Replicas: 6 } },
    UpdateConfig: {},
  }))
  await h.run(30_000)
  assert.equal(state(), undefined)
  assert.equal(h.running(id).length, 6)
  await h.stop()
})

test('6.7 bounds how many slots are under way', async () => {
  for (const [Parallelism, most] of [
    [1, 1],
    [2, 2],
    [0, 4],
  ] as const) {
    const { h, id, runs } = await deployed({ Parallelism })
    h.behaviours.set('app:2', { startMs: 1000 })
    await h.updateService(id, withImage('app:2'))
    let fewest = 4
    const look = () => {
      fewest = Math.min(fewest, h.running(id).length)
    }
    await h.watch('updated', () => runs('app:2') === 4, look)
    assert.equal(fewest, 4 - most, `parallelism ${Parallelism}`)
    await h.stop()
  }
})

test('6.8 is 1 without any settings', async () => {
  const { h, id, runs } = await deployed({}, 3)
  await h.updateService(id, (spec) => {
    const { UpdateConfig, ...rest } = spec
    assert.ok(UpdateConfig)
    return withImage('app:2')(rest)
  })
  let fewest = 3
  const look = () => {
    fewest = Math.min(fewest, h.running(id).length)
  }
  await h.watch('updated', () => runs('app:2') === 3, look)
  assert.equal(fewest, 2)
  await h.stop()
})

test('6.9 passes between one slot that runs and the next', async () => {
  const { h, id, runs } = await deployed({ Delay: 10 * second }, 3)
  await h.updateService(id, withImage('app:2'))
  await h.run(5000)
  assert.equal(runs('app:2'), 1)
  await h.run(10_000)
  assert.equal(runs('app:2'), 2)
  await h.run(10_000)
  assert.equal(runs('app:2'), 3)
  await h.stop()
})

test('6.10 an update is complete once the last task has run for so long', async () => {
  const { h, id, state, runs } = await deployed({ Monitor: 20 * second }, 2)
  await h.updateService(id, withImage('app:2'))
  await h.until('updated', () => runs('app:2') === 2)
  await h.run(19_000)
  assert.equal(state(), 'updating')
  await h.run(1500)
  assert.equal(state(), 'completed')
  await h.stop()
})

test('6.11 the new task is prepared meanwhile, and starts when the old one has stopped', async () => {
  const { h, id, runs } = await deployed({}, 1)
  h.behaviours.set('app:1', { stopMs: 3000 })
  await h.updateService(id, withImage('app:2'))
  await h.run(2500)
  const states = h.tasks(id).map((task) => [task.status.state, task.desiredState])
  assert.deepEqual(states.sort(inOrder), [
    [Ready, Ready],
    [Running, Shutdown],
  ])
  await h.until('updated', () => runs('app:2') === 1)
  await h.stop()
})

test('6.12 the old task goes when the new one runs', async () => {
  const { h, id, runs } = await deployed({ Order: 'start-first' }, 2)
  h.behaviours.set('app:2', { startMs: 3000 })
  await h.updateService(id, withImage('app:2'))
  const updated = () => runs('app:2') === 2 && runs('app:1') === 0
  await h.watch('updated', updated, () => {
    assert.ok(h.running(id).length >= 2)
    assert.ok(h.live(id).length <= 3)
  })
  assert.equal(h.live(id).length, 2)
  await h.stop()
})

test('6.12 an old task stays where the new one fails, and there is never a third', async () => {
  const config = { Order: 'start-first', FailureAction: 'continue', Monitor: second }
  const { h, id, runs } = await deployed(config, 2)
  h.behaviours.set('app:2', { refuses: 'failed' })
  await h.updateService(id, withImage('app:2'))
  for (let step = 0; step < 1000; step++) {
    await h.run(10)
    assert.equal(runs('app:1'), 2)
    assert.ok(h.live(id).length <= 4)
  }
  h.behaviours.set('app:2', {})
  await h.until('updated', () => runs('app:2') === 2 && runs('app:1') === 0)
  await h.stop()
})

test('6.16 pause: the update stops, and says why', async () => {
  const { h, id, state, message, runs, made } = await deployed({})
  h.behaviours.set('app:2', { refuses: 'failed' })
  await h.updateService(id, withImage('app:2'))
  await h.until('paused', () => state() === 'paused')
  const failed = made('app:2').find((task) => task.status.state === Failed)
  assert.equal(message(), `update paused due to failure or early termination of task ${failed?.id}`)
  assert.equal(h.service(id).updateStatus?.completedAtMs, undefined)
  await h.run(20_000)
  assert.equal(state(), 'paused')
  assert.equal(runs('app:1'), 3)
  await h.stop()
})

test('6.16 any update, even to the same spec, goes on with a paused one', async () => {
  const { h, id, state, runs } = await deployed({})
  h.behaviours.set('app:2', { refuses: 'failed' })
  await h.updateService(id, withImage('app:2'))
  await h.until('paused', () => state() === 'paused')
  h.behaviours.set('app:2', {})
  await h.updateService(id, (spec) => ({ ...spec }))
  await h.until('completed', () => state() === 'completed')
  assert.equal(runs('app:2'), 4)
  await h.stop()
})

test('6.17 continue: every slot has its turn', async () => {
  const { h, id, state, made } = await deployed({ FailureAction: 'continue', Monitor: 500 * ms })
  h.behaviours.set('app:2', { refuses: 'failed' })
  await h.updateService(id, withImage('app:2'))
  await h.until('completed', () => state() === 'completed')
  const slots = new Set(made('app:2').map(({ slot }) => slot))
  assert.equal(slots.size, 4)
  await h.stop()
})

test('6.18 rollback: back to the previous spec, which is then gone', async () => {
  const { h, id, state, message, runs, made } = await deployed({ FailureAction: 'rollback' })
  h.behaviours.set('app:2', { refuses: 'failed' })
  await h.updateService(id, withImage('app:2'))
  await h.until('rollback', () => state() === 'rollback_started')
  const failed = made('app:2').find((task) => task.status.state === Failed)
  assert.equal(message(), `update rolled back due to failure or early termination of task ${failed?.id}`)
  await h.until('rolled back', () => state() === 'rollback_completed')
  assert.equal(message(), 'rollback completed')
  assert.equal(runs('app:1'), 4)
  assert.equal(h.live(id).length, 4)
  const service = h.service(id)
  assert.equal(service.spec.TaskTemplate?.ContainerSpec?.Image, 'app:1')
  assert.equal(service.previousSpec, undefined)
  assert.equal(service.previousSpecVersion, undefined)
  // But the history still has what failed.
  const kept = revisionsOf(h.store.view, id)
  assert.deepEqual(
    kept.map(({ spec, replacedBy }) => [spec.TaskTemplate?.ContainerSpec?.Image, replacedBy]),
    [['app:2', 'failure']],
  )
  await h.stop()
})

test('6.19 a failing rollback is paused, and stays so', async () => {
  const RollbackConfig = { Parallelism: 1, FailureAction: 'pause' }
  const { h, id, state, message } = await deployed({ FailureAction: 'rollback', Monitor: 4 * second }, 3, {
    RollbackConfig,
  })
  h.behaviours.set('app:2', { endsAfterMs: 3000 })
  await h.updateService(id, withImage('app:2'))
  h.behaviours.set('app:1', { refuses: 'failed' })
  await h.until('rollback paused', () => state() === 'rollback_paused')
  assert.match(message() ?? '', /^update paused due to failure or early termination of task /)
  await h.run(60_000)
  assert.equal(state(), 'rollback_paused')
  await h.stop()
})

test('6.19 a rollback whose action is rollback says that it was a rollback', async () => {
  const RollbackConfig = { Parallelism: 1, FailureAction: 'rollback' }
  const { h, id, state, message } = await deployed({}, 3, { RollbackConfig })
  await h.updateService(id, withImage('app:2'))
  await h.until('completed', () => state() === 'completed')
  h.behaviours.set('app:1', { refuses: 'failed' })
  await h.rollbackService(id)
  await h.until('rollback paused', () => state() === 'rollback_paused')
  assert.match(message() ?? '', /^rollback paused due to failure or early termination of task /)
  await h.run(60_000)
  assert.equal(state(), 'rollback_paused')
  await h.stop()
})

test('6.14 a task counts that ends within the monitor period after it ran, not later', async () => {
  for (const [endsAfterMs, expected] of [
    [4000, 'paused'],
    [6000, 'completed'],
  ] as const) {
    const { h, id, state } = await deployed({ Monitor: 5 * second }, 2)
    h.behaviours.set('app:2', { endsAfterMs })
    await h.updateService(id, withImage('app:2'))
    await h.until('an end', () => state() === 'paused' || state() === 'completed')
    assert.equal(state(), expected)
    await h.stop()
  }
})

test('6.15 the ratio of failed slots decides, each slot once', async () => {
  const { h, id, state } = await deployed({ MaxFailureRatio: 0.25, Monitor: 2 * second })
  h.behaviours.set('app:2', { endsAfterMs: 1000 })
  await h.updateService(id, withImage('app:2'))
  await h.until('a failure', () => h.service(id).updateStatus?.rollout?.failures === 1)
  // One of four is taken, however often it fails.
  await h.until('paused', () => state() === 'paused')
  const { rollout } = h.service(id).updateStatus ?? {}
  assert.deepEqual(rollout, { slots: 4, failures: 2 })
  const failed = h.tasks(id).filter((task) => task.status.state === Failed)
  assert.ok(failed.length >= 2)
  assert.equal(new Set(failed.map(({ slot }) => slot)).size, 2)
  await h.stop()
})

test('6.14 a replacement that fails counts where its slot has not counted yet', async () => {
  const { h, id, state, runs } = await deployed({ Monitor: 5 * second, Delay: 30 * second }, 3)
  await h.updateService(id, withImage('app:2'))
  await h.until('first', () => runs('app:2') === 1)
  await h.run(10_000)
  const first = () => h.running(id).find((task) => task.spec.ContainerSpec?.Image === 'app:2')?.id ?? ''
  await h.report(first(), Failed)
  await h.run(1000)
  assert.equal(state(), 'updating')
  await h.report(first(), Failed)
  await h.run(100)
  assert.equal(state(), 'paused')
  await h.stop()
})

test('6.14 a drained node is none', async () => {
  const { h, id, state, runs, made } = await deployed({ Delay: second, Monitor: 30 * second }, 3)
  await h.updateService(id, withImage('app:2'))
  await h.until('first', () => runs('app:2') === 1)
  await h.setAvailability(made('app:2')[0]?.nodeId ?? '', 'drain')
  await h.until('updated', () => runs('app:2') === 3)
  await h.until('completed', () => state() === 'completed')
  await h.stop()
})

test('6.20 by hand swaps the specs, and once more swaps them back', async () => {
  const { h, id, state, message, runs } = await deployed({}, 2)
  await h.updateService(id, withImage('app:2'))
  await h.until('completed', () => state() === 'completed')
  await h.rollbackService(id)
  await h.run(10)
  assert.deepEqual([state(), message()], ['rollback_started', 'manually requested rollback'])
  await h.until('rolled back', () => state() === 'rollback_completed')
  assert.equal(runs('app:1'), 2)
  await h.rollbackService(id)
  await h.until('and back', () => state() === 'rollback_completed' && runs('app:2') === 2)
  await h.stop()
})

test('6.20 follows the rollback settings', async () => {
  const RollbackConfig = { Parallelism: 0, Order: 'start-first' }
  const { h, id, state, runs } = await deployed({}, 4, { RollbackConfig })
  await h.updateService(id, withImage('app:2'))
  await h.until('completed', () => state() === 'completed')
  h.behaviours.set('app:1', { startMs: 1000 })
  await h.rollbackService(id)
  await h.run(200)
  assert.equal(h.live(id).length, 8)
  await h.until('rolled back', () => runs('app:1') === 4 && h.live(id).length === 4)
  await h.stop()
})

test('6.21 a new spec takes the place of one that is being rolled out', async () => {
  const { h, id, state, runs, made } = await deployed({})
  h.behaviours.set('app:2', { startMs: 1000_000 })
  await h.updateService(id, withImage('app:2'))
  await h.run(5000)
  assert.equal(made('app:2')[0]?.status.state, Starting)
  await h.updateService(id, withImage('app:3'))
  await h.until('completed', () => state() === 'completed')
  assert.equal(runs('app:3'), 4)
  assert.equal(made('app:2').length, 1)
  await h.stop()
})

test('6.22 a removed service is not updated any further', async () => {
  const { h, id, made } = await deployed({ Delay: second })
  await h.updateService(id, withImage('app:2'))
  await h.run(500)
  await h.removeService(id)
  await h.until('no tasks', () => h.tasks(id).length === 0)
  const { entries } = h
  await h.run(60_000)
  assert.equal(h.entries, entries)
  assert.equal(made('app:2').length, 0)
  await h.stop()
})

test('6.23 slots that do not run are updated first', async () => {
  const { h, id, made } = await deployed({ Delay: 60 * second }, 3)
  const broken = h.running(id).find(({ slot }) => slot === 2)
  h.behaviours.set('app:1', { refuses: 'failed' })
  await h.report(broken?.id ?? '', Failed)
  await h.run(20)
  await h.updateService(id, withImage('app:2'))
  await h.run(1000)
  assert.deepEqual(
    made('app:2').map(({ slot }) => slot),
    [2],
  )
  await h.stop()
})

test('6.23 a slot that nobody was to restart is updated like any other', async () => {
  const h = new Harness()
  await h.addNodes(1)
  const TaskTemplate = { ContainerSpec: { Image: 'app:1' }, RestartPolicy: { Condition: 'none' } }
  const id = await h.createService(replicated('once', 2, { TaskTemplate }))
  await h.until('running', () => h.running(id).length === 2)
  for (const { id: task } of h.running(id)) await h.report(task, TaskState.Complete)
  await h.run(10_000)
  assert.equal(h.live(id).length, 0)
  await h.updateService(id, (spec) => ({
    ...spec,
    TaskTemplate: { ...spec.TaskTemplate, ForceUpdate: 1 },
  }))
  await h.until('running again', () => h.running(id).length === 2)
  await h.stop()
})

test('6.24 a new leader goes on, counting failures from where it was', async () => {
  const config = { MaxFailureRatio: 0.25, Monitor: second, FailureAction: 'rollback' }
  const { h, id, state, runs } = await deployed(config)
  h.behaviours.set('app:2', { refuses: 'failed' })
  await h.updateService(id, withImage('app:2'))
  await h.until('a failure', () => h.service(id).updateStatus?.rollout?.failures === 1)
  await h.changeLeader()
  await h.until('rollback', () => state() === 'rollback_started')
  await h.changeLeader()
  await h.until('rolled back', () => state() === 'rollback_completed')
  assert.equal(runs('app:1'), 4)
  await h.stop()
})

test('6.24 a new leader has no more slots under way than the settings allow', async () => {
  const { h, id, state, made } = await deployed({ Parallelism: 2 }, 6)
  h.behaviours.set('app:2', { startMs: 300 })
  await h.updateService(id, withImage('app:2'))
  for (let change = 0; change < 10; change++) {
    await h.changeLeader()
    await h.run(400)
    assert.ok(h.running(id).length >= 4, h.describe())
  }
  await h.until('completed', () => state() === 'completed')
  assert.equal(made('app:2').length, 6)
  await h.stop()
})

test('6.14 how long a task ran counts even where its end is not committed yet', async () => {
  const { h, id, state, runs } = await deployed({ Monitor: 2 * second, Delay: 60 * second }, 2)
  await h.updateService(id, withImage('app:2'))
  await h.until('first', () => runs('app:2') === 1)
  await h.run(10_000)
  const first = h.running(id).find((task) => task.spec.ContainerSpec?.Image === 'app:2')
  assert.ok(first?.nodeId !== undefined)
  const { id: taskId, nodeId, status } = first
  // The slot is looked at for another reason while the report is in flight.
  const drained = h.store.update((tx) => {
    tx.update('nodes', nodeId, { spec: { Availability: 'drain' } })
  })
  await h.run(1)
  const reported = h.store.update((tx) => {
    tx.update('tasks', taskId, { status: { ...status, state: Failed, timestampMs: tx.nowMs } })
  })
  await h.run(1000)
  await Promise.all([drained, reported])
  assert.equal(state(), 'updating')
  await h.stop()
})

test('6.12 the new task of an earlier update goes at once, the one that serves stays', async () => {
  const { h, id } = await deployed({ Order: 'start-first' }, 1)
  h.behaviours.set('app:2', { startMs: 1000_000 })
  await h.updateService(id, withImage('app:2'))
  await h.run(3000)
  h.behaviours.set('app:3', { startMs: 5000 })
  await h.updateService(id, withImage('app:3'))
  await h.run(3000)
  const images = h.live(id).map((task) => task.spec.ContainerSpec?.Image)
  assert.deepEqual(images.sort(inOrder), ['app:1', 'app:3'])
  await h.until('updated', () => h.live(id).length === 1 && h.running(id).length === 1)
  await h.stop()
})
