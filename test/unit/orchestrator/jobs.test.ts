import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RestartPolicy, ServiceMode } from '../../../src/model/spec/index.js'
import { TaskState } from '../../../src/model/task-state.js'
import { Harness, ms } from '../../sim/orchestrator/harness.js'
import { inOrder } from './builders.js'

const { Complete, Failed, Running, Shutdown } = TaskState

async function started(Mode: ServiceMode, RestartPolicy: RestartPolicy = {}, endsAfterMs = 1000) {
  const h = new Harness()
  const nodes = await h.addNodes(3)
  h.behaviours.set('job:1', { endsAfterMs, endState: Complete })
  const TaskTemplate = {
    ContainerSpec: { Image: 'job:1' },
    RestartPolicy: { Delay: 100 * ms, ...RestartPolicy },
  }
  const id = await h.createService({ Name: 'job', Mode, TaskTemplate })
  await h.run(500)
  const inState = (state: TaskState) => h.tasks(id).filter((task) => task.status.state === state)
  const active = () =>
    h.tasks(id).filter((task) => task.desiredState <= Complete && task.status.state <= Running)
  return { h, id, nodes, inState, active }
}

test('5.2 max concurrent tasks run at one time, until enough have completed', async () => {
  const mode = { ReplicatedJob: { MaxConcurrent: 2, TotalCompletions: 7 } }
  const { h, id, inState, active } = await started(mode)
  assert.deepEqual(
    h
      .tasks(id)
      .map((task) => [task.slot, task.desiredState, task.jobIteration])
      .sort(inOrder),
    [
      [0, Complete, 0],
      [1, Complete, 0],
    ],
  )
  await h.watch(
    'all complete',
    () => inState(Complete).length === 7,
    () => {
      assert.ok(active().length <= 2)
    },
  )
  await h.run(60_000)
  assert.deepEqual(
    h
      .tasks(id)
      .map(({ slot }) => slot)
      .sort(inOrder),
    [0, 1, 2, 3, 4, 5, 6],
  )
  await h.stop()
})

test('5.3 one task where the job does not say how many, as many as may run where it says that', async () => {
  for (const [job, expected] of [
    [{}, 1],
    [{ MaxConcurrent: 3 }, 3],
  ] as const) {
    const { h, id } = await started({ ReplicatedJob: job })
    await h.run(10_000)
    assert.equal(h.tasks(id).length, expected)
    await h.stop()
  }
})

test('5.4 a task that fails is tried again in its slot, one that completes is not', async () => {
  const { h, id, inState } = await started({ ReplicatedJob: {} }, { Condition: 'any' })
  await h.report(inState(Running)[0]?.id ?? '', Failed)
  await h.run(20_000)
  const states = h.tasks(id).map((task) => [task.slot, task.status.state, task.desiredState])
  assert.deepEqual(states.sort(inOrder), [
    [0, Complete, Complete],
    [0, Failed, Shutdown],
  ])
  await h.stop()
})

test('5.5 used-up attempts leave the slot failed', async () => {
  const mode = { ReplicatedJob: { MaxConcurrent: 2, TotalCompletions: 2 } }
  const { h, id, inState } = await started(mode, { MaxAttempts: 1 })
  h.behaviours.set('job:1', { refuses: 'failed' })
  for (const task of inState(Running)) await h.report(task.id, Failed)
  await h.run(30_000)
  const { entries } = h
  assert.equal(inState(Failed).length, 4)
  await h.run(60_000)
  assert.equal(h.entries, entries)
  assert.equal(h.tasks(id).length, 4)
  await h.stop()
})

test('5.6 a task on a drained or lost node is moved', async () => {
  const { h, id, inState, active } = await started(
    { ReplicatedJob: { MaxConcurrent: 2 } },
    { Condition: 'none' },
    20_000,
  )
  const [first, second] = active()
  await h.setAvailability(first?.nodeId ?? '', 'drain')
  h.silent.add(second?.nodeId ?? '')
  await h.setNodeState(second?.nodeId ?? '', 'down')
  await h.until('both complete', () => inState(Complete).length === 2)
  assert.equal(h.tasks(id).length, 4)
  await h.stop()
})

