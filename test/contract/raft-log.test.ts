import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test, type TestContext } from 'node:test'
import { DatabaseThread, Sealer } from '../../src/db/index.js'
import {
  MemoryLog,
  raftLogSchema,
  SqliteLog,
  type Entry,
  type LogStorage,
  type SnapshotMetadata,
  WitnessLog,
} from '../../src/raft/index.js'

/** A disk: `reopen` gives the log as a restarted process finds it. */
interface Disk {
  open(): Promise<LogStorage>
  reopen(): Promise<LogStorage>
}

const key = Buffer.alloc(32, 3)

function memoryDisk(): Disk {
  let log = new MemoryLog()
  return {
    open: () => Promise.resolve(log),
    reopen: () => {
      log = new MemoryLog(log.state)
      return Promise.resolve(log)
    },
  }
}

/** A file in memory; writes to it fail while `isFull`. */
function witnessDisk(): Disk & { text: string | undefined; isFull: boolean; writes: number } {
  const disk = {
    text: undefined as string | undefined,
    isFull: false,
    writes: 0,
    open: () =>
      WitnessLog.open(
        {
          read: () => Promise.resolve(disk.text),
          replace: async (text) => {
            disk.writes++
            await Promise.resolve()
            if (disk.isFull) throw new Error('no space left on device')
            disk.text = text
          },
        },
        () => 'w1',
      ),
    reopen: () => disk.open(),
  }
  return disk
}

function sqliteDisk(t: TestContext): Disk & { path: string; db(): DatabaseThread } {
  const directory = mkdtempSync(join(tmpdir(), 'skep-raft-log-'))
  const path = join(directory, 'state.db')
  let db: DatabaseThread | undefined
  const open = async () => {
    db = await DatabaseThread.open(path, { schema: raftLogSchema })
    return new SqliteLog(db, Sealer.of(key))
  }
  t.after(async () => {
    await db?.close()
    rmSync(directory, { recursive: true, force: true })
  })
  return {
    path,
    db: () => {
      assert.ok(db)
      return db
    },
    open,
    reopen: async () => {
      await db?.close()
      return open()
    },
  }
}

const member = { id: 'm1', kind: 'voter', context: '10.0.0.1:2377' } as const
const hardState = { term: 3, votedFor: 'm2', commit: 4 }

function entry(index: number, term = 1, text = `payload ${index}`): Entry {
  return { index, term, kind: 'data', data: Buffer.from(text) }
}

function entries(from: number, to: number, term = 1): Entry[] {
  return Array.from({ length: to - from + 1 }, (_, i) => entry(from + i, term))
}

function snapshotAt(index: number, term = 2): SnapshotMetadata {
  return { index, term, membership: { members: [member], removedIds: ['m0'] } }
}

function shown(list: readonly Entry[]): string[] {
  return list.map(({ index, term, data }) => `${index}/${term} ${Buffer.from(data).toString()}`)
}

const implementations: readonly [string, (t: TestContext) => Disk][] = [
  ['memory', memoryDisk],
  ['sqlite', sqliteDisk],
  ['a file of a witness', witnessDisk],
]

