import { Worker } from 'node:worker_threads'
import {
  encodeGroup,
  type DatabaseReply,
  type DatabaseRequest,
  type SqlFailure,
  type Write,
} from './messages.js'
import { DatabaseError, type SqlOp, type SqlRow, type SqlValue } from './sql.js'
import type { Logger } from '../env/log.js'
import { silentLog } from '../env/log.js'

/** Beyond this a larger group gains nothing: the disk's bandwidth takes over, and latency grows. */
const GROUP_OPS = 4096
const GROUP_BYTES = 4 * 1024 * 1024

interface PendingWrite extends Write {
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

interface PendingRead {
  readonly resolve: (rows: readonly SqlRow[]) => void
  readonly reject: (error: Error) => void
}

export interface DatabaseOptions {
  /** Statements run at every open, so each must be repeatable (`CREATE TABLE IF NOT EXISTS …`). */
  readonly schema: readonly string[]
  readonly log?: Logger
}

/**
 * One SQLite file (WAL, `synchronous=FULL`) behind a worker thread, so that no fsync stops the event loop.
 *
 * Group commit: everything written in one turn of the loop, and everything that arrives while the disk
 * works, becomes one transaction with one fsync. So never wait for one write before starting the next
 * unless the order of the *acknowledgements* matters: writes are always stored in the order of their calls.
 */
export class DatabaseThread {
  readonly path: string
  readonly #worker: Worker
  readonly #log: Logger
  #queue: PendingWrite[] = []
  #flushing: readonly PendingWrite[] | undefined
  #flushScheduled = false
  readonly #reads = new Map<number, PendingRead>()
  #nextId = 1
  #closing: Promise<void> | undefined
  #closed: (() => void) | undefined
  #closeSent = false
  #failure: DatabaseError | undefined
  #referenced = true

  /**
   * Opens `path`, creating it with mode 0600 if it is absent (its directory must exist).
   * @throws {DatabaseError} if it cannot be opened, is no database, or the schema fails.
   */
  static async open(path: string, options: DatabaseOptions): Promise<DatabaseThread> {
    const worker = new Worker(new URL('./worker.js', import.meta.url), {
      workerData: { path, schema: options.schema },
    })
    await new Promise<void>((resolve, reject) => {
      worker.once('error', (error) => {
        reject(new DatabaseError(path, 'THREAD', `cannot open ${path}: ${error.message}`, { cause: error }))
      })
      worker.once('message', (reply: DatabaseReply) => {
        if (reply.kind === 'openFailed') reject(databaseError(path, 'open', reply.failure))
        else resolve()
      })
    })
    worker.removeAllListeners('error')
    return new DatabaseThread(path, worker, options.log ?? silentLog)
  }

