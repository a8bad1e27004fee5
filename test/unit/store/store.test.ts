import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Service } from '../../../src/model/objects.js'
import { tableNames } from '../../../src/model/objects.js'
import { TaskState } from '../../../src/model/task-state.js'
import { decodeActions, encodeActions } from '../../../src/store/action.js'
import { stateHash } from '../../../src/store/state-hash.js'
import { Store, type Commit, type Tx } from '../../../src/store/store.js'
import { aNode, aService, aTask, newObject } from '../../lib/builders.js'
import { memoryStore } from '../../lib/memory-log.js'
import { seededRandom, SimulatedEnv } from '../../lib/simulated-env.js'

function open() {
  const env = new SimulatedEnv()
  return { env, ...memoryStore(env) }
}

const service = (id: string, fields: Partial<Service> = {}) => newObject(aService({ id, ...fields }))
const labelled = (id: string, labels: Record<string, string>) =>
  service(id, { spec: { Name: id, Labels: labels, TaskTemplate: { ContainerSpec: { Image: 'i' } } } })

/** Another member that hears of the same entries, as bytes. */
function follower(log: {
  readonly entries: readonly { readonly index: number; readonly data: Uint8Array }[]
}) {
  const { store } = open()
  for (const { index, data } of log.entries) store.apply(index, Uint8Array.from(data))
  return store
}

test('1.2 what a transaction writes is there when it resolves, stamped with index and time, and not before', async () => {
  const { env, store, log } = open()
  log.held = true
  env.advance(1000)
  const created = store.update((tx) => tx.create('services', service('s')))
  assert.equal(store.view.services.get('s'), undefined)
  assert.equal(store.appliedIndex, 0)
  log.commit()
  const result = await created
  assert.equal(store.view.services.get('s'), result)
  assert.deepEqual([result.version, result.createdAtMs, result.updatedAtMs], [1, env.nowMs(), env.nowMs()])
  assert.equal(store.appliedIndex, 1)
})

test('1.2 an update changes the fields given, removes those given as undefined, and shares the rest', async () => {
  const { env, store } = open()
  await store.update((tx) => tx.create('services', service('s', { specVersion: 3, previousSpecVersion: 2 })))
  const before = store.view.services.get('s')
  env.advance(5)
  await store.update((tx) => tx.update('services', 's', { specVersion: 4, previousSpecVersion: undefined }))
  const after = store.view.services.get('s')
  assert.equal(after?.specVersion, 4)
  assert.equal('previousSpecVersion' in after, false)
  assert.equal(after.spec, before?.spec)
  assert.deepEqual([after.version, after.updatedAtMs - after.createdAtMs], [2, 5])
  assert.equal(before?.specVersion, 3)
})

test('transactions build on those in flight, and each is an entry of its own', async () => {
  const { store, log } = open()
  log.held = true
  const all = [
    store.update((tx) => void tx.create('services', service('s'))),
    store.update((tx) => void tx.update('services', 's', { specVersion: 1 })),
    store.update((tx) => tx.services.get('s')?.specVersion),
    store.update((tx) => tx.remove('services', 's')),
  ]
  assert.equal(store.view.services.size, 0)
  log.commit(1)
  assert.equal(store.view.services.get('s')?.specVersion, 0)
  log.commit(1)
  assert.equal(store.view.services.get('s')?.specVersion, 1)
  log.commit()
  assert.equal((await Promise.all(all))[2], 1)
  assert.equal(store.view.services.size, 0)
  assert.equal(log.entries.length, 3)
})

test('a transaction that throws leaves no trace', async () => {
  const { store, log } = open()
  await store.update((tx) => tx.create('services', service('s')))
  await assert.rejects(
    store.update((tx) => {
      tx.create('services', service('t'))
      tx.update('services', 's', { specVersion: 9 })
      tx.update('services', 't', { specVersion: 9 })
      tx.remove('services', 's')
      throw new Error('changed my mind')
    }),
    /changed my mind/,
  )
  const seen = await store.update((tx) => tx.services.list().map(({ id, specVersion }) => [id, specVersion]))
  assert.deepEqual(seen, [['s', 0]])
  assert.equal(log.entries.length, 1)
  await store.update((tx) => tx.create('services', service('t')))
})

