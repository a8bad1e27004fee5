import {
  blobColumn,
  numberColumn,
  textColumn,
  type DatabaseThread,
  type Sealer,
  type SqlOp,
} from '../db/index.js'
import { tableNames, type TableName } from '../model/objects.js'
import { SpecSharing, type StoredObject } from './spec-sharing.js'

/**
 * The store's objects in SQLite. Every write-back ("flush") has a number, and a row belongs to the flush that
 * wrote it. `object_state` says which flushes count: from `base` to `flush`. So a large flush can be written in
 * many small transactions, between which the log gets its turn, and becomes valid as a whole with one row.
 * An object's row of the highest flush that counts is the object; a row without data says that it is gone.
 */
export const objectSchema: readonly string[] = [
  `CREATE TABLE IF NOT EXISTS object_rows (
    kind TEXT NOT NULL, id TEXT NOT NULL, flush INTEGER NOT NULL, data BLOB,
    PRIMARY KEY (kind, id, flush)) WITHOUT ROWID`,
  `CREATE TABLE IF NOT EXISTS object_state (
    id INTEGER PRIMARY KEY CHECK (id = 1), applied_index INTEGER NOT NULL, flush INTEGER NOT NULL,
    base INTEGER NOT NULL, untidy INTEGER NOT NULL)`,
]

/** What is needed of the node's database. */
export type ObjectDatabase = Pick<DatabaseThread, 'read' | 'write'>

/** Which rows count, and of which index of the log they are. */
export interface RowState {
  readonly appliedIndex: number
  readonly flush: number
  readonly base: number
  /** There are rows that do not count: of a flush or snapshot that was broken off, or superseded ones. */
  readonly untidy: boolean
}

export interface StoredState {
  /** The objects are as of this index of the log; what comes after it has to be applied again. */
  readonly appliedIndex: number
  readonly objects: readonly StoredObject[]
}

const pageRows = 1000

/**
 * Reads all objects, after throwing away what a crash left half done: only for the start, before anything
 * else writes.
 * @throws {SealError} when a row does not open: another key, or a damaged file.
 */
export async function loadObjects(db: ObjectDatabase, sealer: Sealer): Promise<StoredState> {
  const state = await readRowState(db)
  if (state.untidy) {
    await deleteStrayRows(db, state)
    await db.write([putRowState({ ...state, untidy: false })])
  }
  const objects: StoredObject[] = []
  const sharing = new SpecSharing()
  for (const kind of tableNames) {
    for (let after = ''; ;) {
      // With max(), SQLite takes `data` from the row that has the maximum.
      const rows = await db.read(
        `SELECT id, max(flush) AS flush, data FROM object_rows
          WHERE kind = ? AND id > ? AND flush BETWEEN ? AND ? GROUP BY id ORDER BY id LIMIT ${pageRows}`,
        [kind, after, state.base, state.flush],
      )
      for (const row of rows) {
        after = textColumn(row, 'id')
        if (row['data'] === null) continue
        const opened = sealer.open(blobColumn(row, 'data'), rowContext(kind, after))
        const object = JSON.parse(Buffer.from(opened).toString()) as unknown
        objects.push(sharing.share({ table: kind, object } as StoredObject))
      }
      if (rows.length < pageRows) break
    }
  }
  return { appliedIndex: state.appliedIndex, objects }
}

export async function readRowState(db: ObjectDatabase): Promise<RowState> {
  const [row] = await db.read('SELECT * FROM object_state')
  if (row === undefined) return { appliedIndex: 0, flush: 0, base: 0, untidy: false }
  return {
    appliedIndex: numberColumn(row, 'applied_index'),
    flush: numberColumn(row, 'flush'),
    base: numberColumn(row, 'base'),
    untidy: numberColumn(row, 'untidy') !== 0,
  }
}

export function putRowState({ appliedIndex, flush, base, untidy }: RowState): SqlOp {
  return {
    sql: 'INSERT OR REPLACE INTO object_state (id, applied_index, flush, base, untidy) VALUES (1, ?, ?, ?, ?)',
    params: [appliedIndex, flush, base, untidy ? 1 : 0],
  }
}

/** @param object undefined for one that is gone. */
export function putRow(
  sealer: Sealer,
  kind: TableName,
  id: string,
  flush: number,
  object: object | undefined,
): SqlOp {
  const data =
    object === undefined ? null : sealer.seal(Buffer.from(JSON.stringify(object)), rowContext(kind, id))
  return {
    sql: 'INSERT INTO object_rows (kind, id, flush, data) VALUES (?, ?, ?, ?)',
    params: [kind, id, flush, data],
  }
}

/** Deletes an object's rows of flushes up to `flush`. */
export function deleteRows(kind: TableName, id: string, flush: number): SqlOp {
  return {
    sql: 'DELETE FROM object_rows WHERE kind = ? AND id = ? AND flush <= ?',
    params: [kind, id, flush],
  }
}

const deleteInRange = 'DELETE FROM object_rows WHERE kind = ? AND id > ? AND (? IS NULL OR id <= ?)'
const isSuperseded = `EXISTS (SELECT 1 FROM object_rows AS newer
  WHERE newer.kind = object_rows.kind AND newer.id = object_rows.id AND newer.flush > object_rows.flush)`

/** Deletes all rows that do not count, in steps that let the log get its turn. */
export async function deleteStrayRows(db: ObjectDatabase, { flush, base }: RowState): Promise<void> {
  for (const kind of tableNames) {
    for (let after = ''; ;) {
      const [row] = await db.read(
        `SELECT id FROM object_rows WHERE kind = ? AND id > ? ORDER BY id LIMIT 1 OFFSET ${pageRows}`,
        [kind, after],
      )
      const upTo = row === undefined ? undefined : textColumn(row, 'id')
      const range = [kind, after, upTo ?? null, upTo ?? null]
      await db.write([
        { sql: `${deleteInRange} AND (flush < ? OR flush > ?)`, params: [...range, base, flush] },
        { sql: `${deleteInRange} AND ${isSuperseded}`, params: range },
        { sql: `${deleteInRange} AND data IS NULL`, params: range },
      ])
      if (upTo === undefined) break
      after = upTo
    }
  }
}

/** Binds a sealed row to its place. */
function rowContext(kind: TableName, id: string): string {
  return `object/${kind}/${id}`
}
