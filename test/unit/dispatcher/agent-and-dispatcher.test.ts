import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Agent } from '../../../src/agent/index.js'
import { Dispatcher } from '../../../src/dispatcher/index.js'
import { TaskState } from '../../../src/model/task-state.js'
import { aNode, aTask, newObject } from '../../lib/builders.js'
import { FakeExecutor } from '../../lib/fake-executor.js'
import { instantStore } from '../../lib/instant-store.js'
import { MemoryLink } from '../../lib/memory-connection.js'
import { MemoryTaskStorage } from '../../lib/memory-task-storage.js'
import { runFor } from '../../lib/run-for.js'
import { SimulatedEnv } from '../../lib/simulated-env.js'

test('a task runs, is stopped, and its container goes with its object', async () => {
  const env = new SimulatedEnv(1)
  const store = instantStore(env)
  const dispatcher = new Dispatcher(env, store, { managerId: 'm1' })
  await store.update((tx) => {
    tx.create('nodes', newObject(aNode({ id: 'n1', status: { state: 'unknown', message: '', addr: '' } })))
  })
  dispatcher.start()
  const executor = new FakeExecutor(env)
  const agent = new Agent(env, {
    nodeId: 'n1',
    hostname: 'host-1',
    executor,
    dbPath: '',
    storage: new MemoryTaskStorage(),
    dial: () => {
      const { ends } = new MemoryLink()
      dispatcher.accept(ends[1], { nodeId: 'n1' }, '10.0.0.1')
      return Promise.resolve(ends[0])
    },
  })
  const started = agent.start()
  await runFor(env, 100)
  await started
  assert.equal(store.view.nodes.get('n1')?.status.state, 'ready')
  assert.equal(store.view.nodes.get('n1')?.description?.Hostname, 'host-1')

  const status = { state: TaskState.Assigned, timestampMs: 0, message: 'assigned' }
  await store.update((tx) => {
    tx.create('tasks', newObject(aTask({ id: 't1', nodeId: 'n1', status })))
  })
  await runFor(env, 100)
  const running = store.view.tasks.get('t1')?.status
  assert.equal(running?.state, TaskState.Running)
  assert.equal(running?.message, 'started')
  assert.deepEqual(running?.container, { containerId: 'container-of-t1', pid: 7, exitCode: 0 })
  assert.equal(running?.appliedBy, 'm1')

  await store.update((tx) => {
    tx.update('tasks', 't1', { desiredState: TaskState.Shutdown })
  })
  await runFor(env, 100)
  assert.equal(store.view.tasks.get('t1')?.status.state, TaskState.Shutdown)
  assert.equal(executor.containers.size, 1)
  await store.update((tx) => tx.remove('tasks', 't1'))
  await runFor(env, 100)
  assert.equal(executor.containers.size, 0)

  const stopping = agent.stop()
  await runFor(env, 2000)
  await stopping
  await runFor(env, 5000)
  assert.equal(store.view.nodes.get('n1')?.status.state, 'down')
  await dispatcher.stop()
})
