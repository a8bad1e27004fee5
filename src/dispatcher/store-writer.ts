import type { Env } from '../env/env.js'
import { SwarmError } from '../model/errors.js'
import type { Store, Tx } from '../store/store.js'

interface Write {
  readonly fn: (tx: Tx) => void
  readonly weight: number
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/** Objects that one transaction changes at most. Behaviour: moby/swarmkit manager/state/store/memory.go. */
const maxWeight = 200
/** Others must get their turn, elections above all. */
const sliceMs = 4

/**
 * Gathers the many small writes of one turn, of whatever node, in few transactions: thousands of nodes
 * report at once after a change of leader.
 */
export class StoreWriter {
  readonly #env: Env
  readonly #store: Store
  readonly #queue: Write[] = []
  #scheduled = false
  #stopped = false

  constructor(env: Env, store: Store) {
    this.#env = env
    this.#store = store
  }

  /**
   * Runs `fn` within a transaction that others share, so it must throw only if nothing else helps.
   * @param weight number of objects that it changes at most.
   * @returns resolves after the commit; rejects as `Store.update` does, and with Unavailable after `stop`.
   */
  write(fn: (tx: Tx) => void, weight = 1): Promise<void> {
    if (this.#stopped) return Promise.reject(stoppedError())
    return new Promise((resolve, reject) => {
      this.#queue.push({ fn, weight, resolve, reject })
      if (this.#scheduled) return
      this.#scheduled = true
      setImmediate(() => this.#flush())
    })
  }

  /** Nothing is written any more. */
  stop(): void {
    this.#stopped = true
    for (const { reject } of this.#queue.splice(0)) reject(stoppedError())
  }

  #flush(): void {
    this.#scheduled = false
    const startMs = this.#env.monotonicMs()
    while (this.#queue.length > 0) {
      if (this.#env.monotonicMs() - startMs > sliceMs) {
        this.#scheduled = true
        setImmediate(() => this.#flush())
        return
      }
      this.#run(this.#takeGroup())
    }
  }

  #takeGroup(): readonly Write[] {
    let weight = 0
    let count = 0
    for (const write of this.#queue) {
      weight += write.weight
      if (count > 0 && weight > maxWeight) break
      count++
    }
    return this.#queue.splice(0, count)
  }

  #run(group: readonly Write[]): void {
    this.#store
      .update((tx) => {
        for (const { fn } of group) fn(tx)
      })
      .then(
        () => group.forEach(({ resolve }) => resolve()),
        (error: unknown) => this.#failed(group, error),
      )
  }

  /** One bad write must not take the others with it. */
  #failed(group: readonly Write[], error: unknown): void {
    const lost = error instanceof SwarmError && (error.code === 'Unavailable' || error.code === 'Unknown')
    if (lost || this.#stopped || group.length === 1) {
      for (const { reject } of group) reject(error)
      return
    }
    for (const write of group) this.#run([write])
  }
}

function stoppedError(): SwarmError {
  return new SwarmError('Unavailable', 'this manager does not lead the swarm any more')
}
