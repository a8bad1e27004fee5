import {
  blobColumn,
  numberColumn,
  textColumn,
  type DatabaseThread,
  type SealedColumn,
  type Sealer,
  type SqlOp,
  type SqlRow,
} from '../db/index.js'
import { tableNames, type TableName, type Task } from '../model/objects.js'
import type { TaskSpec } from '../model/spec/index.js'
import type { SpecDraft } from './spec-rows.js'
import { SpecSharing, type StoredObject } from './spec-sharing.js'

/**
 * The store's objects in SQLite. Every write-back ("flush") has a number, and a row belongs to the flush that
 * wrote it. `stored_state` says which flushes count: from `base` to `flush`. So a large flush can be written in
 * many small transactions, between which the log gets its turn, and becomes valid as a whole with one row.
 * An object's row of the highest flush that counts is the object; a row without data says that it is gone.
 * Specs of tasks are rows of the kind `specs`, which tasks name in the column `spec`.
 */
export const objectSchema: readonly string[] = [
  `CREATE TABLE IF NOT EXISTS stored_objects (
    kind TEXT NOT NULL, id TEXT NOT NULL, flush INTEGER NOT NULL, spec TEXT, data BLOB,
    PRIMARY KEY (kind, id, flush)) WITHOUT ROWID`,
  'CREATE INDEX IF NOT EXISTS stored_objects_by_spec ON stored_objects (spec) WHERE spec IS NOT NULL',
  `CREATE TABLE IF NOT EXISTS stored_state (
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

type RowKind = TableName | 'specs'

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
  const specs = new Map<string, TaskSpec>()
  for await (const { id, value } of readRows(db, sealer, 'specs', state)) specs.set(id, value as TaskSpec)
  const objects: StoredObject[] = []
  const sharing = new SpecSharing()
  for (const table of tableNames) {
    for await (const { id, spec: specId, value } of readRows(db, sealer, table, state)) {
      const stored = { table, object: value } as StoredObject
      if (stored.table === 'services') sharing.learn(stored.object)
      objects.push(stored.table === 'tasks' ? withSpec(stored.object, specs, specId ?? '', id) : stored)
    }
    if (table === 'services') for (const [id, spec] of specs) specs.set(id, sharing.share(spec))
  }
  return { appliedIndex: state.appliedIndex, objects }
}

interface StoredRow {
  readonly id: string
  readonly spec: string | undefined
  readonly value: unknown
}

/** The objects of one kind, sorted by ID. The next page is read while this one is opened. */
async function* readRows(
  db: ObjectDatabase,
  sealer: Sealer,
  kind: RowKind,
  { base, flush }: RowState,
): AsyncGenerator<StoredRow> {
  const noRows = Promise.resolve<readonly SqlRow[]>([])
  // With max(), SQLite takes the other columns from the row that has the maximum.
  const readPage = (after: string) =>
    db.read(
      `SELECT id, max(flush) AS flush, spec, data FROM stored_objects
        WHERE kind = ? AND id > ? AND flush BETWEEN ? AND ? GROUP BY id ORDER BY id LIMIT ${pageRows}`,
      [kind, after, base, flush],
    )
  for (let rows = await readPage(''); rows.length > 0;) {
    const last = rows.at(-1)
    const next = rows.length < pageRows || last === undefined ? noRows : readPage(textColumn(last, 'id'))
    // Should opening a row throw below, nobody waits for the page any more.
    next.catch(() => undefined)
    for (const row of rows) {
      if (row['data'] === null) continue
      const id = textColumn(row, 'id')
      const opened = sealer.open(blobColumn(row, 'data'), rowContext(kind, id))
      const spec = row['spec'] === null ? undefined : textColumn(row, 'spec')
      yield { id, spec, value: JSON.parse(Buffer.from(opened).toString()) as unknown }
    }
    rows = await next
  }
}

function withSpec(
  task: Task,
  specs: ReadonlyMap<string, TaskSpec>,
  specId: string,
  taskId: string,
): StoredObject {
  const spec = specs.get(specId)
  if (spec === undefined) throw new Error(`the database lacks the spec ${specId} of task ${taskId}`)
  return { table: 'tasks', object: { ...task, spec } }
}

export async function readRowState(db: ObjectDatabase): Promise<RowState> {
  const [row] = await db.read('SELECT * FROM stored_state')
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
    sql: 'INSERT OR REPLACE INTO stored_state (id, applied_index, flush, base, untidy) VALUES (1, ?, ?, ?, ?)',
    params: [appliedIndex, flush, base, untidy ? 1 : 0],
  }
}

/**
 * The row of an object, and that of its spec if there is none yet.
 * @param object undefined for one that is gone.
 */
export function putRows(
  sealer: Sealer,
  flush: number,
  table: TableName,
  id: string,
  object: object | undefined,
  specs: SpecDraft,
): readonly SqlOp[] {
  if (object === undefined) return [insertRow(table, id, flush, null, null)]
  if (table !== 'tasks') return [sealedRow(sealer, table, id, flush, null, object)]
  const task = object as Task
  const spec = specs.idOf(task.spec)
  // A placeholder keeps the order of the fields, by which states are compared.
  const row = sealedRow(sealer, table, id, flush, spec.id, { ...task, spec: null })
  if (spec.row === undefined) return [row]
  return [sealedRow(sealer, 'specs', spec.id, flush, null, spec.row.spec), row]
}

function sealedRow(
  sealer: Sealer,
  kind: RowKind,
  id: string,
  flush: number,
  spec: string | null,
  value: object,
): SqlOp {
  const data = sealer.seal(Buffer.from(JSON.stringify(value)), rowContext(kind, id))
  return insertRow(kind, id, flush, spec, data)
}

function insertRow(
  kind: RowKind,
  id: string,
  flush: number,
  spec: string | null,
  data: Uint8Array | null,
): SqlOp {
  return {
    sql: 'INSERT INTO stored_objects (kind, id, flush, spec, data) VALUES (?, ?, ?, ?, ?)',
    params: [kind, id, flush, spec, data],
  }
}

/** Deletes the specs that no row of a task names. @returns their names. */
export async function deleteUnusedSpecs(db: ObjectDatabase): Promise<readonly string[]> {
  const rows = await db.read(
    `SELECT id FROM stored_objects WHERE kind = 'specs'
      AND NOT EXISTS (SELECT 1 FROM stored_objects AS task WHERE task.spec = stored_objects.id)`,
  )
  const ids = rows.map((row) => textColumn(row, 'id'))
  for (let at = 0; at < ids.length; at += pageRows) {
    const page = ids.slice(at, at + pageRows)
    await db.write(page.map((id) => deleteRows('specs', id, Number.MAX_SAFE_INTEGER)))
  }
  return ids
}

/** Deletes an object's rows of flushes up to `flush`. */
export function deleteRows(kind: RowKind, id: string, flush: number): SqlOp {
  return {
    sql: 'DELETE FROM stored_objects WHERE kind = ? AND id = ? AND flush <= ?',
    params: [kind, id, flush],
  }
}

const deleteInRange = 'DELETE FROM stored_objects WHERE kind = ? AND id > ? AND (? IS NULL OR id <= ?)'
const isSuperseded = `EXISTS (SELECT 1 FROM stored_objects AS newer
  WHERE newer.kind = stored_objects.kind AND newer.id = stored_objects.id AND newer.flush > stored_objects.flush)`

/** Deletes all rows that do not count, in steps that let the log get its turn. */
export async function deleteStrayRows(db: ObjectDatabase, { flush, base }: RowState): Promise<void> {
  for (const kind of ['specs', ...tableNames]) {
    for (let after = ''; ;) {
      const [row] = await db.read(
        `SELECT id FROM stored_objects WHERE kind = ? AND id > ? ORDER BY id LIMIT 1 OFFSET ${pageRows}`,
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

/** For `reseal`. */
export const sealedObjects: SealedColumn = {
  table: 'stored_objects',
  column: 'data',
  key: ['kind', 'id', 'flush'],
  context: (row) => rowContext(textColumn(row, 'kind') as RowKind, textColumn(row, 'id')),
}

/** Binds a sealed row to its place. */
function rowContext(kind: RowKind, id: string): string {
  return `object/${kind}/${id}`
}
