import type { Logger } from './log.js'

/**
 * All that a component may know of the outside world besides the files and sockets it is given.
 * The real one is `systemEnv`; tests use a simulated one whose time moves by `advance()`.
 */
export interface Env {
  /** Wall clock, Unix milliseconds. May jump. For timestamps that users see. */
  nowMs(): number
  /** Milliseconds from an arbitrary origin. Never goes back. For timeouts. */
  monotonicMs(): number
  /** Runs `fn` once after `delayMs` (0 = in a later turn). Returns a function that cancels it. */
  after(delayMs: number, fn: () => void): () => void
  /** Uniform integer in [0, bound). Seeded in tests. */
  randomInt(bound: number): number
  /** `length` bytes: from the system's CSPRNG; seeded in tests. */
  randomBytes(length: number): Buffer
  readonly log: Logger
}

/** Resolves after `delayMs`, rejects with the signal's reason when `signal` aborts first. */
export function sleep(env: Env, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason as Error)
      return
    }
    const onAbort = () => {
      cancel()
      reject(signal?.reason as Error)
    }
    const cancel = env.after(delayMs, () => {
      signal?.removeEventListener('abort', onAbort)
      resolve()
    })
    signal?.addEventListener('abort', onAbort, { once: true })
  })
}
