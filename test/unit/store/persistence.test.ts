import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { DatabaseThread, Sealer } from '../../../src/db/index.js'
import { readRowState, type ObjectDatabase } from '../../../src/store/object-rows.js'
import {
  encodeSnapshot,
  loadObjects,
  ObjectPersistence,
  objectSchema,
} from '../../../src/store/persistence.js'
import { stateHash } from '../../../src/store/state-hash.js'
import type { Store, Tx } from '../../../src/store/store.js'
import { aService, aTask, newObject } from '../../lib/builders.js'
import { eventually } from '../../lib/eventually.js'
import { memoryStore, type MemoryLog } from '../../lib/memory-log.js'
import { seededRandom, SimulatedEnv } from '../../lib/simulated-env.js'

const sealer = Sealer.of(new Uint8Array(32).fill(7))

/** A database whose disk can be made to refuse: after so many more writes. */
class FragileDatabase implements ObjectDatabase {
  readonly #db: DatabaseThread
  writesLeft = Infinity

  constructor(db: DatabaseThread) {
    this.#db = db
  }

  read(...args: Parameters<DatabaseThread['read']>) {
    return this.#db.read(...args)
  }

  write(...args: Parameters<DatabaseThread['write']>) {
    if (this.writesLeft-- > 0) return this.#db.write(...args)
    return Promise.reject(new Error('the disk is full'))
  }
}

async function openDatabase(t: TestContext) {
  const directory = await mkdtemp(join(tmpdir(), 'skep-persistence-'))
  const path = join(directory, 'test.db')
  const thread = await DatabaseThread.open(path, { schema: objectSchema })
  t.after(async () => {
    await thread.close()
    await rm(directory, { recursive: true, force: true })
  })
  return { path, thread, db: new FragileDatabase(thread) }
}

/** A process that works on the database until it is killed: read what is there, apply the log's tail, go on. */
async function openMember(db: ObjectDatabase, entries: MemoryLog['entries'] = []) {
  const env = new SimulatedEnv()
  const { store, log } = memoryStore(env)
  const { appliedIndex, objects } = await loadObjects(db, sealer)
  log.entries.push(...entries)
  if (appliedIndex > 0) store.restore(appliedIndex, objects)
  const persisted: number[] = []
  const persistence = new ObjectPersistence(env, db, sealer, store, (index) => persisted.push(index))
  for (const { index, data } of entries) if (index > appliedIndex) store.apply(index, data)
  return { env, store, log, persistence, persisted, loadedIndex: appliedIndex }
}

const createServices = (store: Store, ...ids: string[]) =>
  store.update((tx) => {
    for (const id of ids) tx.create('services', newObject(aService({ id })))
  })

async function createMany(store: Store, prefix: string, count: number): Promise<void> {
  const ids = Array.from({ length: count }, (_, at) => `${prefix}${at}`)
  for (let at = 0; at < count; at += 200) await createServices(store, ...ids.slice(at, at + 200))
}

const rowCount = async (thread: DatabaseThread) =>
  (await thread.read('SELECT count(*) AS count FROM stored_objects'))[0]?.['count']

test('a restart finds the objects as of the index that was written', async (t) => {
  const { db } = await openDatabase(t)
  const first = await openMember(db)
  await createServices(first.store, 'a', 'b')
  await first.store.update((tx) => tx.remove('services', 'a'))
  await first.persistence.stop()
  assert.deepEqual(first.persisted, [2])
  const second = await openMember(db)
  assert.equal(second.loadedIndex, 2)
  assert.equal(stateHash(second.store.view), stateHash(first.store.view))
})

test('objects are ciphertext on disk', async (t) => {
  const { path, thread, db } = await openDatabase(t)
  const { store, persistence } = await openMember(db)
  await store.update((tx) => tx.create('secrets', { id: 'x', spec: { Name: 'n', Data: 'ZmluZC1tZQ==' } }))
  await persistence.stop()
  await thread.close()
  assert.equal((await readFile(path)).includes('ZmluZC1tZQ'), false)
})

test('a row that was moved or changed does not open', async (t) => {
  const { thread, db } = await openDatabase(t)
  const { store, persistence } = await openMember(db)
  await createServices(store, 'a', 'b')
  await persistence.stop()
  await thread.write([{ sql: "UPDATE stored_objects SET id = 'c' WHERE id = 'a'", params: [] }])
  await assert.rejects(loadObjects(db, sealer), { name: 'SealError' })
})

test('changes are written after a while, those of one object once', async (t) => {
  const { thread, db } = await openDatabase(t)
  const { env, store, persisted } = await openMember(db)
  await createServices(store, 'a')
  for (let version = 0; version < 10; version++)
    await store.update((tx) => tx.update('services', 'a', { specVersion: version }))
  env.advance(999)
  assert.equal(await rowCount(thread), 0)
  env.advance(1)
  await eventually('the flush', () => persisted.length === 1)
  assert.deepEqual(persisted, [11])
  assert.equal(await rowCount(thread), 1)
})

