import type { Env } from '../../../src/env/env.js'
import { silentLog } from '../../../src/env/log.js'

interface Timer {
  readonly dueMs: number
  readonly order: number
  fn: (() => void) | undefined
}

/** One clock for a whole cluster: a heap of timers, since every message in flight is one. */
export class SimulatedClock {
  #nowMs = 0
  #order = 0
  readonly #heap: Timer[] = []

  get nowMs(): number {
    return this.#nowMs
  }

  after(delayMs: number, fn: () => void): () => void {
    const timer: Timer = { dueMs: this.#nowMs + Math.max(0, delayMs), order: this.#order++, fn }
    this.#push(timer)
    return () => {
      timer.fn = undefined
    }
  }

  /** Runs the next timer. Returns false if there is none before `untilMs`; the clock then shows `untilMs`. */
  runNext(untilMs: number): boolean {
    for (;;) {
      const timer = this.#heap[0]
      if (timer === undefined || timer.dueMs > untilMs) {
        this.#nowMs = untilMs
        return false
      }
      this.#pop()
      if (timer.fn === undefined) continue
      this.#nowMs = timer.dueMs
      timer.fn()
      return true
    }
  }

  /** A member's view of time. @param rate of its clock: 1.1 runs ten per cent fast. */
  env(random: (bound: number) => number, rate: number): Env {
    return {
      nowMs: () => this.#nowMs * rate,
      monotonicMs: () => this.#nowMs * rate,
      after: (delayMs, fn) => this.after(delayMs / rate, fn),
      randomInt: random,
      randomBytes: (length) => Buffer.from(Array.from({ length }, () => random(256))),
      log: silentLog,
    }
  }

  #push(timer: Timer): void {
    const heap = this.#heap
    heap.push(timer)
    let at = heap.length - 1
    while (at > 0) {
      const parentAt = (at - 1) >> 1
      const parent = heap[parentAt]
      if (parent === undefined || before(parent, timer)) break
      heap[at] = parent
      at = parentAt
    }
    heap[at] = timer
  }

  #pop(): void {
    const heap = this.#heap
    const last = heap.pop()
    if (last === undefined || heap.length === 0) return
    let at = 0
    for (;;) {
      let childAt = at * 2 + 1
      let child = heap[childAt]
      if (child === undefined) break
      const right = heap[childAt + 1]
      if (right !== undefined && before(right, child)) {
        child = right
        childAt++
      }
      if (before(last, child)) break
      heap[at] = child
      at = childAt
    }
    heap[at] = last
  }
}

function before(a: Timer, b: Timer): boolean {
  return a.dueMs < b.dueMs || (a.dueMs === b.dueMs && a.order < b.order)
}