for (const [name, makeDisk] of implementations) {
  describe(`raft log in ${name}`, () => {
    test('a new log is empty', async (t) => {
      const log = await makeDisk(t).open()
      assert.deepEqual(await log.load(), {
        hardState: { term: 0, votedFor: undefined, commit: 0 },
        snapshot: { index: 0, term: 0, membership: { members: [], removedIds: [] } },
        staged: undefined,
        entries: [],
      })
    })

    test('entries of every kind, their bytes and the hard state come back', async (t) => {
      const disk = makeDisk(t)
      const log = await disk.open()
      await log.load()
      await log.save({
        hardState: { term: 1, votedFor: undefined, commit: 0 },
        entries: [
          { index: 1, term: 1, kind: 'noop', data: new Uint8Array(0) },
          { index: 2, term: 1, kind: 'membership', data: Buffer.from('{}') },
          { index: 3, term: 2, kind: 'data', data: Buffer.from([0, 255, 1]) },
        ],
      })
      await log.save({ hardState, entries: [] })
      const state = await (await disk.reopen()).load()
      assert.deepEqual(state.hardState, hardState)
      assert.deepEqual(
        state.entries.map((e) => [e.index, e.term, e.kind, ...e.data]),
        [
          [1, 1, 'noop'],
          [2, 1, 'membership', 123, 125],
          [3, 2, 'data', 0, 255, 1],
        ],
      )
    })

    test('new entries replace everything from the first of them on', async (t) => {
      const disk = makeDisk(t)
      const log = await disk.open()
      await log.load()
      const saves = [
        log.save({ hardState, entries: entries(1, 5) }),
        log.save({ hardState, entries: [entry(3, 2, 'three'), entry(4, 2, 'four')] }),
        log.save({ hardState, entries: [entry(5, 3, 'five')] }),
      ]
      await Promise.all(saves)
      const expected = ['1/1 payload 1', '2/1 payload 2', '3/2 three', '4/2 four', '5/3 five']
      assert.deepEqual(shown((await (await disk.reopen()).load()).entries), expected)
    })

    test('the replacement also works on what an earlier process wrote', async (t) => {
      const disk = makeDisk(t)
      const first = await disk.open()
      await first.load()
      await first.save({ hardState, entries: entries(1, 5) })
      const second = await disk.reopen()
      await second.load()
      await second.save({ hardState, entries: [entry(2, 7, 'two')] })
      assert.deepEqual(shown((await (await disk.reopen()).load()).entries), ['1/1 payload 1', '2/7 two'])
    })

    test('compaction keeps what is after the snapshot', async (t) => {
      const disk = makeDisk(t)
      const log = await disk.open()
      await log.load()
      await log.save({ hardState, entries: entries(1, 2500) })
      const compacted = log.compact(snapshotAt(2400))
      await log.save({ hardState, entries: entries(2501, 2502) })
      await compacted
      const state = await (await disk.reopen()).load()
      assert.deepEqual(state.snapshot, snapshotAt(2400))
      assert.equal(state.entries[0]?.index, 2401)
      assert.equal(state.entries.at(-1)?.index, 2502)
      assert.equal(state.entries.length, 102)
    })

    test('a second compaction goes on from the first; one to an earlier index changes nothing', async (t) => {
      const disk = makeDisk(t)
      const log = await disk.open()
      await log.load()
      await log.save({ hardState, entries: entries(1, 30) })
      await log.compact(snapshotAt(10))
      await log.compact(snapshotAt(20))
      await log.compact(snapshotAt(15))
      const state = await (await disk.reopen()).load()
      assert.deepEqual(state.snapshot, snapshotAt(20))
      assert.equal(state.entries.length, 10)
    })

    test('a snapshot replaces the log, and entries go on after it', async (t) => {
      const disk = makeDisk(t)
      const log = await disk.open()
      await log.load()
      await log.save({ hardState, entries: entries(1, 20) })
      await log.stageSnapshot(snapshotAt(100))
      assert.deepEqual((await (await disk.reopen()).load()).staged, snapshotAt(100))
      const second = await disk.reopen()
      await second.load()
      await second.save({ hardState, snapshot: snapshotAt(100), entries: [entry(101, 3)] })
      await second.save({ hardState, entries: [entry(102, 3)] })
      const state = await (await disk.reopen()).load()
      assert.deepEqual(state.snapshot, snapshotAt(100))
      assert.equal(state.staged, undefined)
      assert.deepEqual(
        state.entries.map((e) => e.index),
        [101, 102],
      )
    })

    test('a staged snapshot can be forgotten', async (t) => {
      const disk = makeDisk(t)
      const log = await disk.open()
      await log.load()
      await log.stageSnapshot(snapshotAt(100))
      await log.stageSnapshot(undefined)
      assert.equal((await (await disk.reopen()).load()).staged, undefined)
    })
  })
}

