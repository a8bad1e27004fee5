import assert from 'node:assert/strict'
import { closeSync, mkdtempSync, openSync, rmSync, statSync, writeFileSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { DatabaseError, DatabaseThread } from '../../../src/db/index.js'

const TABLE = 'CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, body BLOB, name TEXT)'
const INSERT = 'INSERT INTO t (id, body, name) VALUES (?, ?, ?)'

function temporaryPath(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'skep-db-'))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  return join(directory, 'test.db')
}

async function open(t: TestContext, schema: readonly string[] = [TABLE]): Promise<DatabaseThread> {
  const db = await DatabaseThread.open(temporaryPath(t), { schema })
  t.after(() => db.close())
  return db
}

function row(id: number, body = Buffer.from(`body ${id}`), name = `row ${id}`) {
  return { sql: INSERT, params: [id, body, name] }
}

async function count(db: DatabaseThread): Promise<unknown> {
  const rows = await db.read('SELECT count(*) AS n FROM t')
  return rows[0]?.['n']
}

test('what was written is there after a reopen, values of every type', async (t) => {
  const path = temporaryPath(t)
  const first = await DatabaseThread.open(path, { schema: [TABLE] })
  await first.write([row(1), { sql: INSERT, params: [2, null, null] }, row(3, Buffer.alloc(0), 'ü')])
  await first.close()
  const second = await DatabaseThread.open(path, { schema: [TABLE] })
  t.after(() => second.close())
  const rows = await second.read('SELECT * FROM t WHERE id >= ? ORDER BY id', [1])
  assert.deepEqual(rows, [
    { id: 1, body: new Uint8Array(Buffer.from('body 1')), name: 'row 1' },
    { id: 2, body: null, name: null },
    { id: 3, body: new Uint8Array(0), name: 'ü' },
  ])
  assert.equal(statSync(path).mode & 0o777, 0o600)
})

test('a write is atomic, and its failure does not touch the others of its group', async (t) => {
  const db = await open(t)
  const results = await Promise.allSettled([
    db.write([row(1)]),
    db.write([row(2), row(1)]),
    db.write([row(3)]),
    db.write([{ sql: 'INSERT INTO nowhere VALUES (1)', params: [] }]),
  ])
  assert.deepEqual(
    results.map((result) => result.status),
    ['fulfilled', 'rejected', 'fulfilled', 'rejected'],
  )
  const reason: unknown = results[1]?.status === 'rejected' ? results[1].reason : undefined
  assert.ok(reason instanceof DatabaseError)
  assert.equal(reason.code, 'SQLITE_CONSTRAINT_PRIMARYKEY')
  assert.ok(reason.message.includes(db.path))
  assert.deepEqual(
    (await db.read('SELECT id FROM t ORDER BY id')).map((r) => r['id']),
    [1, 3],
  )
})

test('writes are stored in the order of their calls, many in one group', async (t) => {
  const db = await open(t)
  const resolved: number[] = []
  await Promise.all(
    Array.from({ length: 3000 }, (_, id) =>
      db.write([row(id, Buffer.alloc(2000))]).then(() => resolved.push(id)),
    ),
  )
  assert.deepEqual(
    resolved,
    Array.from({ length: 3000 }, (_, id) => id),
  )
  assert.equal(await count(db), 3000)
})

test('a full disk rejects with the name of the file, and writes work again when there is room', async (t) => {
  const db = await open(t, [TABLE, 'PRAGMA max_page_count = 20'])
  await db.write([row(1)])
  const results = await Promise.allSettled([
    db.write([row(2, Buffer.alloc(200_000))]),
    db.write([row(3, Buffer.alloc(300_000))]),
  ])
  for (const result of results) {
    assert.ok(result.status === 'rejected' && result.reason instanceof DatabaseError)
    assert.equal(result.reason.code, 'SQLITE_FULL')
    assert.ok(result.reason.message.includes(db.path))
  }
  assert.equal(await count(db), 1)
  await db.write([row(4)])
  assert.equal(await count(db), 2)
})

