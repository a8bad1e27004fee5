import { SwarmError } from '../../src/model/errors.js'
import type { Env } from '../../src/env/env.js'
import type { Proposer } from '../../src/store/proposer.js'
import { Store } from '../../src/store/store.js'

interface Entry {
  readonly index: number
  readonly data: Uint8Array
}

/**
 * A log of one member in memory. Commits each entry in a later turn, in order; while `held`, only when
 * `commit` is called.
 */
export class MemoryLog implements Proposer {
  readonly entries: Entry[] = []
  readonly #waiting: Entry[] = []
  #apply: (index: number, data: Uint8Array) => void = () => undefined
  leads = true
  held = false

  /** Where committed entries go. */
  deliverTo(store: Store): void {
    this.#apply = (index, data) => store.apply(index, data)
  }

  propose(data: Uint8Array): number {
    if (!this.leads) throw new SwarmError('Unavailable', 'not the leader')
    const entry = { index: this.#lastIndex() + 1, data }
    this.#waiting.push(entry)
    if (!this.held) setImmediate(() => this.commit(1))
    return entry.index
  }

  /** Commits the next `count` entries, by default all. */
  commit(count = this.#waiting.length): void {
    for (const entry of this.#waiting.splice(0, count)) {
      this.entries.push(entry)
      this.#apply(entry.index, entry.data)
    }
  }

  /** An entry that somebody else wrote. */
  receive(data: Uint8Array): void {
    const entry = { index: this.#lastIndex() + 1, data }
    this.entries.push(entry)
    this.#apply(entry.index, data)
  }

  /** Forgets what is not committed: another leader's log has won. */
  lose(): void {
    this.#waiting.length = 0
  }

  #lastIndex(): number {
    return this.#waiting.at(-1)?.index ?? this.entries.at(-1)?.index ?? 0
  }
}

/** A store on a log in memory. */
export function memoryStore(env: Env): { readonly store: Store; readonly log: MemoryLog } {
  const log = new MemoryLog()
  const store = new Store(env, log)
  log.deliverTo(store)
  return { store, log }
}
