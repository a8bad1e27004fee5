import {
  blobColumn,
  numberColumn,
  reseal,
  textColumn,
  type DatabaseThread,
  type SealedColumn,
  type Sealer,
  type SqlOp,
  type SqlRow,
} from '../../db/index.js'
import type { Entry, EntryKind, HardState, Membership, SnapshotMetadata } from '../core/index.js'
import { emptyLogState, type LogBatch, type LogState, type LogStorage } from './log-storage.js'

/** Statements for `DatabaseThread.open`. */
export const raftLogSchema: readonly string[] = [
  `CREATE TABLE IF NOT EXISTS raft_entries (
    entry_index INTEGER PRIMARY KEY, term INTEGER NOT NULL, kind INTEGER NOT NULL, data BLOB NOT NULL)`,
  `CREATE TABLE IF NOT EXISTS raft_hard_state (
    id INTEGER PRIMARY KEY CHECK (id = 1), term INTEGER NOT NULL, voted_for TEXT, commit_index INTEGER NOT NULL)`,
  `CREATE TABLE IF NOT EXISTS raft_snapshots (
    slot TEXT PRIMARY KEY, snapshot_index INTEGER NOT NULL, term INTEGER NOT NULL, membership BLOB NOT NULL)`,
]

const INSERT_ENTRY = 'INSERT INTO raft_entries (entry_index, term, kind, data) VALUES (?, ?, ?, ?)'
const PUT_HARD_STATE =
  'INSERT OR REPLACE INTO raft_hard_state (id, term, voted_for, commit_index) VALUES (1, ?, ?, ?)'
const PUT_SNAPSHOT =
  'INSERT OR REPLACE INTO raft_snapshots (slot, snapshot_index, term, membership) VALUES (?, ?, ?, ?)'

const UNSTAGE: SqlOp = { sql: "DELETE FROM raft_snapshots WHERE slot = 'staged'", params: [] }

/** Rows deleted per transaction: 1000 take about 2 ms, 10,000 would hold up commits for 40. */
const COMPACT_STEP = 1000
const LOAD_PAGE = 1000

/** A batch that came to the disk although the one before did not would leave a gap. */
const CHAIN = { chain: 'raft log' }

/** Stored numbers: never reuse or reorder. */
const kindNumbers: Readonly<Record<EntryKind, number>> = { data: 0, membership: 1, noop: 2 }
const kinds: readonly EntryKind[] = ['data', 'membership', 'noop']

/**
 * The log in SQLite. Index and term are clear; payloads and members are sealed, each bound to its place, so
 * that neither a read nor an exchange of rows gives anything away.
 */
export class SqliteLog implements LogStorage {
  readonly #db: DatabaseThread
  readonly #sealer: Sealer
  /** Last index written or about to be; entries above are replaced, not added. */
  #lastIndex = 0
  /** First index that may still be in the table. */
  #firstIndex = 1
  #snapshotIndex = 0

  constructor(db: DatabaseThread, sealer: Sealer) {
    this.#db = db
    this.#sealer = sealer
  }

