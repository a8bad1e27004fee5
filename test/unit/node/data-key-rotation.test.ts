import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { createUnlockKey, KeyReadWriter } from '../../../src/ca/index.js'
import { blobColumn, DatabaseThread, reseal, Sealer, type SealedColumn } from '../../../src/db/index.js'
import { DataKeyRotation, dataSealer } from '../../../src/node/data-key-rotation.js'
import { eventually } from '../../lib/eventually.js'
import { SimulatedEnv } from '../../lib/simulated-env.js'
import { newNode, newRoot } from '../ca/helpers.js'

const env = new SimulatedEnv(5)
const notes: SealedColumn = {
  table: 'notes',
  column: 'data',
  key: ['kind', 'id'],
  context: ({ kind, id }) => `${String(kind)}/${String(id)}`,
}

async function open(t: TestContext, folder: string): Promise<DatabaseThread> {
  const db = await DatabaseThread.open(join(folder, 'notes.db'), {
    schema: [
      'CREATE TABLE IF NOT EXISTS notes (kind TEXT, id INTEGER, data BLOB, PRIMARY KEY (kind, id)) WITHOUT ROWID',
    ],
  })
  t.after(() => db.close())
  return db
}

const textOf = (kind: string, id: number) => `note ${id} of ${kind}`

async function write(db: DatabaseThread, sealer: Sealer, kind: string, count: number): Promise<void> {
  await db.write(
    Array.from({ length: count }, (_, id) => ({
      sql: 'INSERT INTO notes VALUES (?, ?, ?)',
      params: [kind, id, sealer.seal(Buffer.from(textOf(kind, id)), `${kind}/${id}`)],
    })),
  )
}

/** Opens every row, and says with which keys they are sealed. */
async function keyIds(db: DatabaseThread, sealer: Sealer): Promise<readonly number[]> {
  const rows = await db.read('SELECT * FROM notes WHERE data IS NOT NULL')
  const ids = rows.map((row) => {
    const sealed = blobColumn(row, 'data')
    const text = Buffer.from(sealer.open(sealed, notes.context(row))).toString()
    assert.equal(text, textOf(String(row['kind']), Number(row['id'])))
    return sealed[0] ?? 0
  })
  return [...new Set(ids)].sort((a, b) => a - b)
}

async function newFolder(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'skep-data-key-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const keys = await KeyReadWriter.create(join(folder, 'certificates'), newNode(env, newRoot(env)))
  const dataKey = await keys.createDataKey(env)
  return { folder, keys, dataKey, sealer: dataSealer(dataKey, undefined), db: await open(t, folder) }
}

const store = (db: DatabaseThread, sealer: Sealer) => ({
  reseal: (signal: AbortSignal) => reseal(db, sealer, notes, signal),
})

test('everything is sealed again, page by page, also what is written meanwhile', async (t) => {
  const { db, sealer } = await newFolder(t)
  await write(db, sealer, 'a', 450)
  await db.write([{ sql: 'INSERT INTO notes VALUES (?, ?, NULL)', params: ['a', 1000] }])
  const late = write(db, sealer, 'b', 10)
  sealer.rotateTo(9, Buffer.alloc(32, 9))
  const done = reseal(db, sealer, notes, AbortSignal.timeout(60_000))
  await write(db, sealer, 'c', 10)
  await Promise.all([late, done])
  assert.deepEqual(await keyIds(db, sealer), [9])
  sealer.forgetFormer()
  assert.deepEqual(await keyIds(db, sealer), [9])
})

test('locking the key file for the first time replaces the data key', async (t) => {
  const { folder, keys, dataKey, sealer, db } = await newFolder(t)
  await write(db, sealer, 'a', 30)
  const rotation = new DataKeyRotation(env, keys, sealer, [store(db, sealer)])
  const unlockKey = createUnlockKey(env)
  assert.equal(await keys.setUnlockKey(unlockKey, 7), 'locked')
  await eventually('the new data key', () => keys.pendingDataKey === undefined && keys.dataKey?.id === 2)
  assert.deepEqual(await keyIds(db, sealer), [2])
  assert.throws(() => Sealer.of(dataKey.key, dataKey.id).open(sealer.seal(Buffer.from('x'))))

  // Another unlock key, and none, change nothing: the data key was never on disk in clear.
  const second = keys.dataKey
  assert.equal(await keys.setUnlockKey(createUnlockKey(env), 8), 'changed')
  assert.equal(await keys.setUnlockKey(undefined, 9), 'changed')
  await rotation.stop()
  assert.deepEqual(keys.dataKey, second)
  assert.ok(!readFileSync(join(folder, 'certificates/swarm-node.key'), 'utf8').includes('pending'))
})

test('a rotation that the end of the process broke off goes on at the next start', async (t) => {
  const { keys, sealer, db } = await newFolder(t)
  await write(db, sealer, 'a', 300)
  const stuck = { reseal: () => Promise.reject(new Error('the process ends')) }
  const first = new DataKeyRotation(env, keys, sealer, [stuck])
  await keys.setUnlockKey(createUnlockKey(env), 7)
  await eventually('the rotation to begin', () => keys.pendingDataKey?.id === 2)
  await write(db, sealer, 'b', 20)
  await first.stop()
  assert.deepEqual(await keyIds(db, sealer), [1, 2])

  const { dataKey, pendingDataKey } = keys
  assert.ok(dataKey && pendingDataKey)
  const again = dataSealer(dataKey, pendingDataKey)
  assert.equal(again.currentKeyId, 2)
  const second = new DataKeyRotation(env, keys, again, [store(db, again)])
  await eventually('the rotation to end', () => keys.pendingDataKey === undefined)
  await second.stop()
  assert.deepEqual(await keyIds(db, again), [2])
  assert.equal(keys.dataKey?.id, 2)
})

test('one that had not begun when the process ended begins at the next start', async (t) => {
  const { keys, sealer, db } = await newFolder(t)
  await write(db, sealer, 'a', 10)
  await keys.setUnlockKey(createUnlockKey(env), 7)
  assert.equal(keys.dataKey?.id, 1)
  const rotation = new DataKeyRotation(env, keys, sealer, [store(db, sealer)])
  await eventually('the new data key', () => keys.pendingDataKey === undefined && keys.dataKey?.id === 2)
  await rotation.stop()
  assert.deepEqual(await keyIds(db, sealer), [2])
})