test('a large flush leaves one row per object and none for those that are gone', async (t) => {
  const { thread, db } = await openDatabase(t)
  const { store, persistence } = await openMember(db)
  await createMany(store, 's', 1200)
  await persistence.flush()
  assert.equal(await rowCount(thread), 1200)
  for (let at = 0; at < 1200; at += 200)
    await store.update((tx) => {
      for (let id = at; id < at + 200; id++) {
        if (id < 600) tx.remove('services', `s${id}`)
        else tx.update('services', `s${id}`, { specVersion: 1 })
      }
    })
  await persistence.flush()
  assert.equal(await rowCount(thread), 600)
  const { store: again } = await openMember(db)
  assert.equal(stateHash(again.view), stateHash(store.view))
})

test('a large flush that breaks off at any write does not count, and the next one makes up for it', async (t) => {
  const { thread, db } = await openDatabase(t)
  const first = await openMember(db)
  await createMany(first.store, 'old', 700)
  await first.persistence.flush()
  const before = stateHash(first.store.view)
  await first.store.update((tx) => {
    for (let at = 0; at < 200; at++) tx.remove('services', `old${at}`)
  })
  await createMany(first.store, 'new', 600)
  for (const writes of [0, 1, 2]) {
    db.writesLeft = writes
    await assert.rejects(first.persistence.flush(), /disk is full/)
    db.writesLeft = Infinity
    const { objects } = await loadObjects(thread, sealer)
    const { store } = memoryStore(new SimulatedEnv())
    store.restore(1, objects)
    assert.equal(stateHash(store.view), before, `after ${writes} writes`)
  }
  await first.persistence.flush()
  const second = await openMember(db)
  assert.equal(stateHash(second.store.view), stateHash(first.store.view))
  assert.equal(await rowCount(thread), 1100)
})

test('rows that a crash left half written are gone after the next start', async (t) => {
  const { thread, db } = await openDatabase(t)
  const first = await openMember(db)
  await createMany(first.store, 's', 1100)
  db.writesLeft = 2
  await assert.rejects(first.persistence.flush())
  db.writesLeft = Infinity
  assert.equal(await rowCount(thread), 500)
  const second = await openMember(db, first.log.entries)
  assert.equal(await rowCount(thread), 0)
  assert.equal(second.loadedIndex, 0)
  await second.persistence.flush()
  assert.equal(stateHash((await openMember(db)).store.view), stateHash(first.store.view))
})

test('tasks share their spec with their service after a restart', async (t) => {
  const { db } = await openDatabase(t)
  const { store, persistence } = await openMember(db)
  await store.update((tx) => {
    tx.create('services', newObject(aService({ id: 's' })))
    const spec = tx.services.get('s')?.spec.TaskTemplate ?? {}
    for (const id of ['t', 'u']) tx.create('tasks', newObject(aTask({ id, serviceId: 's', spec })))
  })
  await persistence.stop()
  const { view } = (await openMember(db)).store
  assert.equal(view.tasks.get('t')?.spec, view.services.get('s')?.spec.TaskTemplate)
  assert.equal(view.tasks.get('u')?.spec, view.tasks.get('t')?.spec)
})

test('a spec is on disk once for all its tasks, and goes some time after the last of them', async (t) => {
  const { thread, db } = await openDatabase(t)
  const { store, persistence } = await openMember(db)
  const specCount = async () =>
    (await thread.read("SELECT count(*) AS count FROM stored_objects WHERE kind = 'specs'"))[0]?.['count']
  const shared = { ForceUpdate: 1 }
  await store.update((tx) => {
    for (const id of ['a', 'b', 'c']) tx.create('tasks', newObject(aTask({ id, spec: shared })))
  })
  await persistence.flush()
  assert.equal(await specCount(), 1)
  for (let at = 0; at < 1000; at += 200) {
    await store.update((tx) => {
      for (let id = at; id < at + 200; id++)
        tx.create('tasks', newObject(aTask({ id: `t${id}`, spec: { ForceUpdate: id } })))
      for (const { id } of tx.tasks.byIdPrefix('t')) if (Number(id.slice(1)) % 2 === 0) tx.remove('tasks', id)
    })
    await persistence.flush()
  }
  assert.equal(await specCount(), 501)
  // A spec whose row is gone gets one again.
  await store.update((tx) => {
    for (const id of ['a', 'b', 'c']) tx.remove('tasks', id)
    for (let id = 1000; id < 2000; id++)
      tx.create('tasks', newObject(aTask({ id: `t${id}`, spec: { ForceUpdate: id } })))
  })
  await persistence.flush()
  await store.update((tx) => tx.create('tasks', newObject(aTask({ id: 'a', spec: shared }))))
  await persistence.flush()
  assert.equal(stateHash((await openMember(db)).store.view), stateHash(store.view))
})

