import type { Env } from '../env/env.js'

/** How long one stretch of work may hold the event loop. */
export const sliceMs = 4

/**
 * Calls `fn` for each item and gives way to other work every few milliseconds. Stops early, without an error,
 * when `signal` aborts.
 */
export async function inSlices<T>(
  env: Env,
  items: Iterable<T>,
  fn: (item: T) => void,
  signal: AbortSignal,
): Promise<void> {
  const slices = new Slices(env)
  for (const item of items) {
    if (signal.aborted) return
    fn(item)
    if (slices.isOver) await slices.next()
  }
}

/** Measures how long work has held the event loop. */
export class Slices {
  readonly #env: Env
  #endMs: number

  constructor(env: Env) {
    this.#env = env
    this.#endMs = env.monotonicMs() + sliceMs
  }

  get isOver(): boolean {
    return this.#env.monotonicMs() >= this.#endMs
  }

  /** Resolves in a later turn, when other work has had its chance. */
  async next(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve))
    this.#endMs = this.#env.monotonicMs() + sliceMs
  }
}
