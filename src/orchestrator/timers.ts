import type { Env } from '../env/env.js'

/** One timer for each of many things: setting it again moves it. */
export class KeyedTimers {
  readonly #env: Env
  readonly #cancels = new Map<string, () => void>()

  constructor(env: Env) {
    this.#env = env
  }

  /** Runs `fn` at `atMs` (wall clock, Unix ms), at once when that has passed. */
  set(key: string, atMs: number, fn: () => void): void {
    this.clear(key)
    const cancel = this.#env.after(Math.max(0, atMs - this.#env.nowMs()), () => {
      this.#cancels.delete(key)
      fn()
    })
    this.#cancels.set(key, cancel)
  }

  clear(key: string): void {
    this.#cancels.get(key)?.()
    this.#cancels.delete(key)
  }

  clearAll(): void {
    for (const cancel of this.#cancels.values()) cancel()
    this.#cancels.clear()
  }
}
