import { randomInt } from 'node:crypto'
import type { Env } from './env.js'
import type { Logger } from './log.js'
import { pooledRandomBytes } from './random.js'

/** The real clock, timers and randomness of this process. */
export function systemEnv(log: Logger): Env {
  return {
    nowMs: () => Date.now(),
    monotonicMs: () => performance.now(),
    after(delayMs, fn) {
      const timer = setTimeout(fn, delayMs)
      return () => clearTimeout(timer)
    },
    randomInt: (bound) => randomInt(bound),
    randomBytes: pooledRandomBytes,
    log,
  }
}