test('5.1 every update runs the job again; what still runs of the last one is stopped', async () => {
  const mode = { ReplicatedJob: { MaxConcurrent: 2, TotalCompletions: 2 } }
  const { h, id, inState } = await started(mode)
  h.behaviours.set('job:1', { endsAfterMs: 50_000, endState: Complete })
  await h.report(inState(Running)[0]?.id ?? '', Complete)
  await h.updateService(id, (spec) => ({ ...spec, Labels: { again: 'yes' } }))
  await h.run(5000)
  const tasks = h.tasks(id).map((task) => [task.jobIteration, task.status.state])
  assert.deepEqual(tasks.sort(inOrder), [
    [0, Complete],
    [1, Running],
    [1, Running],
  ])
  assert.deepEqual(h.violations, [])
  await h.stop()
})

test('5.7 every node runs it once, nodes that come later too', async () => {
  const { h, id, nodes, inState } = await started({ GlobalJob: {} })
  await h.run(5000)
  const [added = ''] = await h.addNodes(1)
  await h.run(5000)
  assert.deepEqual(
    h
      .tasks(id)
      .map(({ nodeId }) => nodeId)
      .sort(inOrder),
    [...nodes, added],
  )
  assert.equal(inState(Complete).length, 4)
  await h.stop()
})

test('5.7 drained, paused and unready nodes are left out, until they are back', async () => {
  const { h, id, nodes, inState } = await started({ GlobalJob: {} }, {}, 30_000)
  await h.setAvailability(nodes[0] ?? '', 'drain')
  await h.run(2000)
  assert.deepEqual(
    inState(Shutdown).map(({ nodeId }) => nodeId),
    [nodes[0]],
  )
  assert.equal(h.tasks(id).length, 3)
  await h.setAvailability(nodes[0] ?? '', 'pause')
  await h.run(2000)
  assert.equal(h.tasks(id).length, 3)
  await h.setAvailability(nodes[0] ?? '', 'active')
  await h.until('all complete', () => inState(Complete).length === 3)
  await h.stop()
})

test('5.5 the number of attempts holds', async () => {
  const { h, id, nodes, inState } = await started({ GlobalJob: {} }, { MaxAttempts: 1 }, 30_000)
  h.behaviours.set('job:1', { refuses: 'failed' })
  await h.report(inState(Running).find(({ nodeId }) => nodeId === nodes[0])?.id ?? '', Failed)
  await h.run(20_000)
  assert.equal(inState(Failed).length, 2)
  assert.equal(h.tasks(id).length, 4)
  await h.stop()
})

test('5.8 old iterations go with the history limit', async () => {
  for (const mode of [{ ReplicatedJob: { MaxConcurrent: 2 } }, { GlobalJob: {} }]) {
    const { h, id, inState } = await started(mode)
    for (let run = 0; run < 8; run++) {
      await h.run(5000)
      await h.updateService(id, (spec) => ({ ...spec, Labels: { run: String(run) } }))
    }
    await h.run(5000)
    const slots = Object.keys(mode)[0] === 'GlobalJob' ? 3 : 2
    assert.ok(h.tasks(id).length <= slots * 5, h.describe())
    const current = inState(Complete).filter((task) => task.jobIteration === 8)
    assert.equal(current.length, slots)
    await h.stop()
  }
})

test('5.9 a removed job leaves nothing behind', async () => {
  const { h, id } = await started({ ReplicatedJob: { MaxConcurrent: 2 } }, {}, 100_000)
  await h.removeService(id)
  await h.until('no tasks', () => h.tasks(id).length === 0)
  await h.stop()
})

test('5.10 a new leader goes on with it', async () => {
  const mode = { ReplicatedJob: { MaxConcurrent: 2, TotalCompletions: 6 } }
  const { h, id, inState } = await started(mode)
  for (let change = 0; change < 4; change++) {
    await h.run(1500)
    await h.changeLeader()
  }
  await h.until('all complete', () => inState(Complete).length === 6)
  assert.equal(h.tasks(id).length, 6)
  await h.stop()
})
