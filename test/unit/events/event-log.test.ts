import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { DatabaseThread, Sealer } from '../../../src/db/index.js'
import { EventLog, eventSchema, type EventQuery } from '../../../src/events/event-log.js'
import { loadObjects, ObjectPersistence, objectSchema } from '../../../src/store/persistence.js'
import type { Store } from '../../../src/store/store.js'
import { aService, aTask, newObject } from '../../lib/builders.js'
import { memoryStore, type MemoryLog } from '../../lib/memory-log.js'
import { SimulatedEnv } from '../../lib/simulated-env.js'

const everything: EventQuery = { since: undefined, until: undefined, tasks: true }

async function openDatabase(t: TestContext): Promise<DatabaseThread> {
  const directory = await mkdtemp(join(tmpdir(), 'skep-events-'))
  const db = await DatabaseThread.open(join(directory, 'test.db'), {
    schema: [...objectSchema, ...eventSchema],
  })
  t.after(async () => {
    await db.close()
    await rm(directory, { recursive: true, force: true })
  })
  return db
}

/** A manager's process: reads what is there, applies the log's tail, goes on. */
async function openMember(db: DatabaseThread, sealer: Sealer, entries: MemoryLog['entries'] = []) {
  const env = new SimulatedEnv()
  const { store, log } = memoryStore(env)
  const { appliedIndex, objects } = await loadObjects(db, sealer)
  log.entries.push(...entries)
  if (appliedIndex > 0) store.restore(appliedIndex, objects)
  const events = await EventLog.open(env, db, sealer)
  store.watch((commit) => events.onCommit(commit))
  const persistence = new ObjectPersistence(env, db, sealer, store, () => undefined, events)
  for (const { index, data } of entries) if (index > appliedIndex) store.apply(index, data)
  const told = async (query = everything) =>
    (await events.range(query)).map(({ type, action, id }) => `${type} ${action} ${id}`)
  return { env, store, log, events, persistence, told }
}

const create = (store: Store, id: string) =>
  store.update((tx) => tx.create('services', newObject(aService({ id }))))

test('a restart neither loses nor repeats an event, wherever the process ended', async (t) => {
  const db = await openDatabase(t)
  const sealer = Sealer.of(new Uint8Array(32).fill(7))
  const first = await openMember(db, sealer)
  await create(first.store, 's1')
  await create(first.store, 's2')
  await first.persistence.flush()
  await first.store.update((tx) => tx.remove('services', 's1'))
  await create(first.store, 's3')
  const all = ['service create s1', 'service create s2', 'service remove s1', 'service create s3']
  assert.deepEqual(await first.told(), all)
  // Killed: the last two are only in the log.
  const second = await openMember(db, sealer, first.log.entries)
  assert.deepEqual(await second.told(), all)
  await second.persistence.stop()
  const third = await openMember(db, sealer, second.log.entries)
  assert.deepEqual(await third.told(), all)
})

test('events that are on their way to the disk are told once', async (t) => {
  const sealer = Sealer.of(new Uint8Array(32).fill(7))
  const { store, events, persistence, told } = await openMember(await openDatabase(t), sealer)
  await create(store, 's1')
  const { ops } = events.take()
  assert.equal(ops.length, 1)
  assert.deepEqual(await told(), ['service create s1'])
  const flushed = persistence.flush()
  const asked = told()
  await create(store, 's2')
  await flushed
  assert.deepEqual(await asked, ['service create s1'])
  assert.deepEqual(await told(), ['service create s1', 'service create s2'])
})

test('the oldest events go, and tasks do not crowd out the rest', async (t) => {
  const sealer = Sealer.of(new Uint8Array(32).fill(7))
  const db = await openDatabase(t)
  const { env, store, log, persistence, told } = await openMember(db, sealer)
  await create(store, 's0')
  for (let round = 0; round < 12; round++) {
    env.advance(1000)
    await store.update((tx) => {
      for (let at = 0; at < 1000; at++)
        tx.create('tasks', newObject(aTask({ id: `t${round * 1000 + at}`, serviceId: 's0' })))
    })
    await persistence.flush()
  }
  const all = await told()
  assert.equal(all.length, 10_001)
  assert.deepEqual(all.slice(0, 2), ['service create s0', 'task create t2000'])
  assert.deepEqual(await told({ ...everything, tasks: false }), ['service create s0'])
  const afterRestart = await openMember(db, sealer, log.entries)
  await create(afterRestart.store, 's1')
  await afterRestart.persistence.flush()
  assert.equal((await afterRestart.told()).length, 10_002)
})

test('a range of time has both of its ends', async (t) => {
  const sealer = Sealer.of(new Uint8Array(32).fill(7))
  const { env, store, persistence, told } = await openMember(await openDatabase(t), sealer)
  const startMs = env.nowMs()
  for (const id of ['s1', 's2', 's3', 's4']) {
    await create(store, id)
    if (id === 's2') await persistence.flush()
    env.advance(1000)
  }
  const ns = (seconds: number) => BigInt(startMs + seconds * 1000) * 1_000_000n
  assert.deepEqual(await told({ since: ns(1), until: ns(2), tasks: false }), [
    'service create s2',
    'service create s3',
  ])
})

test('nothing is readable on disk, and a new data key seals all of it', async (t) => {
  const db = await openDatabase(t)
  const sealer = Sealer.of(new Uint8Array(32).fill(7))
  const { store, persistence, told } = await openMember(db, sealer)
  await create(store, 'verysecretname')
  await persistence.flush()
  const rows = await db.read('SELECT data FROM events')
  assert.ok(rows.every(({ data }) => !Buffer.from(data as Uint8Array).includes('verysecretname')))
  sealer.rotateTo(2, new Uint8Array(32).fill(8))
  await persistence.reseal(new AbortController().signal)
  sealer.forgetFormer()
  assert.deepEqual(await told(), ['service create verysecretname'])
})
