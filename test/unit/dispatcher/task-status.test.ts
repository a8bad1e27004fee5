import assert from 'node:assert/strict'
import { test } from 'node:test'
import { reportedStatus } from '../../../src/dispatcher/task-status.js'
import { TaskState } from '../../../src/model/task-state.js'
import { aTask } from '../../lib/builders.js'

const applied = { atMs: 5, by: 'manager' }
const running = { state: TaskState.Running, timestampMs: 1, message: 'started' }
const stopped = { state: TaskState.Shutdown, timestampMs: 2, message: 'shutdown' }

test('8.9 why the cluster stopped a task outlives the reports of its node', () => {
  const reason = 'assigned node no longer meets constraints'
  const task = aTask({ id: 't', status: { ...running, err: reason }, stopReason: reason })
  assert.deepEqual(reportedStatus(task, stopped, applied), {
    ...stopped,
    err: reason,
    appliedAtMs: 5,
    appliedBy: 'manager',
  })
  const failed = { ...stopped, state: TaskState.Failed, err: 'task: non-zero exit (1)' }
  assert.equal(reportedStatus(task, failed, applied)?.err, 'task: non-zero exit (1)')
})

test('without such a reason the error of before goes with the next state', () => {
  const task = aTask({ id: 't', status: { ...running, err: 'pull failed' } })
  assert.equal(reportedStatus(task, stopped, applied)?.err, undefined)
  assert.equal(reportedStatus(task, { ...running, err: 'pull failed' }, applied), undefined)
  assert.equal(reportedStatus(task, { ...running, state: TaskState.Ready }, applied), undefined)
})
