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
import type { Env } from '../env/env.js'
import type { Companion } from '../store/persistence.js'
import type { Commit } from '../store/store.js'
import { toEvent, type SwarmEvent } from './event.js'

/** So many events of the objects, and as many of tasks, can be asked for later. Docker keeps 256, in memory. */
const keptEvents = 10_000

/** Tasks tell much more than the rest and must not crowd it out. */
type Kind = 'objects' | 'tasks'
const kinds: readonly Kind[] = ['objects', 'tasks']

/** A row holds the events of one kind that became durable together, sealed. */
export const eventSchema: readonly string[] = [
  `CREATE TABLE IF NOT EXISTS events (
    seq INTEGER PRIMARY KEY, kind TEXT NOT NULL, count INTEGER NOT NULL,
    first_ms INTEGER NOT NULL, last_ms INTEGER NOT NULL, data BLOB NOT NULL)`,
]

const sealedEvents: SealedColumn = {
  table: 'events',
  column: 'data',
  key: ['seq'],
  context: (row) => rowContext(numberColumn(row, 'seq')),
}

/** Open where a side is not given. Unix nanoseconds, both ends included. */
export interface TimeRange {
  readonly since: bigint | undefined
  readonly until: bigint | undefined
}

export interface EventQuery extends TimeRange {
  /** Whether events of tasks are wanted as well. */
  readonly tasks: boolean
}

export type EventListener = (event: SwarmEvent) => void

interface KeptRow {
  readonly seq: number
  readonly count: number
}

/**
 * What happened to the cluster's objects, as this manager saw it. The events of a commit become durable in the
 * same transaction as its objects, so that a restart neither loses nor repeats any. A manager that was sent a
 * snapshot has no events of what the snapshot jumped over.
 */
export class EventLog implements Companion {
  readonly sealed = sealedEvents
  readonly #env: Env
  readonly #db: Pick<DatabaseThread, 'read'>
  readonly #sealer: Sealer
  readonly #kept: Readonly<Record<Kind, KeptRow[]>>
  readonly #listeners = new Set<EventListener>()
  #pending: SwarmEvent[] = []
  #nextSeq: number
  /** Rows up to this one are on disk, and what they hold is not pending any more. */
  #durableSeq: number