test('a staged snapshot counts once it is installed: in memory, on disk, and after a restart', async (t) => {
  const { thread, db } = await openDatabase(t)
  const leader = memoryStore(new SimulatedEnv())
  await createMany(leader.store, 's', 1100)
  await leader.store.update((tx) => tx.update('services', 's1', { specVersion: 1 }))
  const laggard = await openMember(db)
  await createServices(laggard.store, 's1', 'gone')
  await laggard.persistence.flush()
  await createServices(laggard.store, 'unwritten')
  const staged = await laggard.persistence.stage(50, encodeSnapshot(leader.store.view))
  assert.equal(laggard.store.view.services.size, 3)
  assert.equal((await readRowState(thread)).appliedIndex, 1)
  await staged.install()
  assert.equal(laggard.store.appliedIndex, 50)
  assert.equal(stateHash(laggard.store.view), stateHash(leader.store.view))
  assert.deepEqual(laggard.persisted, [1, 50])
  const restarted = await openMember(db)
  assert.equal(restarted.loadedIndex, 50)
  assert.equal(stateHash(restarted.store.view), stateHash(leader.store.view))
  await eventually('the old rows to go', async () => (await rowCount(thread)) === 1100)
  laggard.store.apply(51, new Uint8Array())
  await laggard.persistence.flush()
  assert.equal((await openMember(db)).loadedIndex, 51)
})

test('a discarded snapshot leaves nothing, and what was changed meanwhile is written', async (t) => {
  const { thread, db } = await openDatabase(t)
  const leader = memoryStore(new SimulatedEnv())
  await createServices(leader.store, 'theirs')
  const { store, persistence } = await openMember(db)
  await createServices(store, 'mine')
  const staged = await persistence.stage(50, encodeSnapshot(leader.store.view))
  const flushed = persistence.flush()
  staged.discard()
  staged.discard()
  await flushed
  assert.equal(await rowCount(thread), 1)
  assert.equal(stateHash((await openMember(db)).store.view), stateHash(store.view))
  await assert.rejects(staged.install(), /already/)
})

test('a snapshot that is cut off, or whose sender hangs while the manager stops, leaves nothing', async (t) => {
  const { thread, db } = await openDatabase(t)
  const leader = memoryStore(new SimulatedEnv())
  await createMany(leader.store, 's', 1100)
  const { store, persistence } = await openMember(db)
  await createServices(store, 'mine')
  const pieces: Uint8Array[] = []
  for await (const piece of encodeSnapshot(leader.store.view)) pieces.push(piece)
  async function* cutOff() {
    yield* pieces.slice(0, -1)
  }
  await assert.rejects(persistence.stage(50, cutOff()), /snapshot/)
  async function* hanging() {
    yield* pieces.slice(0, -1)
    await new Promise(() => undefined)
  }
  const staging = assert.rejects(persistence.stage(50, hanging()), /stopping/)
  await eventually('rows of the snapshot', async () => Number(await rowCount(thread)) > 0)
  await persistence.stop()
  await staging
  assert.equal(await rowCount(thread), 1)
  assert.equal(stateHash((await openMember(db)).store.view), stateHash(store.view))
})

test('killed at any moment, a member comes back to the state that the log describes', async (t) => {
  const seed = 7
  const random = seededRandom(seed)
  const below = (bound: number) => Math.floor(random() * bound)
  const { db } = await openDatabase(t)
  let member = await openMember(db)
  const change = (tx: Tx) => {
    const id = `s${below(900)}`
    const service = tx.services.get(id)
    if (service === undefined) tx.create('services', newObject(aService({ id })))
    else if (below(3) === 0) tx.remove('services', id)
    else tx.update('services', id, { spec: { Name: id, TaskTemplate: { ForceUpdate: below(1000) } } })
    const taskId = `t${below(300)}`
    const spec = below(2) === 0 ? { ForceUpdate: below(9) } : (service?.spec.TaskTemplate ?? {})
    if (tx.tasks.get(taskId) === undefined) tx.create('tasks', newObject(aTask({ id: taskId, spec })))
    else if (below(3) === 0) tx.remove('tasks', taskId)
    else tx.update('tasks', taskId, { slot: below(9) })
  }
  for (let life = 0; life < 25; life++) {
    for (let round = below(4); round >= 0; round--) {
      for (let writes = below(6); writes >= 0; writes--)
        await member.store.update((tx) => {
          for (let changes = below(180); changes >= 0; changes--) change(tx)
        })
      db.writesLeft = below(3) === 0 ? below(9) : Infinity
      await member.persistence.flush().catch((error: unknown) => assert.match(String(error), /full/))
    }
    const { store, log } = member
    db.writesLeft = Infinity
    member = await openMember(db, log.entries)
    assert.equal(stateHash(member.store.view), stateHash(store.view), `seed ${seed}, life ${life}`)
  }
})
