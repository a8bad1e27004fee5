import type { Env } from '../../src/env/env.js'
import { silentLog, type Logger } from '../../src/env/log.js'

/** mulberry32: small, fast, and the same on every machine. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

interface Timer {
  readonly dueMs: number
  readonly order: number
  readonly fn: () => void
}

/** An `Env` whose time moves only by `advance`, and whose randomness comes from a seed. */
export class SimulatedEnv implements Env {
  readonly log: Logger
  #monotonicMs = 0
  #order = 0
  readonly #startMs: number
  readonly #timers = new Set<Timer>()
  readonly #random: () => number

  constructor(seed = 1, options: { startMs?: number; log?: Logger } = {}) {
    this.#random = seededRandom(seed)
    this.#startMs = options.startMs ?? Date.UTC(2026, 0, 1)
    this.log = options.log ?? silentLog
  }

  nowMs(): number {
    return this.#startMs + this.#monotonicMs
  }

  monotonicMs(): number {
    return this.#monotonicMs
  }

  after(delayMs: number, fn: () => void): () => void {
    const timer = { dueMs: this.#monotonicMs + Math.max(0, delayMs), order: this.#order++, fn }
    this.#timers.add(timer)
    return () => this.#timers.delete(timer)
  }

  randomInt(bound: number): number {
    return Math.floor(this.#random() * bound)
  }

  randomBytes(length: number): Buffer {
    return Buffer.from(Array.from({ length }, () => this.randomInt(256)))
  }

  /** When the next timer is due, or undefined. */
  nextDueMs(): number | undefined {
    return this.#next()?.dueMs
  }

  /**
   * Moves time by `ms`, from due timer to due timer; each sees its own due time as "now".
   * Timers due at once run in the order of their creation.
   */
  advance(ms: number): void {
    const untilMs = this.#monotonicMs + ms
    for (let next = this.#next(); next !== undefined && next.dueMs <= untilMs; next = this.#next()) {
      this.#timers.delete(next)
      this.#monotonicMs = Math.max(this.#monotonicMs, next.dueMs)
      next.fn()
    }
    this.#monotonicMs = untilMs
  }

  /** The process stood still for so long: what was due meanwhile fires late. */
  jump(ms: number): void {
    this.#monotonicMs += ms
  }

  /** Like `advance`, but lets promises settle after each timer. */
  async advanceAsync(ms: number): Promise<void> {
    const untilMs = this.#monotonicMs + ms
    await settle()
    for (let next = this.#next(); next !== undefined && next.dueMs <= untilMs; next = this.#next()) {
      this.#timers.delete(next)
      this.#monotonicMs = Math.max(this.#monotonicMs, next.dueMs)
      next.fn()
      await settle()
    }
    this.#monotonicMs = untilMs
  }

  #next(): Timer | undefined {
    let best: Timer | undefined
    for (const timer of this.#timers) {
      if (
        best === undefined ||
        timer.dueMs < best.dueMs ||
        (timer.dueMs === best.dueMs && timer.order < best.order)
      ) {
        best = timer
      }
    }
    return best
  }
}

/** Lets everything that only waits for promises (not for I/O) run to its next real wait. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
