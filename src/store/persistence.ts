import { reseal, type SealedColumn, type Sealer, type SqlOp } from '../db/index.js'
import type { Env } from '../env/env.js'
import { errorText } from '../model/errors.js'
import type { TableName } from '../model/objects.js'
import {
  deleteRows,
  deleteStrayRows,
  deleteUnusedSpecs,
  putRows,
  putRowState,
  readRowState,
  sealedObjects,
  type ObjectDatabase,
  type RowState,
} from './object-rows.js'
import { decodeSnapshot } from './snapshot.js'
import { SpecRows, type SpecDraft } from './spec-rows.js'
import type { StoredObject } from './spec-sharing.js'
import type { Commit, Store } from './store.js'

/** What changes often, a task on its way to RUNNING, is written once instead of six times. */
const minFlushDelayMs = 1000
const maxFlushDelayMs = 5000
/** Under load the pause grows, so that writing back takes at most a tenth of the time. */
const pausePerFlush = 10
/** The event loop is not held longer than this while rows are made. */
const sliceMs = 3
/** So many new specs make it worth to look for unused ones. */
const specsPerCleaning = 1000
/** Rows of one transaction: some milliseconds, for which the log waits. */
const chunkRows = 500

/** What becomes durable along with the objects, such as the events of the same commits. */
export interface Companion {
  /**
   * The writes of what has come up by now; they are done in the transaction that makes the objects of the same
   * moment count. `done` is called when they are on disk, and only then; otherwise they are asked for again.
   */
  take(): { readonly ops: readonly SqlOp[]; readonly done: () => void }
  /** What of it is sealed with the data key. */
  readonly sealed: SealedColumn
}

interface Row {
  readonly table: TableName
  readonly id: string
  readonly object: object | undefined
}

interface Staged {
  readonly flush: number
  readonly objects: readonly StoredObject[]
  readonly specs: SpecDraft
}

/** A snapshot that is on disk and does not count yet. */
export interface StagedObjects {
  /** Becomes the state: on disk first, then in memory. */
  install(): Promise<void>
  discard(): void
}

/**
 * Writes the store's objects behind its back into the database that holds the log. A restart reads them
 * and applies only the log's tail; the log can be cut off behind what is written here. How rows become valid
 * stands in object-rows.ts.
 */
export class ObjectPersistence {
  readonly #env: Env
  readonly #db: ObjectDatabase
  readonly #sealer: Sealer
  readonly #store: Store
  readonly #onPersisted: (index: number) => void
  readonly #companion: Companion | undefined
  readonly #unwatch: () => void
  #dirty = new Map<string, { readonly table: TableName; readonly id: string }>()
  #cancelTimer: (() => void) | undefined
  #flushDelayMs = minFlushDelayMs
  /** Ends when nobody writes rows: a flush, or a snapshot from its first row until it is settled. */
  #busy: Promise<void> = Promise.resolve()
  #discardStaged: (() => void) | undefined
  readonly #specs = new SpecRows()
  #state: RowState | undefined
  /** The highest number that any row may have. */
  #lastFlush = 0
  /** A flush or snapshot was broken off, and the next flush would make its rows count. */
  #hasStrayRows = false
  readonly #stop = new AbortController()

  /** @param onPersisted told the index up to which the log is not needed for a restart any more. */
  constructor(
    env: Env,
    db: ObjectDatabase,
    sealer: Sealer,
    store: Store,
    onPersisted: (index: number) => void,
    companion?: Companion,
  ) {
    this.#env = env
    this.#db = db
    this.#sealer = sealer
    this.#store = store
    this.#onPersisted = onPersisted
    this.#companion = companion
    this.#unwatch = store.watch((commit) => this.#onCommit(commit))
  }

  /** Writes all that is applied now. Rejects when the disk refuses; the changes are kept for the next time. */
  async flush(): Promise<void> {
    this.#cancelTimer?.()
    this.#cancelTimer = undefined
    const release = await this.#acquire()
    const startMs = this.#env.monotonicMs()
    try {
      await this.#writeDirty()
    } finally {
      release()
      const tookMs = this.#env.monotonicMs() - startMs
      this.#flushDelayMs = Math.min(Math.max(minFlushDelayMs, tookMs * pausePerFlush), maxFlushDelayMs)
    }
  }

  /** Writes what is left and stops. A staged snapshot is discarded. */
  async stop(): Promise<void> {
    this.#stop.abort()
    this.#unwatch()
    this.#discardStaged?.()
    await this.flush()
  }

