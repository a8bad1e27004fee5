import { settle, type SimulatedEnv } from './simulated-env.js'

/** Turns that a chain of messages takes at most from one end to the other and back. */
const turns = 10

/**
 * Moves time by `ms`, from due timer to due timer, and lets whole conversations end in between, not only
 * what waits for promises.
 */
export async function runFor(env: SimulatedEnv, ms: number): Promise<void> {
  const untilMs = env.monotonicMs() + ms
  for (;;) {
    for (let turn = 0; turn < turns; turn++) await settle()
    const dueMs = env.nextDueMs()
    if (dueMs === undefined || dueMs > untilMs) break
    env.advance(Math.max(0, dueMs - env.monotonicMs()))
  }
  env.advance(Math.max(0, untilMs - env.monotonicMs()))
}