  /** @param rows those on disk, in order; `open` reads them. */
  constructor(
    env: Env,
    db: Pick<DatabaseThread, 'read'>,
    sealer: Sealer,
    rows: readonly (KeptRow & { readonly kind: string })[] = [],
  ) {
    this.#env = env
    this.#db = db
    this.#sealer = sealer
    this.#durableSeq = rows.at(-1)?.seq ?? 0
    this.#nextSeq = this.#durableSeq + 1
    this.#kept = {
      objects: rows.filter(({ kind }) => kind === 'objects'),
      tasks: rows.filter(({ kind }) => kind === 'tasks'),
    }
  }

  /** @param db with `eventSchema`. */
  static async open(env: Env, db: Pick<DatabaseThread, 'read'>, sealer: Sealer): Promise<EventLog> {
    const rows = await db.read('SELECT seq, kind, count FROM events ORDER BY seq')
    return new EventLog(
      env,
      db,
      sealer,
      rows.map((row) => ({
        seq: numberColumn(row, 'seq'),
        kind: textColumn(row, 'kind'),
        count: numberColumn(row, 'count'),
      })),
    )
  }

  /** To be called with each commit, in order. */
  onCommit({ changes }: Commit): void {
    const nowMs = this.#env.nowMs()
    for (const change of changes) {
      const event = toEvent(change, nowMs)
      if (event === undefined) continue
      this.#pending.push(event)
      for (const listener of this.#listeners) listener(event)
    }
    // Only a disk that refuses lets so many wait.
    if (this.#pending.length > 4 * keptEvents) this.#pending = this.#pending.slice(-2 * keptEvents)
  }

  /** Calls `listener` with every event from now on, those of tasks included. */
  listen(listener: EventListener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /**
   * The events of a time, oldest first, of those up to the call.
   * @throws {SealError} when a row does not open.
   */
  async range(query: EventQuery): Promise<readonly SwarmEvent[]> {
    const pending = this.#pending
    const pendingCount = pending.length
    const rows = await this.#db.read(
      'SELECT seq, kind, data FROM events WHERE seq <= ? AND last_ms >= ? AND first_ms <= ? ORDER BY seq',
      [this.#durableSeq, toMs(query.since, 0), toMs(query.until, Number.MAX_SAFE_INTEGER)],
    )
    const stored = rows
      .filter((row) => query.tasks || textColumn(row, 'kind') === 'objects')
      .flatMap((row) => this.#decode(row))
    return [...stored, ...pending.slice(0, pendingCount)].filter(
      (event) => (query.tasks || event.type !== 'task') && isWithin(event, query),
    )
  }

  take(): { readonly ops: readonly SqlOp[]; readonly done: () => void } {
    const taken = this.#pending
    const takenCount = taken.length
    const rows = kinds.flatMap((kind) => {
      const events = taken.slice(0, takenCount).filter(({ type }) => (type === 'task') === (kind === 'tasks'))
      return events.length === 0 ? [] : [{ seq: this.#nextSeq++, kind, events }]
    })
    const outdated = rows.map(({ kind, events }) => ({ kind, seqs: this.#outdated(kind, events.length) }))
    const ops = [
      ...rows.map(({ seq, kind, events }) => this.#put(seq, kind, events)),
      ...outdated.flatMap(({ seqs }) =>
        seqs.map((seq) => ({ sql: 'DELETE FROM events WHERE seq = ?', params: [seq] })),
      ),
    ]
    const done = () => {
      // A new array: who reads the old one at this moment keeps it.
      this.#pending = this.#pending.slice(takenCount)
      for (const { kind, seqs } of outdated) this.#kept[kind].splice(0, seqs.length)
      for (const { seq, kind, events } of rows) this.#kept[kind].push({ seq, count: events.length })
      this.#durableSeq = rows.at(-1)?.seq ?? this.#durableSeq
    }
    return { ops, done }
  }

  /** The oldest rows that are not needed once `added` events have come. */
  #outdated(kind: Kind, added: number): readonly number[] {
    const rows = this.#kept[kind]
    let surplus = rows.reduce((sum, { count }) => sum + count, added) - keptEvents
    const seqs: number[] = []
    for (const { seq, count } of rows) {
      if (surplus < count) break
      surplus -= count
      seqs.push(seq)
    }
    return seqs
  }

  #put(seq: number, kind: Kind, events: readonly SwarmEvent[]): SqlOp {
    const timesMs = events.map(({ timeNs }) => Number(timeNs / 1_000_000n))
    const plain = JSON.stringify(events.map((event) => ({ ...event, timeNs: event.timeNs.toString() })))
    return {
      sql: 'INSERT INTO events (seq, kind, count, first_ms, last_ms, data) VALUES (?, ?, ?, ?, ?, ?)',
      params: [
        seq,
        kind,
        events.length,
        timesMs.reduce((least, time) => Math.min(least, time)),
        timesMs.reduce((most, time) => Math.max(most, time)),
        this.#sealer.seal(Buffer.from(plain), rowContext(seq)),
      ],
    }
  }

  #decode(row: SqlRow): readonly SwarmEvent[] {
    const plain = this.#sealer.open(blobColumn(row, 'data'), rowContext(numberColumn(row, 'seq')))
    const events = JSON.parse(Buffer.from(plain).toString()) as (Omit<SwarmEvent, 'timeNs'> & {
      readonly timeNs: string
    })[]
    return events.map((event) => ({ ...event, timeNs: BigInt(event.timeNs) }))
  }
}

export function isWithin({ timeNs }: SwarmEvent, { since, until }: TimeRange): boolean {
  return (since === undefined || timeNs >= since) && (until === undefined || timeNs <= until)
}

function toMs(timeNs: bigint | undefined, otherwise: number): number {
  return timeNs === undefined ? otherwise : Number(timeNs / 1_000_000n)
}

/** Binds a sealed row to its place. */
function rowContext(seq: number): string {
  return `events/${seq}`
}
