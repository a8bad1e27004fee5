import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { TaskState } from '../../../src/model/task-state.js'
import { aNetwork, aTask } from '../../lib/builders.js'
import { testApp } from './fake-backend.js'

/** Tasks enough for an answer to be put together in several turns. */
async function setUp(t: TestContext, count: number) {
  const { app, store } = testApp()
  t.after(() => app.close())
  const network = aNetwork({ id: 'net1', spec: { Name: 'front' } })
  const ids = Array.from({ length: count }, (_, index) => `t${String(index).padStart(4, '0')}`)
  const tasks = ids.map((id) =>
    aTask({ id, networks: [{ networkId: 'net1', addresses: ['10.0.0.5/24'], aliases: [] }] }),
  )
  store.restore(1, [
    { table: 'networks', object: network },
    ...tasks.map((object) => ({ table: 'tasks' as const, object })),
  ])
  await app.ready()
  return { app, store, ids }
}

interface ShownTask {
  readonly ID: string
  readonly DesiredState: string
  readonly NetworksAttachments: readonly {
    readonly Network: { readonly Spec: { readonly Labels: object } }
  }[]
}

test('a whole list is the same for all who ask, at once or later, and has its length', async (t) => {
  const { app, ids } = await setUp(t, 1000)
  const [first, second] = await Promise.all([app.inject('/tasks'), app.inject('/tasks')])
  const third = await app.inject('/tasks')
  assert.deepEqual(
    first.json<ShownTask[]>().map(({ ID }) => ID),
    ids,
  )
  assert.equal(first.headers['content-length'], String(first.rawPayload.length))
  assert.equal(second.body, first.body)
  assert.equal(third.body, first.body)
})

test('a whole list shows each change, also of the networks that tasks repeat', async (t) => {
  const { app, store, ids } = await setUp(t, 300)
  const shown = async () => (await app.inject('/tasks')).json<ShownTask[]>()
  await shown()
  await store.update((tx) => void tx.update('tasks', 't0007', { desiredState: TaskState.Shutdown }))
  assert.equal((await shown())[7]?.DesiredState, 'shutdown')
  await store.update((tx) => {
    tx.update('networks', 'net1', { spec: { Name: 'front', Labels: { tier: 'new' } } })
  })
  for (const task of await shown()) {
    assert.deepEqual(task.NetworksAttachments[0]?.Network.Spec.Labels, { tier: 'new' }, task.ID)
  }
  await store.update((tx) => {
    for (const id of ids) tx.remove('tasks', id)
  })
  assert.equal((await app.inject('/tasks')).body, '[]\n')
})

test('a list that changes while it is put together is as it was when it was asked for', async (t) => {
  const { app, store } = await setUp(t, 1000)
  const before = app.inject('/tasks')
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve))
  await store.update((tx) => tx.remove('tasks', 't0999'))
  assert.equal((await app.inject('/tasks')).json<ShownTask[]>().length, 999)
  assert.ok((await before).json<ShownTask[]>().length >= 999)
})
