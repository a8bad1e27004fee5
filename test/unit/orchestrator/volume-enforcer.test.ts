import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Volume } from '../../../src/model/objects.js'
import { TaskState } from '../../../src/model/task-state.js'
import {
  stillWanted,
  tasksToStop,
  volumeEnforcer,
} from '../../../src/orchestrator/enforcer/volume-enforcer.js'
import { LoopRunner } from '../../../src/store/loop.js'
import { aTask, newObject } from '../../lib/builders.js'
import { memoryStore } from '../../lib/memory-log.js'
import { settle, SimulatedEnv } from '../../lib/simulated-env.js'

const running = { state: TaskState.Running, timestampMs: 0, message: 'started' }
const status = (nodeId: string, state: 'pending-publish' | 'published') => ({
  nodeId,
  state,
  publishContext: {},
})

function aVolume(fields: Partial<Volume> = {}): Volume {
  return {
    id: 'v',
    version: 1,
    createdAtMs: 0,
    updatedAtMs: 0,
    spec: { Name: 'v', Labels: {}, Driver: { Name: 'csi', Options: {} }, Availability: 'active' },
    ...fields,
  }
}

const user = (id: string, nodeId: string, state: TaskState = TaskState.Running) =>
  aTask({ id, nodeId, status: { ...running, state }, volumes: [{ id: 'v', source: 'v', target: '/v' }] })

test('8.10 tasks leave a volume that is being drained, unless they have ended', () => {
  const tasks = [
    user('a', 'n'),
    user('b', 'n', TaskState.Failed),
    { ...user('c', 'n'), desiredState: TaskState.Shutdown },
  ]
  assert.deepEqual(tasksToStop(aVolume(), tasks), [])
  const drained = aVolume({ spec: { ...aVolume().spec, Availability: 'drain' } })
  assert.deepEqual(tasksToStop(drained, tasks), ['a'])
})

test('9.17 a volume leaves a node where nobody uses it any more', () => {
  const volume = aVolume({
    publishStatus: [status('n1', 'published'), status('n2', 'published'), status('n3', 'pending-publish')],
  })
  const tasks = [user('a', 'n1'), user('b', 'n2', TaskState.Failed)]
  assert.deepEqual(stillWanted(volume, tasks), [
    status('n1', 'published'),
    { ...status('n2', 'published'), state: 'pending-node-unpublish' },
  ])
  const settled = { ...volume, publishStatus: stillWanted(volume, tasks) ?? [] }
  assert.equal(stillWanted(settled, tasks), undefined)
})

test('8.10, 9.17 the loop stops them, with a reason that stays, and frees the volume when they have stopped', async () => {
  const env = new SimulatedEnv()
  const { store } = memoryStore(env)
  const run = async () => {
    for (let turn = 0; turn < 10; turn++) {
      await env.advanceAsync(100)
      await settle()
    }
  }
  await store.update((tx) => {
    tx.create('volumes', newObject(aVolume({ publishStatus: [status('n', 'pending-publish')] })))
    tx.create('tasks', newObject(user('a', 'n')))
  })
  const runner = new LoopRunner(env, store, [volumeEnforcer])
  runner.start()
  await run()
  assert.equal(store.view.tasks.get('a')?.desiredState, TaskState.Running)
  await store.update(
    (tx) => void tx.update('volumes', 'v', { spec: { ...aVolume().spec, Availability: 'drain' } }),
  )
  await run()
  const stopped = store.view.tasks.get('a')
  assert.equal(stopped?.desiredState, TaskState.Shutdown)
  assert.equal(stopped?.status.err, 'attached to volume which is being drained')
  assert.equal(stopped?.stopReason, 'attached to volume which is being drained')
  assert.equal(store.view.volumes.get('v')?.publishStatus?.length, 1)
  await store.update(
    (tx) => void tx.update('tasks', 'a', { status: { ...running, state: TaskState.Shutdown } }),
  )
  await run()
  assert.deepEqual(store.view.volumes.get('v')?.publishStatus, [])
  await runner.stop()
})