  /**
   * Takes another member's snapshot as of `index` onto the disk. Until it is installed or discarded, the
   * state stays as it is and is not written back.
   * @throws when the content is not whole, or the disk refuses; nothing of it counts.
   */
  async stage(index: number, content: AsyncIterable<Uint8Array>): Promise<StagedObjects> {
    const release = await this.#acquire()
    let isSettled = false
    const settle = () => {
      if (isSettled) throw new Error(`the snapshot of ${index} is installed or discarded already`)
      isSettled = true
      this.#discardStaged = undefined
    }
    try {
      const staged = await this.#writeStaged(content)
      const discard = () => {
        if (isSettled) return
        settle()
        release()
      }
      this.#discardStaged = discard
      if (this.#stop.signal.aborted) discard()
      return {
        discard,
        install: async () => {
          settle()
          try {
            await this.#install(index, staged)
          } finally {
            release()
          }
          this.#tidyUp()
        },
      }
    } catch (error) {
      release()
      throw error
    }
  }

  /**
   * Seals what an earlier data key has sealed with the present one, while nothing else is written. May be
   * broken off and repeated.
   */
  async reseal(signal: AbortSignal): Promise<void> {
    const release = await this.#acquire()
    try {
      await reseal(this.#db, this.#sealer, sealedObjects, signal)
      if (this.#companion !== undefined) await reseal(this.#db, this.#sealer, this.#companion.sealed, signal)
    } finally {
      release()
    }
  }

  async #acquire(): Promise<() => void> {
    const before = this.#busy
    let release = () => {}
    this.#busy = new Promise((resolve) => (release = resolve))
    await before
    return release
  }

  #onCommit({ changes }: Commit): void {
    for (const { table, id } of changes) this.#dirty.set(`${table}/${id}`, { table, id })
    this.#schedule()
  }

  #schedule(): void {
    if (this.#stop.signal.aborted) return
    this.#cancelTimer ??= this.#env.after(this.#flushDelayMs, () => {
      this.#cancelTimer = undefined
      this.flush().catch((error: unknown) => {
        this.#env.log.error({ err: errorText(error) }, 'could not write the objects; the log still has them')
        this.#schedule()
      })
    })
  }

  async #readState(): Promise<RowState> {
    if (this.#state === undefined) {
      this.#state = await readRowState(this.#db)
      this.#lastFlush = this.#state.flush
    }
    if (this.#hasStrayRows) {
      await deleteStrayRows(this.#db, this.#state)
      this.#hasStrayRows = false
    }
    return this.#state
  }

  async #writeDirty(): Promise<void> {
    const state = await this.#readState()
    const index = this.#store.appliedIndex
    if (index === state.appliedIndex) return
    const dirty = this.#dirty
    // The objects as they are at `index`: later changes make new objects and a new flush.
    const rows: readonly Row[] = Array.from(dirty.values(), ({ table, id }) => ({
      table,
      id,
      object: this.#store.view[table].get(id),
    }))
    this.#dirty = new Map()
    const companion = this.#companion?.take()
    const next = { ...state, appliedIndex: index, flush: ++this.#lastFlush }
    const specs = this.#specs.draft(next.flush)
    try {
      const along = companion?.ops ?? []
      if (rows.length <= chunkRows) await this.#writeAtOnce(rows, next, specs, along)
      else await this.#writeInChunks(rows, state, next, specs, along)
    } catch (error) {
      this.#dirty = new Map([...dirty, ...this.#dirty])
      throw error
    }
    companion?.done()
    this.#specs.keep(specs)
    this.#onPersisted(index)
    await this.#clean(rows, next)
  }

  async #writeAtOnce(
    rows: readonly Row[],
    next: RowState,
    specs: SpecDraft,
    along: readonly SqlOp[],
  ): Promise<void> {
    const superseded = rows.map(({ table, id }) => deleteRows(table, id, next.flush))
    const present = rows.filter(({ object }) => object !== undefined)
    const put = await this.#encode(present, next.flush, specs)
    await this.#db.write([...superseded, ...put, ...along, putRowState(next)])
    this.#state = next
  }

  async #writeInChunks(
    rows: readonly Row[],
    state: RowState,
    next: RowState,
    specs: SpecDraft,
    along: readonly SqlOp[],
  ): Promise<void> {
    this.#hasStrayRows = true
    await this.#db.write([putRowState({ ...state, untidy: true })])
    for (const chunk of chunksOf(rows)) await this.#db.write(await this.#encode(chunk, next.flush, specs))
    const valid = { ...next, untidy: true }
    await this.#db.write([...along, putRowState(valid)])
    this.#hasStrayRows = false
    this.#state = valid
  }

  /** What a flush has made superfluous. Should this fail, it only takes up space. */
  async #clean(rows: readonly Row[], state: RowState): Promise<void> {
    try {
      if (rows.length > chunkRows) await this.#deleteSuperseded(rows, state)
      if (this.#specs.newCount >= specsPerCleaning) this.#specs.forget(await deleteUnusedSpecs(this.#db))
    } catch (error) {
      this.#env.log.warn({ err: errorText(error) }, 'could not delete old rows of objects')
    }
  }

  async #deleteSuperseded(rows: readonly Row[], { flush }: RowState): Promise<void> {
    for (const chunk of chunksOf(rows)) {
      await this.#db.write(
        chunk.map(({ table, id, object }) => deleteRows(table, id, object === undefined ? flush : flush - 1)),
      )
    }
    await this.#writeTidy()
  }

  async #writeStaged(content: AsyncIterable<Uint8Array>): Promise<Staged> {
    const state = await this.#readState()
    const flush = ++this.#lastFlush
    const objects: StoredObject[] = []
    const specs = this.#specs.draft(flush)
    let chunk: Row[] = []
    this.#hasStrayRows = true
    await this.#db.write([putRowState({ ...state, untidy: true })])
    for await (const stored of decodeSnapshot(until(this.#stop.signal, content))) {
      objects.push(stored)
      chunk.push({ table: stored.table, id: stored.object.id, object: stored.object })
      if (chunk.length < chunkRows) continue
      await this.#db.write(await this.#encode(chunk, flush, specs))
      chunk = []
    }
    await this.#db.write(await this.#encode(chunk, flush, specs))
    return { flush, objects, specs }
  }

  async #install(index: number, { flush, objects, specs }: Staged): Promise<void> {
    const next = { appliedIndex: index, flush, base: flush, untidy: true }
    await this.#db.write([putRowState(next)])
    this.#hasStrayRows = false
    this.#state = next
    this.#specs.forgetAll()
    this.#specs.keep(specs)
    this.#store.restore(index, objects)
    this.#dirty = new Map()
    this.#onPersisted(index)
  }

  /** What the installed snapshot has replaced goes in its own time. */
  #tidyUp(): void {
    const run = async () => {
      const release = await this.#acquire()
      try {
        if (this.#stop.signal.aborted) return
        await deleteStrayRows(this.#db, await this.#readState())
        await this.#writeTidy()
      } finally {
        release()
      }
    }
    run().catch((error: unknown) => {
      this.#env.log.warn({ err: errorText(error) }, 'could not delete old rows of objects')
    })
  }

  async #writeTidy(): Promise<void> {
    const tidy = { ...(await this.#readState()), untidy: false }
    await this.#db.write([putRowState(tidy)])
    this.#state = tidy
  }

  async #encode(rows: readonly Row[], flush: number, specs: SpecDraft): Promise<readonly SqlOp[]> {
    const ops: SqlOp[] = []
    let sliceStartMs = this.#env.monotonicMs()
    for (const { table, id, object } of rows) {
      ops.push(...putRows(this.#sealer, flush, table, id, object, specs))
      if (this.#env.monotonicMs() - sliceStartMs > sliceMs) {
        await new Promise((resolve) => setImmediate(resolve))
        sliceStartMs = this.#env.monotonicMs()
      }
    }
    return ops
  }
}

/** Gives what comes, and throws as soon as `signal` aborts, even if nothing comes any more. */
async function* until<T>(signal: AbortSignal, content: AsyncIterable<T>): AsyncGenerator<T> {
  const iterator = content[Symbol.asyncIterator]()
  const aborted = new Promise<never>((_, reject) => {
    const onAbort = () => reject(new Error('this manager is stopping'))
    if (signal.aborted) onAbort()
    else signal.addEventListener('abort', onAbort, { once: true })
  })
  for (;;) {
    const result = await Promise.race([iterator.next(), aborted])
    if (result.done === true) return
    yield result.value
  }
}

function* chunksOf(rows: readonly Row[]): Generator<readonly Row[]> {
  for (let at = 0; at < rows.length; at += chunkRows) yield rows.slice(at, at + chunkRows)
}

export { loadObjects, objectSchema, type StoredState } from './object-rows.js'
export { encodeSnapshot } from './snapshot.js'