test('a read waits for what it may have seen', async () => {
  const { store, log } = open()
  log.held = true
  let done = false
  const written = store.update((tx) => void tx.create('services', service('s')))
  const read = store.update((tx) => tx.services.size).then((size) => ((done = true), size))
  await new Promise((resolve) => setImmediate(resolve))
  assert.equal(done, false)
  log.commit()
  assert.equal(await read, 1)
  await written
})

test('a log that does not take an entry: nothing has happened', async () => {
  const { store, log } = open()
  log.leads = false
  await assert.rejects(
    store.update((tx) => tx.create('services', service('s'))),
    { code: 'Unavailable' },
  )
  log.leads = true
  await store.update((tx) => tx.create('services', service('s')))
  assert.equal(store.view.services.size, 1)
})

test('an entry that is too large is refused', async () => {
  const { store } = open()
  await assert.rejects(
    store.update((tx) => tx.create('services', labelled('s', { huge: 'x'.repeat(2 ** 21) }))),
    { code: 'InvalidArgument' },
  )
  assert.equal(await store.update((tx) => tx.services.size), 0)
})

test('1.6 names are unique whatever the case, also among what is in flight, and free after removal', async () => {
  const { store, log } = open()
  const named = (id: string, Name: string) => service(id, { spec: { Name } })
  log.held = true
  const first = store.update((tx) => void tx.create('services', named('a', 'web')))
  await assert.rejects(
    store.update((tx) => tx.create('services', named('b', 'WEB'))),
    {
      message:
        'rpc error: code = AlreadyExists desc = name conflicts with an existing object: service WEB already exists',
    },
  )
  log.held = false
  log.commit()
  await first
  await store.update((tx) => tx.create('services', named('b', 'db')))
  await assert.rejects(
    store.update((tx) => tx.update('services', 'b', { spec: { Name: 'Web' } })),
    { code: 'AlreadyExists' },
  )
  await store.update((tx) => tx.update('services', 'a', { spec: { Name: 'Web' } }))
  await store.update((tx) => {
    tx.remove('services', 'a')
    tx.update('services', 'b', { spec: { Name: 'web' } })
  })
  assert.deepEqual(
    store.view.services.by('name', 'web').map(({ id }) => id),
    ['b'],
  )
})

test('1.6 nodes may have the same name', async () => {
  const { store } = open()
  const description = { Hostname: 'twin' }
  await store.update((tx) => {
    for (const id of ['a', 'b']) tx.create('nodes', newObject(aNode({ id, description })))
  })
  assert.equal(store.view.nodes.by('name', 'twin').length, 2)
})

test('what is there cannot be created, what is not cannot be changed', async () => {
  const { store } = open()
  await store.update((tx) => tx.create('services', service('s')))
  await assert.rejects(
    store.update((tx) => tx.create('services', service('s', { spec: { Name: 'x' } }))),
    {
      message: 'rpc error: code = AlreadyExists desc = service s already exists',
    },
  )
  await assert.rejects(
    store.update((tx) => tx.update('services', 'x', {})),
    { code: 'NotFound' },
  )
  await assert.rejects(
    store.update((tx) => tx.remove('services', 'x')),
    { code: 'NotFound' },
  )
})

test('a transaction is over when its callback is, and does not start another one', async () => {
  const { store } = open()
  let kept: Tx | undefined
  await store.update((tx) => void (kept = tx))
  assert.throws(() => kept?.remove('services', 's'), /over/)
  let inner: Promise<unknown> = Promise.resolve()
  await store.update(() => {
    inner = store.update(() => undefined)
  })
  await assert.rejects(inner, /another/)
  await store.update((tx) => tx.create('services', service('s')))
})

