import { setMaxListeners } from 'node:events'
import type { Env } from '../env/env.js'

/** Runs `work` with a signal that aborts after `delayMs`. Leaves no timer behind. */
export async function withDeadline<T>(
  env: Env,
  delayMs: number,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const abort = new AbortController()
  // Every task of the node may wait under one deadline: many listeners are no leak.
  setMaxListeners(0, abort.signal)
  const cancel = env.after(delayMs, () => abort.abort(new Error(`it took longer than ${delayMs} ms`)))
  try {
    return await work(abort.signal)
  } finally {
    cancel()
  }
}
