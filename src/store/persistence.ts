import {
  blobColumn,
  numberColumn,
  textColumn,
  type DatabaseThread,
  type Sealer,
  type SqlOp,
} from '../db/index.js'
import type { Env } from '../env/env.js'
import { errorText } from '../model/errors.js'
import { tableNames, type TableName, type Tables, type Task } from '../model/objects.js'
import type { Commit, Store } from './store.js'

/** Statements for `DatabaseThread.open`. */
export const objectSchema: readonly string[] = [
  `CREATE TABLE IF NOT EXISTS objects (
    kind TEXT NOT NULL, id TEXT NOT NULL, data BLOB NOT NULL, PRIMARY KEY (kind, id)) WITHOUT ROWID`,
  'CREATE TABLE IF NOT EXISTS objects_applied (id INTEGER PRIMARY KEY CHECK (id = 1), applied_index INTEGER NOT NULL)',
]

const PUT_OBJECT = 'INSERT OR REPLACE INTO objects (kind, id, data) VALUES (?, ?, ?)'
const REMOVE_OBJECT = 'DELETE FROM objects WHERE kind = ? AND id = ?'
const PUT_APPLIED = 'INSERT OR REPLACE INTO objects_applied (id, applied_index) VALUES (1, ?)'
const READ_PAGE = 'SELECT id, data FROM objects WHERE kind = ? AND id > ? ORDER BY id LIMIT 1000'

/** What changes often, a task on its way to RUNNING, is written once instead of six times. */
const flushDelayMs = 200
/** The event loop is not held longer than this while rows are made. */
const sliceMs = 3

export type StoredObject = { [K in TableName]: { readonly table: K; readonly object: Tables[K] } }[TableName]

export interface StoredState {
  /** The objects are as of this index of the log; what comes after it has to be applied again. */
  readonly appliedIndex: number
  readonly objects: readonly StoredObject[]
}

/** @throws {SealError} when a row does not open: another key, or a damaged file. */
export async function loadObjects(db: DatabaseThread, sealer: Sealer): Promise<StoredState> {
  const [applied] = await db.read('SELECT applied_index FROM objects_applied', [])
  const objects: StoredObject[] = []
  const specs = new Map<string, Task['spec']>()
  for (const table of tableNames) {
    let after = ''
    for (;;) {
      const rows = await db.read(READ_PAGE, [table, after])
      for (const row of rows) {
        after = textColumn(row, 'id')
        const opened = sealer.open(blobColumn(row, 'data'), rowContext(table, after))
        const stored = { table, object: JSON.parse(Buffer.from(opened).toString()) as never } as StoredObject
        objects.push(
          stored.table === 'tasks' ? { table: 'tasks', object: sharingSpec(specs, stored.object) } : stored,
        )
      }
      if (rows.length === 0) break
    }
  }
  return { appliedIndex: applied === undefined ? 0 : numberColumn(applied, 'applied_index'), objects }
}

/** Tasks of one service have the same spec: one object in memory serves them all. */
function sharingSpec(specs: Map<string, Task['spec']>, task: Task): Task {
  const key = JSON.stringify(task.spec)
  const spec = specs.get(key)
  if (spec !== undefined) return { ...task, spec }
  specs.set(key, task.spec)
  return task
}

/**
 * Writes the store's objects behind its back into the database that holds the log. A restart reads them
 * and applies only the log's tail; the log can be cut off behind what is written here.
 */
export class ObjectPersistence {
  readonly #env: Env
  readonly #db: DatabaseThread
  readonly #sealer: Sealer
  readonly #store: Store
  readonly #onPersisted: (index: number) => void
  readonly #unwatch: () => void
  #dirty = new Map<string, { readonly table: TableName; readonly id: string }>()
  #cancelTimer: (() => void) | undefined
  #flushing: Promise<void> = Promise.resolve()
  #persistedIndex: number

  /** @param onPersisted told the index up to which the log is not needed for a restart any more. */
  constructor(
    env: Env,
    db: DatabaseThread,
    sealer: Sealer,
    store: Store,
    onPersisted: (index: number) => void,
  ) {
    this.#env = env
    this.#db = db
    this.#sealer = sealer
    this.#store = store
    this.#onPersisted = onPersisted
    this.#persistedIndex = store.appliedIndex
    this.#unwatch = store.watch((commit) => this.#onCommit(commit))
  }

  /** Writes all that is applied now. Rejects when the disk refuses; the changes are kept for the next time. */
  flush(): Promise<void> {
    this.#cancelTimer?.()
    this.#cancelTimer = undefined
    const flushed = this.#flushing.then(() => this.#write())
    this.#flushing = flushed.catch(() => undefined)
    return flushed
  }

  async stop(): Promise<void> {
    this.#unwatch()
    await this.flush()
  }

  #onCommit({ changes }: Commit): void {
    for (const { table, id } of changes) this.#dirty.set(`${table}/${id}`, { table, id })
    this.#schedule()
  }

  #schedule(): void {
    this.#cancelTimer ??= this.#env.after(flushDelayMs, () => {
      this.#cancelTimer = undefined
      this.flush().catch((error: unknown) => {
        this.#env.log.error({ err: errorText(error) }, 'could not write the objects; the log still has them')
        this.#schedule()
      })
    })
  }

  async #write(): Promise<void> {
    const index = this.#store.appliedIndex
    if (index === this.#persistedIndex) return
    const dirty = this.#dirty
    // The objects as they are at `index`: later changes make new objects and a new flush.
    const rows = [...dirty.values()].map(({ table, id }) => ({
      table,
      id,
      object: this.#store.view[table].get(id),
    }))
    this.#dirty = new Map()
    try {
      const ops = await this.#encode(rows)
      await this.#db.write([...ops, { sql: PUT_APPLIED, params: [index] }])
    } catch (error) {
      this.#dirty = new Map([...dirty, ...this.#dirty])
      throw error
    }
    this.#persistedIndex = index
    this.#onPersisted(index)
  }

  async #encode(
    rows: readonly { readonly table: TableName; readonly id: string; readonly object: object | undefined }[],
  ): Promise<readonly SqlOp[]> {
    const ops: SqlOp[] = []
    let sliceStartMs = this.#env.monotonicMs()
    for (const { table, id, object } of rows) {
      if (object === undefined) ops.push({ sql: REMOVE_OBJECT, params: [table, id] })
      else {
        const data = this.#sealer.seal(Buffer.from(JSON.stringify(object)), rowContext(table, id))
        ops.push({ sql: PUT_OBJECT, params: [table, id, data] })
      }
      if (this.#env.monotonicMs() - sliceStartMs > sliceMs) {
        await new Promise((resolve) => setImmediate(resolve))
        sliceStartMs = this.#env.monotonicMs()
      }
    }
    return ops
  }
}

/** Binds a sealed row to its place. */
function rowContext(table: TableName, id: string): string {
  return `object/${table}/${id}`
}
