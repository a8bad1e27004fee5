import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TaskManager } from '../../../src/agent/task-manager.js'
import type { AssignedTask } from '../../../src/executor/interface.js'
import type { TaskStatus } from '../../../src/model/objects.js'
import { TaskState, taskStateName } from '../../../src/model/task-state.js'
import { aTask } from '../../lib/builders.js'
import { FakeExecutor, type Behaviour } from '../../lib/fake-executor.js'
import { runFor } from '../../lib/run-for.js'
import { SimulatedEnv } from '../../lib/simulated-env.js'

const dependencies = {
  secret: () => undefined,
  config: () => undefined,
  node: { id: 'n1', hostname: 'h', platform: { Architecture: 'x86_64', OS: 'linux' } },
}

function setup(behaviour: Behaviour, fields: Partial<AssignedTask> = {}) {
  const env = new SimulatedEnv(1)
  const executor = new FakeExecutor(env)
  executor.behaviours.set('busybox', behaviour)
  const status: TaskStatus = { state: TaskState.Assigned, timestampMs: 0, message: 'assigned' }
  const task: AssignedTask = { ...aTask({ id: 't', nodeId: 'n1', status }), networks: [], ...fields }
  const reports: TaskStatus[] = []
  const manager = new TaskManager(
    env,
    {
      controller: (assigned) => executor.controller(assigned, dependencies),
      onStatus: (_id, reported) => reports.push(reported),
      whenReady: () => Promise.resolve(),
    },
    task,
    fields.status ?? status,
  )
  const states = () => reports.map(({ state }) => taskStateName(state))
  manager.start()
  return { env, executor, task, manager, reports, states }
}

test('every state on the way is reported, with the container from STARTING on', async () => {
  const { env, manager, reports, states } = setup({ exit: { code: 0, afterMs: 500 } })
  await runFor(env, 1000)
  assert.deepEqual(states(), ['accepted', 'preparing', 'ready', 'starting', 'running', 'complete'])
  assert.deepEqual(
    reports.map(({ message }) => message),
    ['accepted', 'preparing', 'prepared', 'starting', 'started', 'finished'],
  )
  assert.deepEqual(
    reports.map(({ container }) => container?.pid),
    [undefined, undefined, undefined, 0, 7, 0],
  )
  await manager.close()
})

test('a task that is to be READY waits for its time', async () => {
  const { env, manager, task, states } = setup({}, { desiredState: TaskState.Ready })
  await runFor(env, 5000)
  assert.equal(states().at(-1), 'ready')
  manager.update({ ...task, desiredState: TaskState.Running })
  await runFor(env, 100)
  assert.equal(states().at(-1), 'running')
  await manager.close()
})

test('a desired state never goes back', async () => {
  const { env, manager, task, states } = setup({ stopMs: 1000 })
  await runFor(env, 100)
  manager.update({ ...task, desiredState: TaskState.Shutdown })
  await runFor(env, 100)
  manager.update({ ...task, desiredState: TaskState.Running })
  await runFor(env, 2000)
  assert.equal(states().at(-1), 'shutdown')
  await manager.close()
})

test('a pull under way is given up when the task is to stop', async () => {
  const { env, executor, manager, task, states } = setup({ prepareMs: 60_000 })
  await runFor(env, 1000)
  manager.update({ ...task, desiredState: TaskState.Shutdown })
  await runFor(env, 100)
  assert.deepEqual(states(), ['accepted', 'preparing', 'shutdown'])
  assert.equal(executor.containers.size, 0)
  await manager.close()
})

test('a pull under way goes on when the task is to be more than READY', async () => {
  const { env, executor, manager, task, states } = setup(
    { prepareMs: 2000 },
    { desiredState: TaskState.Ready },
  )
  await runFor(env, 1000)
  manager.update({ ...task, desiredState: TaskState.Running })
  await runFor(env, 1500)
  assert.equal(states().at(-1), 'running')
  assert.equal(executor.calls.filter((call) => call === 't prepare').length, 1)
  await manager.close()
})