test('payloads and members are ciphertext on disk', async (t) => {
  const disk = sqliteDisk(t)
  const log = await disk.open()
  await log.load()
  await log.save({ hardState, entries: [entry(1, 1, 'the secret of the hive')] })
  await log.stageSnapshot(snapshotAt(1, 1))
  await log.compact(snapshotAt(1, 1))
  await log.save({ hardState, entries: [entry(2, 1, 'the secret of the hive')] })
  await disk.db().close()
  const bytes = readFileSync(disk.path)
  for (const text of ['the secret of the hive', '10.0.0.1:2377']) {
    assert.ok(!bytes.includes(text), `found in the file: ${text}`)
  }
})

test('a wrong data key, an exchanged payload and a missing entry are refused', async (t) => {
  const disk = sqliteDisk(t)
  const log = await disk.open()
  await log.load()
  await log.save({ hardState, entries: entries(1, 4) })
  const wrongKey = new SqliteLog(disk.db(), Sealer.of(Buffer.alloc(32, 4)))
  await assert.rejects(wrongKey.load(), /wrong data key/)
  await disk.db().write([
    {
      sql: 'UPDATE raft_entries SET data = (SELECT data FROM raft_entries WHERE entry_index = 2) WHERE entry_index = 3',
      params: [],
    },
  ])
  await assert.rejects(log.load(), /does not match its key/)
  await disk.db().write([{ sql: 'DELETE FROM raft_entries WHERE entry_index = 3', params: [] }])
  await assert.rejects(log.load(), /raft entry 3 is missing/)
})

test('after a failed write no later one reaches the disk, so the log has no gap', async (t) => {
  const disk = sqliteDisk(t)
  const log = await disk.open()
  await log.load()
  await log.save({ hardState, entries: entries(1, 2) })
  await disk.db().read('PRAGMA max_page_count = 10')
  const big = { ...entry(3), data: Buffer.alloc(100_000) }
  const results = await Promise.allSettled([
    log.save({ hardState, entries: [big] }),
    log.save({ hardState, entries: [entry(4)] }),
  ])
  assert.deepEqual(
    results.map((result) => result.status),
    ['rejected', 'rejected'],
  )
  const state = await (await disk.reopen()).load()
  assert.equal(state.entries.length, 2)
})

test('a witness keeps its name, what comes during a write shares the next one', async () => {
  const disk = witnessDisk()
  const log = await disk.open()
  const before = disk.writes
  await Promise.all([1, 2, 3, 4].map((index) => log.save({ hardState, entries: [entry(index)] })))
  assert.equal(disk.writes - before, 2)
  const again = await disk.reopen()
  assert.ok(again instanceof WitnessLog)
  assert.equal(again.memberId, 'w1')
  assert.equal((await again.load()).entries.length, 4)
})

test('a witness whose file is damaged, or of another version, is refused', async () => {
  const disk = witnessDisk()
  const log = await disk.open()
  await log.save({ hardState, entries: entries(1, 2) })
  const { text } = disk
  disk.text = text?.replace('"term":3', '"term":2')
  assert.notEqual(disk.text, text)
  await assert.rejects(disk.reopen(), /damaged/)
  disk.text = text?.slice(0, -10)
  await assert.rejects(disk.reopen(), /damaged/)
  disk.text = ''
  await assert.rejects(disk.reopen(), /damaged/)
})

test('a witness that could not write once writes no more', async () => {
  const disk = witnessDisk()
  const log = await disk.open()
  await log.save({ hardState, entries: [entry(1)] })
  disk.isFull = true
  await assert.rejects(log.save({ hardState, entries: [entry(2)] }), /no space left/)
  disk.isFull = false
  await assert.rejects(log.save({ hardState, entries: [entry(3)] }), /no space left/)
  assert.equal((await (await disk.reopen()).load()).entries.length, 1)
})
