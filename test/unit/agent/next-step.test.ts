import assert from 'node:assert/strict'
import { test } from 'node:test'
import { failedState, nextStep, type Step } from '../../../src/agent/next-step.js'
import { TaskState } from '../../../src/model/task-state.js'

function said(step: Step): string {
  return step.kind === 'act' ? step.action : step.kind === 'enter' ? `enter ${step.message}` : 'idle'
}

/** The whole way of a task that nothing happens to. */
function way(desired: TaskState, from: TaskState = TaskState.Assigned): string[] {
  const steps: string[] = []
  let observed = from
  for (;;) {
    const step = nextStep(observed, desired)
    if (step.kind === 'idle') return steps
    assert.ok(step.state > observed, 'states only grow')
    steps.push(said(step))
    observed = step.state
  }
}

test('2.5 a task goes its way up to its desired state', () => {
  const toReady = ['enter accepted', 'enter preparing', 'prepare']
  const toEnd = [...toReady, 'enter starting', 'start', 'wait']
  assert.deepEqual(way(TaskState.Running), toEnd)
  assert.deepEqual(way(TaskState.Complete), toEnd, 'jobs')
  assert.deepEqual(way(TaskState.Ready), toReady, 'parked')
  assert.deepEqual(way(TaskState.Running, TaskState.Ready), ['enter starting', 'start', 'wait'])
})

test('2.5 what is to be shut down is stopped once, wherever it is', () => {
  for (const desired of [TaskState.Shutdown, TaskState.Remove]) {
    for (const observed of Object.values(TaskState)) {
      const wanted = observed < TaskState.Complete ? ['shutdown'] : []
      assert.deepEqual(way(desired, observed), wanted, `${observed} to ${desired}`)
    }
  }
})

test('2.5 what is past its desired state stays, and what has ended too', () => {
  assert.deepEqual(way(TaskState.Ready, TaskState.Starting), [])
  assert.deepEqual(way(TaskState.Ready, TaskState.Running), [])
  for (const observed of Object.values(TaskState)) {
    if (observed > TaskState.Running) assert.deepEqual(way(TaskState.Running, observed), [])
  }
  assert.deepEqual(way(TaskState.Running, TaskState.Pending), [], 'not assigned yet')
})

test('2.6 a failure is a rejection until the container was to start', () => {
  assert.equal(failedState(TaskState.Assigned), TaskState.Rejected)
  assert.equal(failedState(TaskState.Ready), TaskState.Rejected)
  assert.equal(failedState(TaskState.Starting), TaskState.Failed)
  assert.equal(failedState(TaskState.Running), TaskState.Failed)
})
