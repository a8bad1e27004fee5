import type { DataKey, KeyReadWriter } from '../ca/index.js'
import { Sealer } from '../db/index.js'
import type { Env } from '../env/env.js'
import { errorText } from '../model/errors.js'

/** Something on this manager's disk that is sealed with the data key. */
export interface SealedStore {
  /** Seals all that is not sealed with the present key again. May be broken off and repeated. */
  reseal(signal: AbortSignal): Promise<void>
}

/** A sealer for what a manager has on its disk. In the middle of a rotation the next key seals. */
export function dataSealer(dataKey: DataKey, pendingDataKey: DataKey | undefined): Sealer {
  const keys = [dataKey, ...(pendingDataKey === undefined ? [] : [pendingDataKey])]
  return new Sealer(new Map(keys.map(({ id, key }) => [id, key])), (pendingDataKey ?? dataKey).id)
}

/**
 * Replaces this manager's data key when it has been on disk in clear, that is, when the key file is locked for
 * the first time: everything is sealed again, and the former key forgotten. One that was broken off by the end
 * of the process goes on.
 * Behaviour: moby/swarmkit manager/deks.go, which waits for a snapshot and deletes what is older.
 */
export class DataKeyRotation {
  readonly #env: Env
  readonly #keys: KeyReadWriter
  readonly #sealer: Sealer
  readonly #stores: readonly SealedStore[]
  readonly #stopping = new AbortController()
  readonly #unwatch: () => void
  #running: Promise<void> = Promise.resolve()

  constructor(env: Env, keys: KeyReadWriter, sealer: Sealer, stores: readonly SealedStore[]) {
    this.#env = env
    this.#keys = keys
    this.#sealer = sealer
    this.#stores = stores
    this.#unwatch = keys.onLocked(() => this.#then(() => this.#rotate()))
    this.#then(() => (keys.pendingDataKey === undefined ? this.#rotate() : this.#finish()))
  }

  async stop(): Promise<void> {
    this.#unwatch()
    this.#stopping.abort(new Error('this manager stops'))
    await this.#running
  }

  #then(step: () => Promise<void>): void {
    this.#running = this.#running.then(step).catch((error: unknown) => {
      const text = 'the data key is not replaced yet; the next start goes on with it'
      if (!this.#stopping.signal.aborted) this.#env.log.error({ err: errorText(error) }, text)
    })
  }

  /** Nothing to do where no new key is wanted. */
  async #rotate(): Promise<void> {
    if (this.#stopping.signal.aborted || !this.#keys.dataKeyNeedsRotation) return
    // The key is on disk before anything is sealed with it.
    const { id, key } = await this.#keys.rotateDataKey(this.#env)
    this.#sealer.rotateTo(id, key)
    await this.#finish()
  }

  async #finish(): Promise<void> {
    for (const store of this.#stores) await store.reseal(this.#stopping.signal)
    await this.#keys.promoteDataKey()
    this.#sealer.forgetFormer()
    this.#env.log.info({}, 'what this manager has on disk is sealed with a new data key')
    await this.#rotate()
  }
}
