import { InvariantError, type Entry, type SnapshotMetadata } from './types.js'

/** Roughly what an entry takes on the wire besides its payload. */
const ENTRY_OVERHEAD_BYTES = 16

/**
 * The log in memory, from the snapshot on. All of it stays in memory until it is compacted, so that
 * the protocol never waits for a disk; the node compacts as soon as the objects are persisted.
 */
export class RaftLog {
  /** Entry `i` has index `#start + 1 + i`. */
  #entries: Entry[]
  #start: number
  #startTerm: number
  #committed: number
  #applied: number
  /** Last index given to the driver for writing. */
  #taken: number
  #stable: number
  #epoch = 0

  /** @throws {InvariantError} if the entries have gaps, or commit and applied lie outside of them. */
  constructor(
    start: Pick<SnapshotMetadata, 'index' | 'term'>,
    entries: readonly Entry[],
    commit: number,
    appliedIndex: number,
  ) {
    this.#start = start.index
    this.#startTerm = start.term
    this.#entries = [...entries]
    for (const [i, entry] of entries.entries()) {
      if (entry.index !== start.index + 1 + i) {
        throw new InvariantError(`the log has a gap before entry ${entry.index}`)
      }
    }
    if (appliedIndex < start.index) {
      throw new InvariantError(`the state ends at ${appliedIndex}, but the log begins after ${start.index}`)
    }
    if (appliedIndex > this.lastIndex) {
      throw new InvariantError(`the state is at ${appliedIndex}, but the log ends at ${this.lastIndex}`)
    }
    if (commit > this.lastIndex) {
      throw new InvariantError(`committed up to ${commit}, but the log ends at ${this.lastIndex}`)
    }
    // What was applied was committed, and so was the snapshot.
    this.#committed = Math.max(commit, appliedIndex, start.index)
    this.#applied = appliedIndex
    this.#taken = this.lastIndex
    this.#stable = this.lastIndex
  }

  /** Index before the first entry. */
  get start(): number {
    return this.#start
  }

  get lastIndex(): number {
    return this.#start + this.#entries.length
  }

  get lastTerm(): number {
    return this.#entries.at(-1)?.term ?? this.#startTerm
  }

  get committed(): number {
    return this.#committed
  }

  /** Last index given to the driver for applying. */
  get applied(): number {
    return this.#applied
  }

  /** Last index known to be on this member's disk. */
  get stable(): number {
    return this.#stable
  }

  /** Changes when entries are replaced, so that a write begun before does not count for the new ones. */
  get epoch(): number {
    return this.#epoch
  }

  /** Term of the entry at `index`; undefined if the log does not reach there. */
  term(index: number): number | undefined {
    if (index === this.#start) return this.#startTerm
    return this.#entries[index - this.#start - 1]?.term
  }

  /** Adds own entries at the end. */
  append(entry: Entry): void {
    if (entry.index !== this.lastIndex + 1) throw new InvariantError('own entries go to the end of the log')
    this.#entries.push(entry)
  }

  /**
   * A leader's entries after `prevIndex`. Entries that conflict are replaced along with all that follow.
   * Returns the index of the last of them, or undefined if the logs do not agree at `prevIndex`.
   */
  tryAppend(prevIndex: number, prevTerm: number, entries: readonly Entry[]): number | undefined {
    if (this.term(prevIndex) !== prevTerm) return undefined
    const fresh = entries.findIndex((entry) => this.term(entry.index) !== entry.term)
    const first = entries[fresh]
    if (first !== undefined) {
      if (first.index <= this.#committed) {
        throw new InvariantError(`entry ${first.index} is committed and would be replaced`)
      }
      if (first.index <= this.lastIndex) {
        this.#entries.length = first.index - this.#start - 1
        this.#taken = Math.min(this.#taken, first.index - 1)
        this.#stable = Math.min(this.#stable, first.index - 1)
        this.#epoch++
      }
      // Not push(...entries): a message may hold more entries than a call takes arguments.
      for (const entry of entries.slice(fresh)) this.#entries.push(entry)
    }
    return prevIndex + entries.length
  }

  /** The last index at or before `index` whose term is at most `term`: where two logs may agree. */
  findAtMost(index: number, term: number): { index: number; term: number } {
    let at = Math.min(index, this.lastIndex)
    for (; at > this.#start; at--) {
      const found = this.term(at)
      if (found !== undefined && found <= term) return { index: at, term: found }
    }
    return { index: at, term: this.term(at) ?? 0 }
  }

  /** Moves the commit index; never back. @throws {InvariantError} if the log is shorter. */
  commitTo(index: number): void {
    if (index <= this.#committed) return
    if (index > this.lastIndex) {
      throw new InvariantError(`told to commit ${index}, but the log ends at ${this.lastIndex}`)
    }
    this.#committed = index
  }

  /** Entries from `from` to `to`, at least one, up to about `maxBytes`. */
  from(from: number, to: number, maxBytes: number): Entry[] {
    const entries: Entry[] = []
    let bytes = 0
    for (let i = from - this.#start - 1; i < to - this.#start; i++) {
      const entry = this.#entries[i]
      if (entry === undefined) break
      bytes += entry.data.byteLength + ENTRY_OVERHEAD_BYTES
      if (entries.length > 0 && bytes > maxBytes) break
      entries.push(entry)
    }
    return entries
  }

  /** Entries in (`after`, `to`]. */
  range(after: number, to: number): Entry[] {
    return this.#entries.slice(after - this.#start, to - this.#start)
  }

  /** Entries not yet given to the driver for writing. */
  takeUnsaved(): Entry[] {
    const entries = this.range(this.#taken, this.lastIndex)
    this.#taken = this.lastIndex
    return entries
  }

  /** Committed entries not yet given to the driver for applying, at most `maxCount`. */
  takeCommitted(maxCount: number): Entry[] {
    const to = Math.min(this.#committed, this.#applied + maxCount)
    const entries = this.range(this.#applied, to)
    this.#applied = to
    return entries
  }

  /**
   * Entries up to `index` are on disk. Ignored if entries were replaced after that write began: the disk
   * may hold the older ones, and the write of the newer ones reports in its turn.
   */
  saved(index: number, epoch: number): void {
    if (epoch === this.#epoch) this.#stable = Math.max(this.#stable, index)
  }

  /** Replaces the whole log by a snapshot, whose content the state machine installs. */
  restore(snapshot: SnapshotMetadata): void {
    this.#entries = []
    this.#start = snapshot.index
    this.#startTerm = snapshot.term
    this.#committed = snapshot.index
    this.#applied = snapshot.index
    this.#taken = snapshot.index
    this.#stable = snapshot.index
    this.#epoch++
  }

  /** Forgets entries up to `index`, which must be applied and on disk. Returns false if there are none. */
  compact(index: number): boolean {
    if (index > this.#applied || index > this.#stable) {
      throw new InvariantError(`entry ${index} is not applied and saved, so it cannot be compacted`)
    }
    const term = this.term(index)
    if (index <= this.#start || term === undefined) return false
    this.#entries.splice(0, index - this.#start)
    this.#start = index
    this.#startTerm = term
    return true
  }
}
