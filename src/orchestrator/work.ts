import { SwarmError } from '../model/errors.js'
import type { Store } from '../store/store.js'
import type { Tx } from '../store/transaction.js'

/** Objects looked at or changed before other work of the process gets its turn. */
const costPerTurn = 400

/**
 * The writes of one tick. Transactions follow each other without waiting for their commits; the tick
 * ends when all of them are committed.
 */
export class Work {
  readonly #store: Store
  readonly #signal: AbortSignal
  readonly #writes: Promise<void>[] = []
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

  /** Runs `fn` now. `redo` is called if it fails, or if its commit does; `end` then throws. */
  update(fn: (tx: Tx) => void, redo: () => void): void {
    const failed = (error: unknown) => {
      redo()
      this.#failure ??= error instanceof Error ? error : new SwarmError('Unknown', String(error))
    }
    this.#writes.push(this.#store.update(fn).catch(failed))
  }

  /** Lets the rest of the process run after a certain amount of work. */
  async breathe(cost: number): Promise<void> {
    this.#cost += cost
    if (this.#cost < costPerTurn) return
    this.#cost = 0
    await new Promise<void>((resolve) => setImmediate(resolve))
  }

  /** Resolves when everything is committed. Throws the first failure. */
  async end(): Promise<void> {
    await Promise.all(this.#writes)
    if (this.#failure !== undefined) throw this.#failure
  }
}
