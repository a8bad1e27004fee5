import assert from 'node:assert/strict'
import { copyFileSync, openSync, closeSync, statSync, writeSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { DatabaseThread, Sealer } from '../../src/db/index.js'
import { raftLogSchema, SqliteLog } from '../../src/raft/index.js'
import { loadObjects, ObjectPersistence, objectSchema } from '../../src/store/persistence.js'
import { aService, newObject } from '../lib/builders.js'
import { memoryStore } from '../lib/memory-log.js'
import { seededRandom, SimulatedEnv } from '../lib/simulated-env.js'

const sealer = Sealer.of(new Uint8Array(32).fill(7))
const schema = [...raftLogSchema, ...objectSchema]
const pageBytes = 4096
const entryCount = 120

const entry = (index: number) => ({
  index,
  term: 1,
  kind: 'data' as const,
  data: Buffer.alloc(index % 40 === 0 ? 9000 : 200, index),
})

/** Writes a log and objects as a manager has them. */
async function fill(path: string): Promise<void> {
  const db = await DatabaseThread.open(path, { schema })
  const log = new SqliteLog(db, sealer)
  await log.load()
  const hardState = { term: 1, votedFor: 'a', commit: entryCount }
  for (let index = 1; index <= entryCount; index++) await log.save({ hardState, entries: [entry(index)] })
  const env = new SimulatedEnv()
  const { store } = memoryStore(env)
  const persistence = new ObjectPersistence(env, db, sealer, store, () => undefined)
  for (let at = 0; at < 60; at++) {
    await store.update((tx) => void tx.create('services', newObject(aService({ id: `service-${at}` }))))
    if (at % 20 === 19) await persistence.flush()
  }
  await persistence.stop()
  await db.close()
}

/** All that a manager reads when it starts. */
async function read(path: string) {
  const db = await DatabaseThread.open(path, { schema })
  try {
    return { objects: await loadObjects(db, sealer), log: await new SqliteLog(db, sealer).load() }
  } finally {
    await db.close()
  }
}

/** More entries, as the leader would send them. */
async function goOn(path: string): Promise<void> {
  const db = await DatabaseThread.open(path, { schema })
  try {
    const log = new SqliteLog(db, sealer)
    await log.load()
    const commit = entryCount + 20
    const entries = Array.from({ length: 20 }, (_, at) => entry(entryCount + 1 + at))
    await log.save({ hardState: { term: 1, votedFor: 'a', commit }, entries })
  } finally {
    await db.close()
  }
}

const outcomeOf = <T>(work: Promise<T>): Promise<T | Error> =>
  work.catch((error: unknown) => {
    assert.ok(error instanceof Error)
    return error
  })

test('a database with a page of garbage, whichever, is refused or gives what was written', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'skep-damaged-'))
  t.after(() => rm(directory, { recursive: true, force: true }))
  const good = join(directory, 'good.db')
  const longer = join(directory, 'longer.db')
  const damaged = join(directory, 'damaged.db')
  await fill(good)
  const written = await read(good)
  copyFileSync(good, longer)
  await goOn(longer)
  const writtenLater = await read(longer)
  const pages = statSync(good).size / pageBytes
  assert.ok(pages > 20)
  const random = seededRandom(1)
  let refused = 0
  for (let page = 0; page < pages; page++) {
    for (const isZero of [true, false]) {
      const garbage = Buffer.from(
        Array.from({ length: pageBytes }, () => (isZero ? 0 : Math.floor(random() * 256))),
      )
      copyFileSync(good, damaged)
      const file = openSync(damaged, 'r+')
      writeSync(file, garbage, 0, pageBytes, page * pageBytes)
      closeSync(file)
      const what = `page ${page} of ${pages}, ${isZero ? 'zeros' : 'garbage'}`
      const first = await outcomeOf(read(damaged))
      if (first instanceof Error) {
        refused++
        continue
      }
      // It may be a page that nothing needs: then what is written later must be right, too.
      assert.deepEqual(first, written, what)
      if ((await outcomeOf(goOn(damaged))) instanceof Error) continue
      const later = await outcomeOf(read(damaged))
      if (!(later instanceof Error)) assert.deepEqual(later, writtenLater, what)
    }
  }
  assert.ok(refused > pages, `${refused} of ${2 * pages} were refused`)
})
