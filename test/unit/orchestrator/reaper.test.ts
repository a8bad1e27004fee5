import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RestartPolicy } from '../../../src/model/spec/index.js'
import { TaskState } from '../../../src/model/task-state.js'
import { isRemovable, planHistory } from '../../../src/orchestrator/reaper/plan.js'
import { Harness, ms, replicated } from '../../sim/orchestrator/harness.js'
import { aService, aTask } from './builders.js'

const { Failed, Running, Shutdown, Remove, Pending, Assigned, Orphaned, Complete, Ready, Rejected } =
  TaskState

const service = aService()
/** A live task and `count` that ended before it, oldest first. */
function history(count: number, policy: RestartPolicy = {}) {
  const owner = aService({ TaskTemplate: { RestartPolicy: policy } })
  const old = Array.from({ length: count }, (_, n) =>
    aTask(owner, { state: Failed, desiredState: Shutdown, atMs: n, createdAtMs: n }),
  )
  return { owner, old, tasks: [aTask(owner, { createdAtMs: count }), ...old.toReversed()] }
}

function removed(count: number, limit: number, policy: RestartPolicy = {}): number {
  const { owner, old, tasks } = history(count, policy)
  const { removeTaskIds } = planHistory(owner, tasks, limit)
  // Always the oldest.
  assert.deepEqual(
    removeTaskIds,
    old.slice(0, removeTaskIds.length).map(({ id }) => id),
  )
  return removeTaskIds.length
}

test('8.1 tasks to be removed go once they have ended or can never begin', () => {
  const removable = (state: TaskState, desiredState: TaskState = Remove) =>
    isRemovable(aTask(service, { state, desiredState }))
  assert.deepEqual(
    [Pending, Assigned, Running, Complete, Failed].map((state) => removable(state)),
    [true, false, false, true, true],
  )
  assert.equal(removable(Failed, Shutdown), false)
})

test('8.2 attachments go with their node', () => {
  const { serviceId: _, ...attachment } = aTask(service, { state: Orphaned })
  assert.equal(isRemovable(attachment), true)
  assert.equal(isRemovable(aTask(service, { state: Orphaned })), false)
})

test('8.3 counts the live task', () => {
  assert.equal(removed(4, 5), 0)
  assert.equal(removed(6, 5), 2)
  assert.equal(removed(3, 1), 3)
  assert.equal(removed(3, 0), 3)
})

test('8.3 negative keeps everything', () => {
  assert.equal(removed(50, -1), 0)
})

test('8.4 is max attempts + 1 where there are such', () => {
  assert.equal(removed(9, 5, { MaxAttempts: 2 }), 7)
  assert.equal(removed(9, 5, { MaxAttempts: 8 }), 1)
})

test('8.5 tasks that still run or stop stay, and are waited for', () => {
  const stopping = aTask(service, { state: Running, desiredState: Shutdown })
  const plan = planHistory(service, [aTask(service), stopping], 1)
  assert.deepEqual(plan, { removeTaskIds: [], waits: true })
})

test('8.6 a task that ended before its start was due stays until it is followed', () => {
  const ended = aTask(service, { state: Rejected, desiredState: Ready })
  assert.deepEqual(planHistory(service, [aTask(service), ended], 1).removeTaskIds, [])
})

test('8.5 a task that was told to stop before it had a node is history', () => {
  const never = aTask(service, { state: Pending, desiredState: Shutdown })
  assert.deepEqual(planHistory(service, [aTask(service), never], 1).removeTaskIds, [never.id])
})

test('8.6 the last task of a slot that nobody restarts stays', () => {
  const [first, last] = [1, 2].map((createdAtMs) =>
    aTask(service, { state: Complete, desiredState: Shutdown, createdAtMs, atMs: createdAtMs }),
  )
  assert.ok(first !== undefined && last !== undefined)
  assert.deepEqual(planHistory(service, [first, last], 0).removeTaskIds, [first.id])
})

/** A cluster where one task crashes again and again. */
async function crashing(limit: number | undefined) {
  const h = new Harness()
  await h.cluster(limit)
  await h.addNodes(1)
  h.behaviours.set('app:1', { endsAfterMs: 100 })
  const TaskTemplate = { ContainerSpec: { Image: 'app:1' }, RestartPolicy: { Delay: 100 * ms } }
  const id = await h.createService(replicated('crash', 2, { TaskTemplate }))
  await h.run(300_000)
  h.behaviours.clear()
  await h.until('stable', () => h.running(id).length === 2)
  await h.run(1000)
  return { h, id }
}

test('8.3 five tasks are kept per slot, the live one included', async () => {
  const { h, id } = await crashing(undefined)
  assert.equal(h.tasks(id).length, 10)
  await h.stop()
})

test('8.3 the cluster can set another limit', async () => {
  const { h, id } = await crashing(2)
  assert.equal(h.tasks(id).length, 4)
  await h.stop()
})

test('8.3 a lower limit holds for what is there already, a new leader too', async () => {
  const { h, id } = await crashing(5)
  const done = h.store.update((tx) => {
    tx.update('clusters', 'cluster', {
      spec: { Name: 'default', Orchestration: { TaskHistoryRetentionLimit: 3 } },
    })
  })
  await h.run(1000)
  await done
  assert.equal(h.tasks(id).length, 6)
  await h.changeLeader()
  await h.run(1000)
  assert.equal(h.tasks(id).length, 6)
  assert.deepEqual(h.violations, [])
  await h.stop()
})