  async load(): Promise<LogState> {
    const hardState = await this.#loadHardState()
    const snapshot = (await this.#loadSnapshot('current')) ?? emptyLogState.snapshot
    const staged = await this.#loadSnapshot('staged')
    const entries: Entry[] = []
    for (let after = snapshot.index; ;) {
      const rows = await this.#db.read(
        'SELECT * FROM raft_entries WHERE entry_index > ? ORDER BY entry_index LIMIT ?',
        [after, LOAD_PAGE],
      )
      for (const row of rows) entries.push(this.#toEntry(row))
      const last = entries.at(-1)
      if (last === undefined || rows.length < LOAD_PAGE) break
      after = last.index
    }
    for (const [i, entry] of entries.entries()) {
      const expected = snapshot.index + 1 + i
      if (entry.index !== expected) throw new Error(`${this.#db.path}: raft entry ${expected} is missing`)
    }
    this.#snapshotIndex = snapshot.index
    this.#lastIndex = entries.at(-1)?.index ?? snapshot.index
    const oldest = await this.#db.read('SELECT min(entry_index) AS first FROM raft_entries')
    const first = oldest[0]?.['first']
    this.#firstIndex = typeof first === 'number' ? first : this.#lastIndex + 1
    return { hardState, snapshot, staged, entries }
  }

  save(batch: LogBatch): Promise<void> {
    const ops: SqlOp[] = []
    const first = batch.entries[0]
    if (batch.snapshot !== undefined) {
      ops.push(
        { sql: 'DELETE FROM raft_entries', params: [] },
        this.#putSnapshot('current', batch.snapshot),
        UNSTAGE,
      )
      this.#snapshotIndex = batch.snapshot.index
      this.#lastIndex = batch.snapshot.index
      this.#firstIndex = batch.snapshot.index + 1
    } else if (first !== undefined && first.index <= this.#lastIndex) {
      ops.push({ sql: 'DELETE FROM raft_entries WHERE entry_index >= ?', params: [first.index] })
    }
    for (const entry of batch.entries) {
      const data = this.#sealer.seal(entry.data, entryContext(entry.index, entry.term))
      ops.push({ sql: INSERT_ENTRY, params: [entry.index, entry.term, kindNumbers[entry.kind], data] })
      this.#lastIndex = entry.index
    }
    const { term, votedFor, commit } = batch.hardState
    ops.push({ sql: PUT_HARD_STATE, params: [term, votedFor ?? null, commit] })
    return this.#db.write(ops, CHAIN)
  }

  stageSnapshot(snapshot: SnapshotMetadata | undefined): Promise<void> {
    const op = snapshot === undefined ? UNSTAGE : this.#putSnapshot('staged', snapshot)
    return this.#db.write([op], CHAIN)
  }

  async compact(snapshot: SnapshotMetadata): Promise<void> {
    if (snapshot.index <= this.#snapshotIndex) return
    this.#snapshotIndex = snapshot.index
    await this.#db.write([this.#putSnapshot('current', snapshot)], CHAIN)
    // One step after the other, so that commits get in between. Should the process end here, `load` skips
    // what is left and the next compaction deletes it.
    while (this.#firstIndex <= snapshot.index) {
      const upTo = Math.min(this.#firstIndex + COMPACT_STEP - 1, snapshot.index)
      this.#firstIndex = upTo + 1
      await this.#db.write(
        [{ sql: 'DELETE FROM raft_entries WHERE entry_index <= ?', params: [upTo] }],
        CHAIN,
      )
    }
  }

  /** Seals what an earlier data key has sealed with the present one. May be broken off and repeated. */
  async reseal(signal: AbortSignal): Promise<void> {
    for (const sealed of sealedColumns) await reseal(this.#db, this.#sealer, sealed, signal)
  }

  async #loadHardState(): Promise<HardState> {
    const [row] = await this.#db.read('SELECT * FROM raft_hard_state WHERE id = 1')
    if (row === undefined) return emptyLogState.hardState
    return {
      term: numberColumn(row, 'term'),
      votedFor: row['voted_for'] === null ? undefined : textColumn(row, 'voted_for'),
      commit: numberColumn(row, 'commit_index'),
    }
  }

  async #loadSnapshot(slot: 'current' | 'staged'): Promise<SnapshotMetadata | undefined> {
    const [row] = await this.#db.read('SELECT * FROM raft_snapshots WHERE slot = ?', [slot])
    if (row === undefined) return undefined
    const index = numberColumn(row, 'snapshot_index')
    const term = numberColumn(row, 'term')
    const json = this.#sealer.open(blobColumn(row, 'membership'), snapshotContext(slot, index, term))
    return { index, term, membership: JSON.parse(Buffer.from(json).toString()) as Membership }
  }

  #putSnapshot(slot: 'current' | 'staged', snapshot: SnapshotMetadata): SqlOp {
    const { index, term, membership } = snapshot
    const json = Buffer.from(JSON.stringify(membership))
    const sealed = this.#sealer.seal(json, snapshotContext(slot, index, term))
    return { sql: PUT_SNAPSHOT, params: [slot, index, term, sealed] }
  }

  #toEntry(row: SqlRow): Entry {
    const index = numberColumn(row, 'entry_index')
    const term = numberColumn(row, 'term')
    const kind = kinds[numberColumn(row, 'kind')]
    if (kind === undefined) throw new Error(`${this.#db.path}: raft entry ${index} is of an unknown kind`)
    return { index, term, kind, data: this.#sealer.open(blobColumn(row, 'data'), entryContext(index, term)) }
  }
}

const sealedColumns: readonly SealedColumn[] = [
  {
    table: 'raft_entries',
    column: 'data',
    key: ['entry_index'],
    context: (row) => entryContext(numberColumn(row, 'entry_index'), numberColumn(row, 'term')),
  },
  {
    table: 'raft_snapshots',
    column: 'membership',
    key: ['slot'],
    context: (row) =>
      snapshotContext(
        textColumn(row, 'slot'),
        numberColumn(row, 'snapshot_index'),
        numberColumn(row, 'term'),
      ),
  },
]

function entryContext(index: number, term: number): string {
  return `raft entry ${index} ${term}`
}

function snapshotContext(slot: string, index: number, term: number): string {
  return `raft snapshot ${slot} ${index} ${term}`
}
