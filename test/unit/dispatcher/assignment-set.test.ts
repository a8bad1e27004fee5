import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AssignmentSet } from '../../../src/dispatcher/assignment-set.js'
import type { Task } from '../../../src/model/objects.js'
import { TaskState } from '../../../src/model/task-state.js'
import type { Store } from '../../../src/store/store.js'
import type { AssignmentChange } from '../../../src/wire/index.js'
import { aNetwork, aTask, newObject } from '../../lib/builders.js'
import { instantStore } from '../../lib/instant-store.js'
import { SimulatedEnv } from '../../lib/simulated-env.js'

const at = (state: TaskState) => ({ state, timestampMs: 0, message: '' })
const assigned = at(TaskState.Assigned)

async function setup(): Promise<{ store: Store; set: AssignmentSet; take: () => string[] }> {
  const store = instantStore(new SimulatedEnv(1))
  await store.update((tx) => {
    tx.create('secrets', { id: 's1', spec: { Name: 'one', Data: 'AQ==', Templating: { Name: 'golang' } } })
    tx.create('secrets', { id: 's2', spec: { Name: 'two', Data: 'Ag==' } })
    tx.create('configs', { id: 'c1', spec: { Name: 'conf', Data: 'Aw==' } })
    tx.create('networks', newObject(aNetwork({ id: 'net' })))
  })
  const set = new AssignmentSet(store.view, 'n1')
  store.watch(({ changes }) => {
    for (const { table, id } of changes) if (table === 'tasks') set.touch(id)
  })
  return { store, set, take: () => set.takeChanges().map(said) }
}

function said(change: AssignmentChange): string {
  if (change.op === 'remove') return `- ${change.kind} ${change.id}`
  return `+ ${change.kind} ${change.kind === 'task' ? change.task.id : change.file.id}`
}

function using(id: string, secretIds: readonly string[], fields: Partial<Task> = {}): Task {
  const spec = {
    ContainerSpec: {
      Image: 'i',
      Secrets: secretIds.map((SecretID) => ({ SecretID })),
      Configs: [{ ConfigID: 'c1' }],
    },
  }
  return aTask({ id, nodeId: 'n1', status: assigned, spec, ...fields })
}

test('a node gets its tasks from ASSIGNED on, dead ones too until they are deleted', async () => {
  const { store, set, take } = await setup()
  await store.update((tx) => {
    tx.create('tasks', newObject(aTask({ id: 'a', nodeId: 'n1', status: assigned })))
    tx.create('tasks', newObject(aTask({ id: 'b', nodeId: 'n1', status: at(TaskState.Failed) })))
    tx.create('tasks', newObject(aTask({ id: 'c', nodeId: 'n1', status: at(TaskState.Pending) })))
    tx.create('tasks', newObject(aTask({ id: 'd', nodeId: 'n2', status: assigned })))
    tx.create('tasks', newObject(aTask({ id: 'e' })))
  })
  assert.deepEqual(set.complete().map(said), ['+ task a', '+ task b'])
  assert.deepEqual(take(), [])
  await store.update((tx) => {
    tx.update('tasks', 'c', { status: assigned })
    tx.remove('tasks', 'b')
    tx.remove('tasks', 'd')
  })
  assert.deepEqual(take(), ['- task b', '+ task c'])
})

test("a node's own word is not said back to it, all else is", async () => {
  const { store, set, take } = await setup()
  await store.update(
    (tx) => void tx.create('tasks', newObject(aTask({ id: 'a', nodeId: 'n1', status: assigned }))),
  )
  set.complete()
  await store.update((tx) => void tx.update('tasks', 'a', { status: at(TaskState.Running) }))
  assert.deepEqual(take(), [])
  await store.update((tx) => void tx.update('tasks', 'a', { desiredState: TaskState.Shutdown }))
  assert.deepEqual(take(), ['+ task a'])
})

test('several changes between two messages are one', async () => {
  const { store, set, take } = await setup()
  set.complete()
  await store.update((tx) => void tx.create('tasks', newObject(using('a', ['s1']))))
  await store.update((tx) => void tx.update('tasks', 'a', { desiredState: TaskState.Shutdown }))
  await store.update((tx) => void tx.create('tasks', newObject(using('b', ['s2']))))
  await store.update((tx) => tx.remove('tasks', 'b'))
  assert.deepEqual(take(), ['+ secret s1', '+ config c1', '+ task a'])
})

test('files come before their first task and go with the last one that needs them', async () => {
  const { store, set, take } = await setup()
  set.complete()
  await store.update((tx) => {
    tx.create('tasks', newObject(using('a', ['s1'])))
    tx.create('tasks', newObject(using('b', ['s1', 's2'])))
  })
  assert.deepEqual(take(), ['+ secret s1', '+ config c1', '+ secret s2', '+ task a', '+ task b'])
  await store.update((tx) => void tx.update('tasks', 'b', { status: at(TaskState.Failed) }))
  assert.deepEqual(take(), ['- secret s2'], 'an ended task needs none')
  await store.update((tx) => tx.remove('tasks', 'b'))
  assert.deepEqual(take(), ['- task b'])
  await store.update((tx) => tx.remove('tasks', 'a'))
  assert.deepEqual(take(), ['- task a', '- secret s1', '- config c1'])
})

test('a file that one task gives up and another takes in the same turn stays', async () => {
  const { store, set, take } = await setup()
  set.complete()
  await store.update((tx) => void tx.create('tasks', newObject(using('a', ['s1']))))
  take()
  await store.update((tx) => {
    tx.remove('tasks', 'a')
    tx.create('tasks', newObject(using('b', ['s1'])))
  })
  assert.deepEqual(take(), ['- task a', '+ task b'])
})

test('a complete set has no files of ended tasks, and leaves out what is not there', async () => {
  const { store, set } = await setup()
  await store.update((tx) => {
    tx.create('tasks', newObject(using('a', ['gone'])))
    tx.create('tasks', newObject(using('b', ['s2'], { status: at(TaskState.Complete) })))
  })
  assert.deepEqual(set.complete().map(said), ['+ config c1', '+ task a', '+ task b'])
  assert.deepEqual(set.complete().map(said), ['+ config c1', '+ task a', '+ task b'], 'and again the same')
})

test('files carry name, data and templating; tasks carry their networks', async () => {
  const { store, set } = await setup()
  const networks = [{ networkId: 'net', addresses: ['10.0.0.3/24'], aliases: ['web'] }]
  await store.update((tx) => void tx.create('tasks', newObject(using('a', ['s1'], { networks }))))
  const changes = set.complete()
  assert.deepEqual(changes[0], {
    op: 'update',
    kind: 'secret',
    file: { id: 's1', name: 'one', data: 'AQ==', templating: 'golang' },
  })
  const task = changes.at(-1)
  assert.ok(task?.op === 'update' && task.kind === 'task')
  assert.equal(task.task.networks[0]?.network.spec.Driver, 'overlay')
  assert.deepEqual(task.task.networks[0]?.addresses, ['10.0.0.3/24'])
})