test('a new task with the spec object of its service is logged without it, and shares it everywhere', async () => {
  const { store, log } = open()
  await store.update((tx) => {
    tx.create('services', labelled('s', {}))
    const spec = tx.services.get('s')?.spec.TaskTemplate ?? {}
    tx.create('tasks', newObject(aTask({ id: 't', serviceId: 's', spec })))
    tx.create('tasks', newObject(aTask({ id: 'u', serviceId: 's', spec: { ...spec } })))
  })
  const [entry] = log.entries
  const actions = decodeActions(entry?.data ?? new Uint8Array())
  assert.deepEqual(
    actions.map(({ op }) => op),
    ['create', 'create-sharing', 'create'],
  )
  for (const member of [store, follower(log)])
    assert.equal(member.view.tasks.get('t')?.spec, member.view.services.get('s')?.spec.TaskTemplate)
})

test('a spec that changes later in the same transaction does not reach the tasks of before', async () => {
  const { store, log } = open()
  await store.update((tx) => {
    tx.create('services', labelled('s', {}))
    tx.create(
      'tasks',
      newObject(aTask({ id: 't', serviceId: 's', spec: tx.services.get('s')?.spec.TaskTemplate ?? {} })),
    )
    tx.update('services', 's', { spec: { Name: 's', TaskTemplate: { ForceUpdate: 1 } } })
  })
  assert.equal(store.view.tasks.get('t')?.spec.ContainerSpec?.Image, 'i')
  assert.equal(stateHash(follower(log).view), stateHash(store.view))
})

test('leader and follower come to the same state, whatever is written', async () => {
  const seed = 42
  const random = seededRandom(seed)
  const below = (bound: number) => Math.floor(random() * bound)
  const { env, store, log } = open()
  const change = (tx: Tx) => {
    const id = `s${below(20)}`
    const taskId = `t${below(60)}`
    if (tx.services.get(id) === undefined)
      tx.create('services', labelled(id, { '10': 'b', '9': 'a', x: 'ü' }))
    else if (below(8) === 0) tx.remove('services', id)
    else if (below(2) === 0)
      tx.update('services', id, { previousSpecVersion: below(2) === 0 ? undefined : below(9) })
    else tx.update('services', id, { spec: { Name: id, TaskTemplate: { ForceUpdate: below(99) } } })
    if (tx.tasks.get(taskId) !== undefined) tx.remove('tasks', taskId)
    else {
      const spec = tx.services.get(id)?.spec.TaskTemplate ?? {}
      tx.create('tasks', newObject(aTask({ id: taskId, serviceId: id, spec })))
      if (below(2) === 0) tx.update('tasks', taskId, { desiredState: TaskState.Shutdown, nodeId: undefined })
    }
  }
  for (let round = 0; round < 60; round++) {
    env.advance(below(100))
    const writes = Array.from({ length: 1 + below(5) }, () =>
      store.update((tx) => {
        for (let changes = below(4); changes >= 0; changes--) change(tx)
        if (below(5) === 0) throw new Error('undone')
      }),
    )
    await Promise.allSettled(writes)
  }
  const other = follower(log)
  assert.equal(stateHash(other.view), stateHash(store.view), `seed ${seed}`)
  for (const table of tableNames) assert.deepEqual(other.view[table].list(), store.view[table].list())
  const head = await store.update((tx) => stateHash(tx))
  assert.equal(head, stateHash(store.view), 'head and committed objects')
})

test('1.5 watchers hear of each entry in the same turn, with before and after', async () => {
  const { store, log } = open()
  const heard: Commit[] = []
  const unwatch = store.watch((commit) => {
    assert.equal(store.appliedIndex, commit.index)
    heard.push(commit)
  })
  log.held = true
  void store.update((tx) => tx.create('services', service('s')))
  const updated = store.update((tx) => tx.update('services', 's', { specVersion: 1 }))
  log.commit()
  const [first, second] = heard
  assert.deepEqual(
    first?.changes.map(({ before, after }) => [before, after?.version]),
    [[undefined, 1]],
  )
  assert.equal(second?.changes[0]?.before, first?.changes[0]?.after)
  unwatch()
  log.held = false
  await updated
  await store.update((tx) => tx.remove('services', 's'))
  assert.equal(heard.length, 2)
})