test('after a failure of a chain its later writes fail too, in the same group and after', async (t) => {
  const db = await open(t)
  const chain = { chain: 'log' }
  const results = await Promise.allSettled([
    db.write([row(1)], chain),
    db.write([row(1)], chain),
    db.write([row(2)], chain),
    db.write([row(3)]),
    db.write([row(4)], { chain: 'other' }),
  ])
  const outcome = results.map((result) => result.status === 'fulfilled')
  assert.deepEqual(outcome, [true, false, false, true, true])
  await assert.rejects(db.write([row(5)], chain), { code: 'SQLITE_CONSTRAINT_PRIMARYKEY' })
  await db.write([row(6)], { chain: 'other' })
  assert.equal(await count(db), 4)
})

test('a file that is no database is refused by name', async (t) => {
  const path = temporaryPath(t)
  writeFileSync(path, 'no database, but long enough to look at: '.repeat(100))
  await assert.rejects(DatabaseThread.open(path, { schema: [TABLE] }), (error) => {
    assert.ok(error instanceof DatabaseError)
    assert.equal(error.code, 'SQLITE_NOTADB')
    assert.ok(error.message.includes(path))
    return true
  })
})

test('a directory that does not exist is refused by name', async () => {
  await assert.rejects(
    DatabaseThread.open('/nonexistent/dir/x.db', { schema: [] }),
    /\/nonexistent\/dir\/x\.db/,
  )
})

test('a damaged page fails the reads and writes that need it, with the name of the file', async (t) => {
  const path = temporaryPath(t)
  const first = await DatabaseThread.open(path, { schema: [TABLE] })
  await Promise.all(Array.from({ length: 200 }, (_, id) => first.write([row(id, Buffer.alloc(500))])))
  await first.close()
  const lastPage = statSync(path).size - 4096
  const file = openSync(path, 'r+')
  writeSync(file, Buffer.alloc(4096, 0xa5), 0, 4096, lastPage)
  closeSync(file)
  const second = await DatabaseThread.open(path, { schema: [TABLE] })
  t.after(() => second.close())
  await assert.rejects(second.read('SELECT * FROM t'), (error) => {
    assert.ok(error instanceof DatabaseError)
    assert.equal(error.code, 'SQLITE_CORRUPT')
    assert.ok(error.message.includes(path))
    return true
  })
  await assert.rejects(second.write([row(1000)]), { code: 'SQLITE_CORRUPT' })
  assert.equal((await second.read('SELECT id FROM t WHERE id = 1')).length, 1)
})

test('close waits for what was asked before; afterwards every call is refused', async (t) => {
  const path = temporaryPath(t)
  const db = await DatabaseThread.open(path, { schema: [TABLE] })
  const written = db.write([row(1)])
  const read = db.read('SELECT 1 AS one')
  await Promise.all([db.close(), db.close()])
  await written
  assert.deepEqual(await read, [{ one: 1 }])
  await assert.rejects(db.write([row(2)]), { code: 'CLOSED' })
  await assert.rejects(db.read('SELECT 1'), { code: 'CLOSED' })
})

test('the write-ahead log stays small under a load that never pauses', async (t) => {
  const db = await open(t)
  let largestBytes = 0
  for (let round = 0; round < 60; round++) {
    await Promise.all(
      Array.from({ length: 32 }, (_, i) => db.write([row(round * 32 + i, Buffer.alloc(32_000))])),
    )
    largestBytes = Math.max(largestBytes, statSync(`${db.path}-wal`).size)
  }
  // 60 MB were written; without checkpoints all of it would be in the log.
  assert.ok(largestBytes < 50_000_000, `write-ahead log of ${largestBytes} bytes`)
  assert.equal(await count(db), 60 * 32)
})
