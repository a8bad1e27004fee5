import type { Entry, LogBatch, LogState, MemberId, Message } from '../../../src/raft/index.js'
import { mix, type MachineState } from './register-machine.js'

/** A rule that no run may break was broken. */
export class Violation extends Error {
  override readonly name = 'Violation'
}

interface Written {
  readonly data: Uint8Array
  readonly prevTerm: number | undefined
}

/** Sees everything that happens in the cluster and knows what must never happen. */
export class Oracle {
  readonly #leaders = new Map<number, MemberId>()
  /** Entries ever written, by index and term: equal ones must be equal in content and in what is before. */
  readonly #written = new Map<string, Written>()
  /** Terms of committed entries, by index. */
  readonly #committed = new Map<number, number>()
  /** Hash of the state after each applied entry, by index. */
  readonly #applied = new Map<number, number>()
  #appliedTo = 0
  #observedIndex = 0
  #trace = 7
  readonly #lines: string[] | undefined
  readonly counts = {
    leaders: 0,
    applied: 0,
    acknowledged: 0,
    reads: 0,
    snapshots: 0,
    crashes: 0,
    changes: 0,
    transfers: 0,
    diskFailures: 0,
    compactions: 0,
    witnesses: 0,
  }

  /** @param verbose keeps a readable trace. */
  constructor(verbose: boolean) {
    this.#lines = verbose ? [] : undefined
  }

  get traceHash(): number {
    return this.#trace
  }

  get lines(): readonly string[] {
    return this.#lines ?? []
  }

  /** Highest index whose effect any client has seen. */
  get observedIndex(): number {
    return this.#observedIndex
  }

  get appliedTo(): number {
    return this.#appliedTo
  }

  trace(nowMs: number, ...values: readonly (string | number)[]): void {
    this.#trace = mix(this.#trace, nowMs)
    for (const value of values) {
      if (typeof value === 'number') this.#trace = mix(this.#trace, value)
      else for (let i = 0; i < value.length; i++) this.#trace = mix(this.#trace, value.charCodeAt(i))
    }
    this.#lines?.push(`${nowMs.toFixed(1)} ${values.join(' ')}`)
  }

  /** Election safety, and leader completeness when a leader first speaks. */
  onSend(message: Message, log: LogState, isWitness: boolean): void {
    if (isWitness && !message.type.endsWith('Reply')) throw new Violation(`a witness sent ${message.type}`)
    if (message.type !== 'append' && message.type !== 'heartbeat' && message.type !== 'snapshot') return
    const known = this.#leaders.get(message.term)
    if (known === message.from) return
    if (known !== undefined) {
      throw new Violation(`two leaders in term ${message.term}: ${known} and ${message.from}`)
    }
    this.#leaders.set(message.term, message.from)
    this.counts.leaders++
    for (const [index, term] of this.#committed) {
      if (index <= log.snapshot.index) continue
      if (log.entries[index - log.snapshot.index - 1]?.term !== term) {
        throw new Violation(`${message.from} leads term ${message.term} without committed entry ${index}`)
      }
    }
  }

  /** Log matching: an entry of one index and term is the same everywhere, and so is all before it. */
  onSave(before: LogState, after: LogState, batch: LogBatch, isWitness: boolean): void {
    if (batch.hardState.term < before.hardState.term) throw new Violation('a term went back')
    for (const entry of batch.entries) {
      const prevTerm = termAt(after, entry.index - 1)
      const key = `${entry.index}/${entry.term}`
      const known = this.#written.get(key)
      if (isWitness && entry.kind === 'data' && entry.data.byteLength > 0) {
        throw new Violation(`the witness got a payload with ${key}`)
      }
      if (known === undefined) {
        // Payloads come to a leader's disk and the witness in any order.
        if (!isWitness) this.#written.set(key, { data: entry.data, prevTerm })
        continue
      }
      const sameBefore = prevTerm === known.prevTerm || prevTerm === undefined || known.prevTerm === undefined
      const sameData =
        isWitness && entry.kind === 'data' ? true : Buffer.compare(known.data, entry.data) === 0
      if (!sameBefore || !sameData) throw new Violation(`two different entries ${key}`)
    }
  }

  /** A member went through the committed entries in (`after`, `to`], of whatever kind. */
  onCommitted(id: MemberId, log: LogState, after: number, to: number): void {
    for (let index = Math.max(after, log.snapshot.index) + 1; index <= to; index++) {
      const term = termAt(log, index)
      const known = this.#committed.get(index)
      if (term === undefined) throw new Violation(`${id} applied entry ${index} and does not have it`)
      if (known === undefined) this.#committed.set(index, term)
      else if (known !== term) throw new Violation(`committed entry ${index} was replaced on ${id}`)
    }
  }

  /** State machine safety: equal index, equal history. */
  onApply(id: MemberId, state: MachineState, index: number): void {
    this.counts.applied++
    const known = this.#applied.get(index)
    if (known === undefined) {
      this.#applied.set(index, state.hash)
      this.#appliedTo = Math.max(this.#appliedTo, index)
    } else if (known !== state.hash) {
      throw new Violation(`${id} differs from others at index ${index}: a committed entry was replaced`)
    }
  }

  /** A client was told that its write at `index` succeeded. */
  onAcknowledge(index: number): void {
    this.counts.acknowledged++
    this.#observedIndex = Math.max(this.#observedIndex, index)
  }

  /** A read on a member that had applied `appliedIndex`; `floor` had been seen when it was asked for. */
  onRead(id: MemberId, appliedIndex: number, floor: number): void {
    this.counts.reads++
    if (appliedIndex < floor) {
      throw new Violation(
        `stale read on ${id}: at ${appliedIndex}, but ${floor} had been seen before it began`,
      )
    }
    this.#observedIndex = Math.max(this.#observedIndex, Math.min(appliedIndex, this.#appliedTo))
  }

  /** Nothing that was seen may be missing in the end. */
  onConverged(id: MemberId, state: MachineState): void {
    const known = this.#applied.get(this.#appliedTo)
    if (known === undefined) return
    if (state.appliedIndex < this.#appliedTo || state.hash !== known) {
      throw new Violation(
        `${id} ended at ${state.appliedIndex}, others at ${this.#appliedTo}, or with another state`,
      )
    }
  }
}

function termAt(log: LogState, index: number): number | undefined {
  if (index === log.snapshot.index) return log.snapshot.term
  const entry: Entry | undefined = log.entries[index - log.snapshot.index - 1]
  return entry?.term
}
