import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { TaskDatabase } from '../../../src/agent/task-database.js'
import type { AssignedTask } from '../../../src/executor/interface.js'
import { TaskState } from '../../../src/model/task-state.js'
import { aTask } from '../../lib/builders.js'
import { SimulatedEnv } from '../../lib/simulated-env.js'

const status = { state: TaskState.Assigned, timestampMs: 1, message: 'assigned' }
const task = (id: string, fields: Partial<AssignedTask> = {}): AssignedTask => ({
  ...aTask({ id, nodeId: 'n1', status }),
  networks: [],
  ...fields,
})

test('tasks, how far they are, and what is to be removed outlive the process; credentials do not', async (context) => {
  const directory = mkdtempSync(join(tmpdir(), 'skep-agent-'))
  context.after(() => rmSync(directory, { recursive: true }))
  const env = new SimulatedEnv(1)
  const path = join(directory, 'worker.db')
  const db = await TaskDatabase.open(env, path)
  const running = {
    ...status,
    state: TaskState.Running,
    container: { containerId: 'c', pid: 1, exitCode: 0 },
  }
  await db.putTasks([
    { task: task('b', { registryAuth: 'hush-hush' }), status },
    { task: task('a'), status },
    { task: task('c'), status },
    { task: task('d'), status },
  ])
  await db.putStatus('a', running)
  await db.putStatus('nobody', running)
  await db.putTasks([{ task: task('a', { desiredState: TaskState.Shutdown }), status }])
  await db.unassign(['c'])
  await db.remove('d')
  await db.close()
  for (const file of readdirSync(directory))
    assert.ok(!readFileSync(join(directory, file)).includes('hush-hush'))

  const again = await TaskDatabase.open(env, path)
  const stored = await again.load()
  assert.deepEqual(
    stored.map(({ task: { id, desiredState }, status: { state }, isAssigned, lacksRegistryAuth }) => [
      id,
      desiredState,
      state,
      isAssigned,
      lacksRegistryAuth,
    ]),
    [
      ['a', TaskState.Shutdown, TaskState.Running, true, false],
      ['b', TaskState.Running, TaskState.Assigned, true, true],
      ['c', TaskState.Running, TaskState.Assigned, false, false],
    ],
  )
  assert.deepEqual(stored[0]?.status, running)
  await again.clear()
  assert.deepEqual(await again.load(), [])
  await again.close()
})
