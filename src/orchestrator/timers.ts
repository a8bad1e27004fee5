import type { Env } from '../env/env.js'

/** What timers of Node.js can hold: 24 days. */
const maxDelayMs = 2 ** 31 - 1

/** One timer for each of many things: setting it again moves it. */
export class KeyedTimers {
  readonly #env: Env
  readonly #cancels = new Map<string, () => void>()

  constructor(env: Env) {
    this.#env = env
  }

  /**
   * Runs `fn` at `atMs` (wall clock, Unix ms), at once when that has passed. Earlier where that is more
   * than 24 days away: `fn` looks for itself whether it is time.
   */
  set(key: string, atMs: number, fn: () => void): void {
    this.clear(key)
    const delayMs = Math.min(Math.max(0, atMs - this.#env.nowMs()), maxDelayMs)
    const cancel = this.#env.after(delayMs, () => {
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