  private constructor(path: string, worker: Worker, log: Logger) {
    this.path = path
    this.#worker = worker
    this.#log = log
    worker.on('message', (reply: DatabaseReply) => this.#onReply(reply))
    worker.on('error', (error) => this.#onThreadEnd(error))
    worker.on('exit', () => this.#onThreadEnd(undefined))
    this.#keepAlive()
  }

  /**
   * Runs `ops` as one atomic unit and resolves once they are on disk (fsynced).
   * The arrays and blobs must not change until then.
   * @param options.chain for a writer whose later writes rest on its earlier ones: after one of the chain
   * failed, all later ones of the chain fail too, until the database is opened anew.
   * @throws {DatabaseError} (as a rejection) naming the file: nothing of this call was stored. Others in
   * the same group are not affected, unless the disk itself failed.
   */
  write(ops: readonly SqlOp[], options: { readonly chain?: string } = {}): Promise<void> {
    const refusal = this.#refusal()
    if (refusal !== undefined) return Promise.reject(refusal)
    return new Promise((resolve, reject) => {
      this.#queue.push({ ops, chain: options.chain, resolve, reject })
      this.#scheduleFlush()
      this.#keepAlive()
    })
  }

  /**
   * Rows of a query, as objects by column name. Sees every write that resolved before the call.
   * Reads share the thread with the writes: fetch large tables in pages.
   * @throws {DatabaseError} as a rejection.
   */
  read(sql: string, params: readonly SqlValue[] = []): Promise<readonly SqlRow[]> {
    const refusal = this.#refusal()
    if (refusal !== undefined) return Promise.reject(refusal)
    return new Promise((resolve, reject) => {
      const id = this.#nextId++
      this.#reads.set(id, { resolve, reject })
      this.#keepAlive()
      this.#post({ kind: 'read', id, op: { sql, params } })
    })
  }

  /** Waits for what was asked before, then closes the file and ends the thread. May be called twice. */
  close(): Promise<void> {
    this.#closing ??= new Promise((resolve) => {
      if (this.#failure !== undefined) {
        resolve()
        return
      }
      this.#closed = resolve
      this.#keepAlive()
      this.#closeWhenIdle()
    })
    return this.#closing
  }

  #refusal(): DatabaseError | undefined {
    if (this.#failure !== undefined) return this.#failure
    if (this.#closing === undefined) return undefined
    return new DatabaseError(this.path, 'CLOSED', `${this.path} is closed`)
  }

  #scheduleFlush(): void {
    if (this.#flushScheduled || this.#flushing !== undefined) return
    this.#flushScheduled = true
    setImmediate(() => {
      this.#flushScheduled = false
      this.#flush()
    })
  }

  #flush(): void {
    if (this.#flushing !== undefined || this.#queue.length === 0 || this.#failure !== undefined) return
    const group = takeGroup(this.#queue)
    this.#flushing = group
    const encoded = encodeGroup(group)
    this.#post({ kind: 'write', id: this.#nextId++, group: encoded }, [encoded.blobs.buffer as ArrayBuffer])
  }

  #onReply(reply: DatabaseReply): void {
    switch (reply.kind) {
      case 'written': {
        const group = this.#flushing ?? []
        this.#flushing = undefined
        // The next group goes to the disk before anybody reacts to this one.
        this.#flush()
        for (const [position, write] of group.entries()) {
          const failure = reply.failures.get(position)
          if (failure === undefined) write.resolve()
          else write.reject(databaseError(this.path, 'write', failure))
        }
        break
      }
      case 'rows':
        this.#takeRead(reply.id)?.resolve(reply.rows)
        break
      case 'readFailed':
        this.#takeRead(reply.id)?.reject(databaseError(this.path, 'read', reply.failure))
        break
      case 'checkpointFailed':
        this.#log.warn({ path: this.path, ...reply.failure }, 'checkpoint failed')
        break
      case 'closed':
        this.#closed?.()
        this.#closed = undefined
        break
      case 'opened':
      case 'openFailed':
        break
      default:
        reply satisfies never
    }
    this.#closeWhenIdle()
    this.#keepAlive()
  }

  #takeRead(id: number): PendingRead | undefined {
    const read = this.#reads.get(id)
    this.#reads.delete(id)
    return read
  }

  #closeWhenIdle(): void {
    if (this.#closed === undefined || this.#closeSent || !this.#idle()) return
    this.#closeSent = true
    this.#post({ kind: 'close', id: this.#nextId++ })
  }

  #idle(): boolean {
    return this.#queue.length === 0 && this.#flushing === undefined && this.#reads.size === 0
  }

  /** An idle database does not keep the process alive; pending work and a pending close do. */
  #keepAlive(): void {
    const wanted = !this.#idle() || this.#closed !== undefined
    if (wanted === this.#referenced) return
    this.#referenced = wanted
    if (wanted) this.#worker.ref()
    else this.#worker.unref()
  }

  #onThreadEnd(error: Error | undefined): void {
    const expected = error === undefined && this.#closing !== undefined
    const reason = expected ? 'closed' : `the database thread ended: ${error?.message ?? 'unexpected exit'}`
    const options = error === undefined ? {} : { cause: error }
    this.#failure ??= new DatabaseError(
      this.path,
      expected ? 'CLOSED' : 'THREAD',
      `${this.path}: ${reason}`,
      options,
    )
    const failure = this.#failure
    for (const write of [...(this.#flushing ?? []), ...this.#queue]) write.reject(failure)
    for (const read of this.#reads.values()) read.reject(failure)
    this.#flushing = undefined
    this.#queue = []
    this.#reads.clear()
    this.#closed?.()
    this.#closed = undefined
  }

  #post(request: DatabaseRequest, transfer: ArrayBuffer[] = []): void {
    this.#worker.postMessage(request, transfer)
  }
}

/** Takes the writes of the next group from the front of the queue; at least one. */
function takeGroup(queue: PendingWrite[]): PendingWrite[] {
  let count = 0
  let opCount = 0
  let bytes = 0
  for (const write of queue) {
    opCount += write.ops.length
    for (const op of write.ops) {
      for (const value of op.params) {
        if (value instanceof Uint8Array || typeof value === 'string') bytes += value.length
      }
    }
    if (count > 0 && (opCount > GROUP_OPS || bytes > GROUP_BYTES)) break
    count++
  }
  return queue.splice(0, count)
}

function databaseError(path: string, verb: 'open' | 'read' | 'write', failure: SqlFailure): DatabaseError {
  const preposition = { open: 'open', read: 'read from', write: 'write to' }[verb]
  return new DatabaseError(
    path,
    failure.code,
    `cannot ${preposition} ${path}: ${failure.message} (${failure.code})`,
  )
}
