import Database from 'better-sqlite3'
import { closeSync, existsSync, fsyncSync, openSync } from 'node:fs'
import { dirname } from 'node:path'
import type { SqlFailure, Write } from './messages.js'
import type { SqlOp, SqlRow, SqlValue } from './sql.js'

/** Distinct statements kept prepared. Far more than the program has: a bound, not a tuning knob. */
const PREPARED_STATEMENTS = 500

/** How long to wait for a lock of the checkpointing connection or of a tool such as `sqlite3`. */
const BUSY_TIMEOUT_MS = 5000

/**
 * The one connection that writes. Runs inside the worker thread; knows nothing of threads.
 * All use of better-sqlite3 is in this file, so that another engine can replace it.
 */
export class Connection {
  readonly #db: Database.Database
  readonly #statements = new Map<string, Database.Statement>()
  /** Chains of which a write failed, with that failure. */
  readonly #broken = new Map<string, SqlFailure>()

  /** Opens or creates `path` (mode 0600) and runs `schema`, whose statements must be repeatable. */
  constructor(path: string, schema: readonly string[]) {
    createPrivate(path)
    this.#db = new Database(path, { timeout: BUSY_TIMEOUT_MS })
    try {
      this.#db.pragma('journal_mode = WAL')
      // A vote or an entry that was acknowledged must survive power loss; NORMAL does not promise that.
      this.#db.pragma('synchronous = FULL')
      this.#db.pragma('wal_autocheckpoint = 0')
      this.#db.pragma('foreign_keys = ON')
      for (const sql of schema) this.#db.exec(sql)
    } catch (error) {
      this.#db.close()
      throw error
    }
  }

  /**
   * Commits the writes in one transaction: one fsync for all of them. Each write is atomic: one that
   * fails leaves no trace and does not touch the others, except later ones of its chain.
   * Returns the failures by position.
   */
  commit(writes: readonly Write[]): Map<number, SqlFailure> {
    const failures = this.#tryCommit(writes)
    for (const [position, failure] of failures) {
      const chain = writes[position]?.chain
      if (chain !== undefined && !this.#broken.has(chain)) this.#broken.set(chain, failure)
    }
    return failures
  }

  #tryCommit(writes: readonly Write[]): Map<number, SqlFailure> {
    if (writes.some((write) => this.#brokenBy(write) !== undefined)) return this.#commitOneByOne(writes)
    try {
      this.#db.exec('BEGIN IMMEDIATE')
      for (const { ops } of writes) this.#run(ops)
      this.#db.exec('COMMIT')
      return new Map()
    } catch (error) {
      this.#rollback()
      const failure = toFailure(error)
      // A disk that failed to write or sync is not asked again.
      if (writes.length === 1 || failure.code.startsWith('SQLITE_IOERR')) {
        return new Map(writes.map((_, position) => [position, failure]))
      }
      // Savepoints around each write cost time, so they are used only after a failure.
      return this.#commitOneByOne(writes)
    }
  }

  #commitOneByOne(writes: readonly Write[]): Map<number, SqlFailure> {
    const failures = new Map<number, SqlFailure>()
    try {
      this.#db.exec('BEGIN IMMEDIATE')
      for (const [position, write] of writes.entries()) {
        const broken = this.#brokenBy(write)
        if (broken === undefined) this.#runAlone(write, (failure) => failures.set(position, failure))
        else failures.set(position, broken)
      }
      this.#db.exec('COMMIT')
      return failures
    } catch (error) {
      this.#rollback()
      const failure = toFailure(error)
      return new Map(writes.map((_, position) => [position, failures.get(position) ?? failure]))
    }
  }

  #brokenBy({ chain }: Write): SqlFailure | undefined {
    return chain === undefined ? undefined : this.#broken.get(chain)
  }

  #runAlone({ ops, chain }: Write, onFailure: (failure: SqlFailure) => void): void {
    this.#db.exec('SAVEPOINT one_write')
    try {
      this.#run(ops)
    } catch (error) {
      // A full disk or an I/O error ends the whole transaction by itself.
      if (!this.#db.inTransaction) throw error
      const failure = toFailure(error)
      if (chain !== undefined) this.#broken.set(chain, failure)
      onFailure(failure)
      this.#db.exec('ROLLBACK TO one_write')
    }
    this.#db.exec('RELEASE one_write')
  }

  #run(ops: readonly SqlOp[]): void {
    for (const op of ops) this.#prepare(op.sql).run(...op.params)
  }

  #rollback(): void {
    if (this.#db.inTransaction) this.#db.exec('ROLLBACK')
  }

  read(op: SqlOp): SqlRow[] {
    return this.#prepare(op.sql).all(...op.params) as Record<string, SqlValue>[]
  }

  /**
   * Copies what is in the write-ahead log into the database file without waiting for anybody.
   * When all of it is copied, the next commit starts the log file from its beginning.
   */
  checkpoint(): void {
    this.#db.pragma('wal_checkpoint(PASSIVE)')
  }

  /** The same after another connection's checkpoint under way, which is waited for. */
  finishCheckpoint(): void {
    this.#db.pragma('wal_checkpoint(FULL)')
  }

  /** The last connection to close also removes the write-ahead log. */
  close(): void {
    this.#statements.clear()
    this.#db.close()
  }

  #prepare(sql: string): Database.Statement {
    const known = this.#statements.get(sql)
    if (known !== undefined) return known
    const statement = this.#db.prepare(sql)
    if (this.#statements.size >= PREPARED_STATEMENTS) this.#statements.clear()
    this.#statements.set(sql, statement)
    return statement
  }
}

/**
 * Writes the database as it is at this moment to a new file, while others go on writing to it.
 * @throws when `into` exists.
 */
export function copyDatabaseFile(path: string, into: string): void {
  createPrivate(into)
  const db = new Database(path, { readonly: true, timeout: BUSY_TIMEOUT_MS })
  try {
    db.prepare('VACUUM INTO ?').run(into)
  } finally {
    db.close()
  }
}

/** The connection that only checkpoints, in its own thread, so that no commit waits for it. */
export class CheckpointConnection {
  readonly #db: Database.Database

  constructor(path: string) {
    this.#db = new Database(path, { fileMustExist: true, timeout: BUSY_TIMEOUT_MS })
    this.#db.pragma('wal_autocheckpoint = 0')
  }

  checkpoint(): void {
    this.#db.pragma('wal_checkpoint(PASSIVE)')
  }

  close(): void {
    this.#db.close()
  }
}

function createPrivate(path: string): void {
  if (existsSync(path)) return
  closeSync(openSync(path, 'a', 0o600))
  // The name itself must survive power loss too.
  const directory = openSync(dirname(path), 'r')
  try {
    fsyncSync(directory)
  } finally {
    closeSync(directory)
  }
}

export function toFailure(error: unknown): SqlFailure {
  if (!(error instanceof Error)) return { code: 'UNKNOWN', message: String(error) }
  const code = 'code' in error && typeof error.code === 'string' ? error.code : error.name
  return { code, message: error.message }
}