test('what fails for a passing reason is tried again with growing waits, and says why', async () => {
  const { env, executor, manager, reports, states } = setup({ prepareFailures: 4 })
  await runFor(env, 500)
  assert.deepEqual(states(), ['accepted', 'preparing', 'preparing'])
  assert.equal(reports.at(-1)?.err, 'the engine is busy')
  await runFor(env, 6000)
  assert.equal(executor.calls.filter((call) => call === 't prepare').length, 3, '1 s, then 2 s, then 4 s')
  await runFor(env, 20_000)
  assert.equal(states().at(-1), 'running')
  assert.equal(reports.at(-1)?.err, undefined)
  await manager.close()
})

test('an error before STARTING rejects the task, and its text is kept', async () => {
  const { env, manager, reports } = setup({ prepareError: 'No such image: busybox' })
  await runFor(env, 100)
  const last = reports.at(-1)
  assert.equal(last?.state, TaskState.Rejected)
  assert.equal(last?.err, 'No such image: busybox')
  assert.equal(last?.message, 'preparing')
  await manager.close()
})

test('an exit code other than 0 fails the task', async () => {
  const { env, manager, reports } = setup({ exit: { code: 3, afterMs: 100 } })
  await runFor(env, 1000)
  const last = reports.at(-1)
  assert.equal(last?.state, TaskState.Failed)
  assert.equal(last?.err, 'task: non-zero exit (3)')
  assert.equal(last?.container?.exitCode, 3)
  await manager.close()
})

test('what the executor refuses is rejected', async () => {
  const { env, manager, reports } = setup({}, { spec: {} })
  await runFor(env, 100)
  assert.equal(reports.length, 1)
  assert.equal(reports[0]?.state, TaskState.Rejected)
  assert.equal(reports[0]?.message, 'resolving controller failed')
  assert.equal(reports[0]?.err, 'only containers here')
  await manager.close()
})

test('a text too long for the wire is cut', async () => {
  const { env, manager, reports } = setup({ prepareError: 'x'.repeat(10_000) })
  await runFor(env, 100)
  assert.equal(reports.at(-1)?.err?.length, 4096)
  await manager.close()
})

test('a changed task reaches a controller that waits, the same task again does not', async () => {
  const { env, executor, manager, task } = setup({})
  await runFor(env, 100)
  manager.update({ ...task, version: 99, status: { ...task.status, state: TaskState.Running } })
  await runFor(env, 100)
  assert.ok(!executor.calls.includes('t update'))
  manager.update({ ...task, serviceAnnotations: { name: 'web', labels: { a: 'b' } } })
  await runFor(env, 100)
  assert.deepEqual(executor.calls.slice(-3), ['t wait', 't update', 't wait'])
  await manager.close()
})

test('closing leaves the container as it is, and the next manager takes it up', async () => {
  const { env, executor, manager, task } = setup({})
  await runFor(env, 100)
  await manager.close()
  assert.equal(executor.stateOf('t'), 'running')
  const reports: TaskStatus[] = []
  const next = new TaskManager(
    env,
    {
      controller: (assigned) => executor.controller(assigned, dependencies),
      onStatus: (_id, reported) => reports.push(reported),
      whenReady: () => Promise.resolve(),
    },
    task,
    manager.status,
  )
  next.start()
  await runFor(env, 100)
  assert.equal(reports.length, 0, 'nothing is new')
  executor.ends('t', 9)
  await runFor(env, 2000)
  assert.equal(reports.at(-1)?.state, TaskState.Failed)
  assert.equal(executor.made.length, 1)
  await next.close()
})

test('a task that waits for its next try can be stopped at once', async () => {
  const { env, manager, task, states } = setup({ prepareFailures: 99 })
  await runFor(env, 2000)
  manager.update({ ...task, desiredState: TaskState.Shutdown })
  await runFor(env, 50)
  assert.equal(states().at(-1), 'shutdown', 'at once, not after the wait')
  await manager.close()
})
