import { SwarmError } from '../model/errors.js'
import type { Store } from './store.js'
import type { Tx } from './transaction.js'

/** Objects looked at or changed before other work of the process gets its turn. */
const costPerTurn = 200
/** Transactions in flight before the first of them is waited for. */
const maxInFlight = 64

/**
 * The writes of one tick of a loop. Transactions follow each other without waiting for their commits; the
 * tick ends when all of them are committed.
 */
export class Work {
  readonly #store: Store
  readonly #signal: AbortSignal
  readonly #inFlight = new Set<Promise<void>>()
  #failure: Error | undefined
  #cost = 0

  constructor(store: Store, signal: AbortSignal) {
    this.#store = store
    this.#signal = signal
  }

  /** False once the lead is lost or something has failed: then nothing more is begun. */
  get mayGoOn(): boolean {
    return this.#failure === undefined && !this.#signal.aborted
  }

  /**
   * Runs `fn` now. `redo` is called if it fails, or if its commit does; `end` then throws. `done` is called
   * when it is committed.
   */
  update(fn: (tx: Tx) => void, redo?: () => void, done?: () => void): void {
    const write: Promise<void> = this.#store.update(fn).then(
      () => {
        this.#inFlight.delete(write)
        done?.()
      },
      (error: unknown) => {
        this.#inFlight.delete(write)
        redo?.()
        this.#failure ??= error instanceof Error ? error : new SwarmError('Unknown', String(error))
      },
    )
    this.#inFlight.add(write)
  }

  /** Lets the rest of the process run after a certain amount of work, and the log keep up. */
  async breathe(cost: number): Promise<void> {
    if (this.#inFlight.size >= maxInFlight) await Promise.race(this.#inFlight)
    this.#cost += cost
    if (this.#cost < costPerTurn) return
    this.#cost = 0
    await new Promise<void>((resolve) => setImmediate(resolve))
  }

  /** Resolves when everything is committed. Throws the first failure. */
  async end(): Promise<void> {
    await Promise.all(this.#inFlight)
    if (this.#failure !== undefined) throw this.#failure
  }
}
