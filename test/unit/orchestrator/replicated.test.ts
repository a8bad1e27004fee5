import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TaskState } from '../../../src/model/task-state.js'
import { Harness, replicated } from '../../sim/orchestrator/harness.js'

test('3.3 a new service gets one task per slot, from 1', async () => {
  const h = new Harness()
  await h.addNodes(3)
  const id = await h.createService(replicated('web', 5))
  await h.until('5 running', () => h.running(id).length === 5)
  assert.deepEqual(
    h
      .tasks(id)
      .map(({ slot }) => slot)
      .sort(),
    [1, 2, 3, 4, 5],
  )
  assert.equal(h.tasks(id)[0]?.spec, h.service(id).spec.TaskTemplate)
  assert.equal(h.service(id).updateStatus, undefined)
  await h.stop()
})

test('3 a removed service leaves no tasks behind', async () => {
  const h = new Harness()
  await h.addNodes(2)
  h.behaviours.set('app:1', { stopMs: 8000 })
  const id = await h.createService(replicated('web', 3))
  await h.until('3 running', () => h.running(id).length === 3)
  await h.removeService(id)
  await h.run(1000)
  assert.deepEqual(
    h.tasks(id).map(({ desiredState }) => desiredState),
    Array(3).fill(TaskState.Remove),
  )
  await h.until('no tasks', () => h.tasks(id).length === 0)
  assert.deepEqual(h.violations, [])
  await h.stop()
})
