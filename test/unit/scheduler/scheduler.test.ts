import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Node, Task } from '../../../src/model/objects.js'
import { TaskState } from '../../../src/model/task-state.js'
import { schedulerLoop } from '../../../src/scheduler/scheduler.js'
import { LoopRunner } from '../../../src/store/loop.js'
import type { Store } from '../../../src/store/store.js'
import { aNode, aService, aTask, newObject } from '../../lib/builders.js'
import { memoryStore } from '../../lib/memory-log.js'
import { settle, SimulatedEnv } from '../../lib/simulated-env.js'

const service = aService({ id: 's' })

async function fill(store: Store, nodes: readonly Node[], tasks: readonly Task[]): Promise<void> {
  await store.update((tx) => {
    for (const node of nodes) tx.create('nodes', newObject(node))
    for (const task of tasks) tx.create('tasks', newObject(task))
  })
}

async function running(nodes: readonly Node[], tasks: readonly Task[]) {
  const env = new SimulatedEnv()
  const { store, log } = memoryStore(env)
  await fill(store, nodes, tasks)
  const runner = new LoopRunner(env, store, [schedulerLoop])
  runner.start()
  /** Until nothing is left to do. */
  const run = async () => {
    for (let turn = 0; turn < 20; turn++) {
      await env.advanceAsync(0)
      await settle()
    }
  }
  return { env, store, log, runner, run }
}

const tasksOf = (...ids: string[]) =>
  ids.map((id, at) =>
    aTask({ id, serviceId: service.id, slot: at + 1, spec: service.spec.TaskTemplate ?? {} }),
  )

test('2.1 pending tasks get a node and the message of Docker; the error of before is gone', async () => {
  const [waiting, fresh] = tasksOf('a', 'b')
  if (waiting === undefined || fresh === undefined) throw new Error('no tasks')
  const told = { ...waiting, status: { ...waiting.status, err: 'no suitable node' } }
  const { env, store, run } = await running([aNode({ id: 'n1' }), aNode({ id: 'n2' })], [told, fresh])
  await run()
  assert.deepEqual(
    store.view.tasks
      .list()
      .map(({ nodeId }) => nodeId ?? '')
      .toSorted(),
    ['n1', 'n2'],
  )
  assert.deepEqual(store.view.tasks.get('a')?.status, {
    state: TaskState.Assigned,
    timestampMs: env.nowMs(),
    message: 'scheduler assigned task to node',
  })
})

test('9.1 a task that finds no node says why, once, and is placed when a node comes', async () => {
  const { store, log, run } = await running(
    [aNode({ id: 'n1', spec: { Availability: 'pause' } })],
    tasksOf('a'),
  )
  await run()
  assert.equal(store.view.tasks.get('a')?.status.err, 'no suitable node (1 node not available for new tasks)')
  assert.equal(store.view.tasks.get('a')?.status.state, TaskState.Pending)
  const entries = log.entries.length
  await store.update((tx) => tx.update('nodes', 'n1', { managerAddr: 'x' }))
  await run()
  assert.equal(log.entries.length, entries + 1)
  await store.update((tx) => tx.create('nodes', newObject(aNode({ id: 'n2' }))))
  await run()
  assert.equal(store.view.tasks.get('a')?.nodeId, 'n2')
})

test('9.15 a task that goes away between decision and write is left alone', async () => {
  const { store, log, run } = await running([aNode({ id: 'n1' })], tasksOf('a', 'b'))
  log.held = true
  const removed = store.update((tx) => tx.remove('tasks', 'a'))
  const drained = store.update((tx) => tx.update('tasks', 'b', { desiredState: TaskState.Remove }))
  await run()
  log.held = false
  log.commit()
  await Promise.all([removed, drained])
  await run()
  assert.deepEqual(
    store.view.tasks.list().map(({ id, nodeId }) => [id, nodeId]),
    [['b', undefined]],
  )
})

test('9.2 a node that is drained in flight gets nothing', async () => {
  const { store, log, run } = await running([aNode({ id: 'n1' })], tasksOf('a'))
  log.held = true
  const drained = store.update((tx) => tx.update('nodes', 'n1', { spec: { Availability: 'drain' } }))
  await run()
  log.held = false
  log.commit()
  await drained
  await run()
  assert.equal(store.view.tasks.get('a')?.nodeId, undefined)
  assert.match(store.view.tasks.get('a')?.status.err ?? '', /1 node not available/)
})

test('9.15 a placement that the log refuses is taken back and decided anew', async () => {
  // It takes the whole node, so a placement that still counted would keep it out.
  const spec = { Resources: { Reservations: { NanoCPUs: 4e9 } } }
  const { env, store, log, run } = await running([aNode({ id: 'n1' })], [aTask({ id: 'a', spec })])
  log.leads = false
  await run()
  log.leads = true
  await env.advanceAsync(1000)
  await run()
  assert.equal(store.view.tasks.get('a')?.nodeId, 'n1')
})

test('a task that comes while the first look is taken is not overlooked', async () => {
  const { store, run } = await running([aNode({ id: 'n1' })], tasksOf('a'))
  await store.update((tx) => tx.create('tasks', newObject(aTask({ id: 'late' }))))
  await store.update((tx) => tx.remove('tasks', 'a'))
  await run()
  assert.deepEqual(
    store.view.tasks.list().map(({ id, nodeId }) => [id, nodeId]),
    [['late', 'n1']],
  )
})

test('1.4 a thousand tasks are written in transactions of 200, without waiting for each other', async () => {
  const tasks = Array.from({ length: 1000 }, (_, at) => aTask({ id: `t${at}`, serviceId: 's' }))
  const { store, log, run } = await running([aNode({ id: 'n1' }), aNode({ id: 'n2' })], tasks)
  log.held = true
  const before = log.entries.length
  await run()
  log.commit()
  await run()
  assert.equal(log.entries.length - before, 5)
  assert.equal(store.view.tasks.by('node', 'n1').length, 500)
})