test('leadership lost: what is in flight fails as unknown, and transactions build on what is committed', async () => {
  const { store, log } = open()
  await store.update((tx) => tx.create('services', service('s')))
  log.held = true
  const lost = [
    store.update((tx) => tx.update('services', 's', { specVersion: 7 })),
    store.update((tx) => tx.create('services', service('t'))),
    store.update((tx) => tx.remove('services', 's')),
    store.update((tx) => tx.services.size),
  ]
  store.leadershipLost()
  for (const write of lost) await assert.rejects(write, { code: 'Unknown' })
  log.lose()
  log.held = false
  const seen = await store.update((tx) => tx.services.list().map(({ id, specVersion }) => [id, specVersion]))
  assert.deepEqual(seen, [['s', 0]])
})

test('lost entries that are committed after all are applied like those of others', async () => {
  const { store, log } = open()
  log.held = true
  const write = store.update((tx) => tx.create('services', service('s')))
  store.leadershipLost()
  await assert.rejects(write, { code: 'Unknown' })
  log.commit()
  assert.equal(store.view.services.get('s')?.version, 1)
  assert.equal(await store.update((tx) => tx.services.get('s')?.version), 1)
})

test("another leader's entry in the place of one in flight: that one is lost", async () => {
  const { env, store, log } = open()
  log.held = true
  const write = store.update((tx) => tx.create('services', service('mine')))
  log.lose()
  const object = { ...service('theirs'), createdAtMs: env.nowMs(), updatedAtMs: env.nowMs() }
  log.receive(encodeActions([{ op: 'create', table: 'services', object }]))
  await assert.rejects(write, { code: 'Unknown' })
  assert.deepEqual(
    store.view.services.list().map(({ id }) => id),
    ['theirs'],
  )
  assert.deepEqual(await store.update((tx) => tx.services.list().map(({ id }) => id)), ['theirs'])
})

test('an empty entry moves the index and disturbs nothing in flight', async () => {
  const { store, log } = open()
  log.held = true
  log.receive(new Uint8Array())
  const write = store.update((tx) => tx.create('services', service('s')))
  log.commit()
  assert.equal((await write).version, 2)
})

test('an entry that does not fit the state stops the process', () => {
  const { store } = open()
  assert.throws(() => store.apply(1, encodeActions([{ op: 'remove', table: 'services', id: 's' }])))
  store.apply(2, new Uint8Array())
  assert.throws(() => store.apply(2, new Uint8Array()), /already applied/)
})

test('1.5 restore replaces everything, and watchers hear of the difference', async () => {
  const source = open()
  await source.store.update((tx) => {
    for (const id of ['same', 'changed', 'new']) tx.create('services', service(id))
  })
  const { store } = open()
  for (const { index, data } of source.log.entries) store.apply(index, data)
  await source.store.update((tx) => tx.update('services', 'changed', { specVersion: 5 }))
  const { store: laggard, log } = open()
  await laggard.update((tx) => {
    tx.create('services', service('same'))
    tx.create('services', service('changed'))
    tx.create('services', service('gone'))
  })
  log.held = true
  const inFlight = laggard.update((tx) => tx.remove('services', 'same'))
  const heard: Commit[] = []
  laggard.watch((commit) => heard.push(commit))
  const objects = source.store.view.services.list().map((object) => ({ table: 'services', object }) as const)
  laggard.restore(10, objects)
  await assert.rejects(inFlight, { code: 'Unknown' })
  assert.equal(stateHash(laggard.view), stateHash(source.store.view))
  assert.equal(laggard.appliedIndex, 10)
  assert.deepEqual(
    heard[0]?.changes.map(({ id, before, after }) => [id, before?.version, after?.version]),
    [
      ['changed', 1, 2],
      ['new', undefined, 1],
      ['gone', 1, undefined],
    ],
  )
  assert.equal(await laggard.update((tx) => stateHash(tx)), stateHash(source.store.view))
})

test('a store that nothing was written to still resolves reads', async () => {
  assert.equal(await new Store(new SimulatedEnv(), { propose: () => assert.fail() }).update(() => 7), 7)
})
