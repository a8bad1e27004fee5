import type { Env } from '../env/env.js'
import { SwarmError, clusterError } from '../model/errors.js'
import { tableNames, type TableName, type Tables } from '../model/objects.js'
import { decodeActions, encodeActions, type Action } from './action.js'
import { evaluate, put, type Change } from './apply.js'
import type { Proposer } from './proposer.js'
import { emptyTables, type TableSet, type View } from './schema.js'
import { Draft, type Tx } from './transaction.js'

/** What one entry of the log changed. Given to watchers once the entry is applied. */
export interface Commit {
  readonly index: number
  readonly changes: readonly Change[]
}

export type CommitListener = (commit: Commit) => void

/** A promise as a callback's result does not compile: a transaction must not wait. */
type NotPromise<T> = T extends PromiseLike<unknown> ? never : T

interface Pending {
  readonly index: number
  readonly data: Uint8Array
  readonly changes: readonly Change[]
  readonly resolve: () => void
  readonly reject: (error: SwarmError) => void
}

/** Longest entry that a transaction may make. Behaviour: moby/swarmkit manager/state/store/memory.go. */
export const maxEntryBytes = 1.5 * 1024 * 1024

/**
 * The cluster's objects in memory: written by transactions that become entries of the log, changed only
 * by applying the log. See DESIGN.md.
 */
export class Store {
  /** Committed objects, as of `appliedIndex`. */
  readonly view: View
  readonly #committed: TableSet
  /** The committed objects with all entries in flight applied: what transactions build on. */
  readonly #head: TableSet
  readonly #pending: Pending[] = []
  readonly #listeners = new Set<CommitListener>()
  readonly #env: Env
  readonly #proposer: Proposer
  #appliedIndex = 0
  #isDrafting = false

  constructor(env: Env, proposer: Proposer) {
    this.#env = env
    this.#proposer = proposer
    this.#committed = emptyTables()
    this.#head = emptyTables()
    this.view = this.#committed
  }

  get appliedIndex(): number {
    return this.#appliedIndex
  }

  /**
   * Runs `fn` against the newest state, entries in flight included, and makes one log entry of what it
   * wrote. Resolves with `fn`'s result once that entry is committed and applied here; when `fn` throws,
   * nothing has happened. Transactions do not wait for each other's commits.
   * @throws {SwarmError} Unavailable where this member does not lead; Unknown when it lost the lead
   *   before the commit was seen: the outcome is then open.
   */
  update<T>(fn: (tx: Tx) => NotPromise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.#isDrafting) throw new Error('a transaction cannot start another one')
      const draft = new Draft(this.#env, this.#head)
      let result: T
      this.#isDrafting = true
      try {
        result = fn(draft)
        draft.close()
        if (draft.actions.length > 0) {
          this.#propose(draft, () => resolve(result), reject)
          return
        }
      } catch (error) {
        draft.close()
        draft.undo()
        reject(error)
        return
      } finally {
        this.#isDrafting = false
      }
      // What was read may still be in flight: the caller hears of it only when it is real.
      const last = this.#pending.at(-1)
      if (last === undefined) resolve(result)
      else this.#pending[this.#pending.length - 1] = alsoSettle(last, () => resolve(result), reject)
    })
  }

  /**
   * Applies the entry at `index`; empty data (raft's own entries) only moves the index. Called by the log
   * alone, in its order, on every member. Throws on what cannot be: then the process must stop.
   */
  apply(index: number, data: Uint8Array): void {
    if (index <= this.#appliedIndex)
      throw new Error(`entry ${index} is already applied (${this.#appliedIndex})`)
    const own = this.#pending[0]
    if (own !== undefined && own.data === data) {
      if (own.index !== index) throw new Error(`entry ${own.index} came back as ${index}`)
      this.#pending.shift()
      for (const change of own.changes) put(this.#committed, change.table, change.id, change.after)
      this.#publish(index, own.changes)
      own.resolve()
      return
    }
    // Somebody else's entry in between, or in its place: this member leads no more, though nobody said so.
    if (own !== undefined && (data.length > 0 || own.index <= index)) this.leadershipLost()
    const changes = decodeActions(data).map((action) => {
      const change = evaluate(this.#committed, index, action)
      put(this.#committed, change.table, change.id, change.after)
      return change
    })
    for (const change of changes) put(this.#head, change.table, change.id, change.after)
    this.#publish(index, changes)
  }

  /** This member no longer leads: entries in flight may or may not be committed later, by others. */
  leadershipLost(): void {
    const lost = this.#pending.splice(0)
    for (const { changes } of lost.toReversed()) {
      for (const { table, id } of changes.toReversed())
        put(this.#head, table, id, this.#committed[table].get(id))
    }
    for (const { reject } of lost) {
      reject(new SwarmError('Unknown', 'raft: failed to process the request: node lost leader status'))
    }
  }

  /**
   * Calls `listener` after each applied entry, in the same turn, so that reading `view` and then watching
   * misses nothing. Listeners only note what to do; a listener that throws stops the process.
   */
  watch(listener: CommitListener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Replaces everything: at start from disk, later from a snapshot. Watchers hear of the difference. */
  restore(
    index: number,
    objects: Iterable<{ readonly table: TableName; readonly object: Tables[TableName] }>,
  ): void {
    this.leadershipLost()
    const gone = new Set(
      tableNames.flatMap((table) => this.#committed[table].list().map(({ id }) => `${table}/${id}`)),
    )
    const changes: Change[] = []
    const change = (table: TableName, id: string, after: Tables[TableName] | undefined) => {
      const before = this.#committed[table].get(id)
      if (before !== undefined && before.version === after?.version) return
      changes.push({ table, id, before, after } as Change)
      put(this.#committed, table, id, after)
      put(this.#head, table, id, after)
    }
    for (const { table, object } of objects) {
      gone.delete(`${table}/${object.id}`)
      change(table, object.id, object)
    }
    for (const key of gone) {
      const [table, id] = key.split('/') as [TableName, string]
      change(table, id, undefined)
    }
    this.#publish(index, changes)
  }

  #propose(draft: Draft, resolve: () => void, reject: (error: SwarmError) => void): void {
    const data = encodeActions(draft.actions)
    if (data.length > maxEntryBytes) {
      throw clusterError(
        'InvalidArgument',
        `raft: raft message is too large and can't be sent (${data.length} bytes)`,
      )
    }
    const index = this.#proposer.propose(data)
    draft.commitAs(index)
    this.#pending.push({ index, data, changes: draft.changes, resolve, reject })
  }

  #publish(index: number, changes: readonly Change[]): void {
    this.#appliedIndex = index
    for (const listener of this.#listeners) listener({ index, changes })
  }
}

function alsoSettle(pending: Pending, resolve: () => void, reject: (error: SwarmError) => void): Pending {
  return {
    ...pending,
    resolve: () => {
      pending.resolve()
      resolve()
    },
    reject: (error) => {
      pending.reject(error)
      reject(error)
    },
  }
}

export type { Action, Change, Tx, View }
