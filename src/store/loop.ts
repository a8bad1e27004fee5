import type { Env } from '../env/env.js'
import { errorText } from '../model/errors.js'
import type { Commit, Store, View } from './store.js'

/**
 * A part of the manager that works on the leader: it watches the store, decides, and writes back to it.
 * Loops know nothing of each other.
 */
export interface Loop {
  /** For the log: `replicated orchestrator`. */
  readonly name: string
  /** Rebuilds all state from the store. Called once, in the same turn as the first possible commit. */
  start(view: View): void
  /** Notes what there is to do. No writes, no waiting. */
  onCommit(commit: Commit): void
  /** Whether a tick would do anything now; asked after each commit. Loops without it are taken to have work. */
  readonly hasWork?: boolean
  /**
   * Does all pending work once. Runs after `start`, after commits and when woken, never twice at the same time.
   * After `signal` aborts nothing may be written any more.
   */
  tick(signal: AbortSignal): Promise<void>
  /** Cancels timers. */
  stop(): void
}

/** Makes a loop; `wake` asks for a `tick`, say when a timer of the loop has fired. */
export type LoopFactory = (env: Env, store: Store, wake: () => void) => Loop

/** A failed tick is tried again after so long, doubled with each failure in a row up to the limit. */
const retryDelayMs = 50
const maxRetryDelayMs = 5000
/**
 * A loop ticks at once as long as commits are few. Under a stream of them it ticks at most once in so long,
 * so that what they bring becomes one transaction instead of one for each. Behaviour: the pauses between
 * commits of moby/swarmkit manager/scheduler/scheduler.go.
 */
const tickPeriodMs = 50
/** Ticks that come at once after a time of quiet: one change of a user makes a few. */
const ticksAtOnce = 4

/** Runs loops while this member leads. */
export class LoopRunner {
  readonly #runs: readonly LoopRun[]

  constructor(env: Env, store: Store, factories: readonly LoopFactory[]) {
    this.#runs = factories.map((factory) => new LoopRun(env, store, factory))
  }

  start(): void {
    for (const run of this.#runs) run.start()
  }

  /** Resolves once no tick runs any more. */
  async stop(): Promise<void> {
    await Promise.all(this.#runs.map((run) => run.stop()))
  }
}

class LoopRun {
  readonly #env: Env
  readonly #store: Store
  readonly #loop: Loop
  readonly #abort = new AbortController()
  #unwatch: (() => void) | undefined
  #cancelTimer: (() => void) | undefined
  #running: Promise<void> | undefined
  #wanted = false
  #failures = 0
  /** How long the ticks so far last, at one in each period. Monotonic ms. */
  #spentUntilMs = 0

  constructor(env: Env, store: Store, factory: LoopFactory) {
    this.#env = env
    this.#store = store
    this.#loop = factory(env, store, () => this.#wake())
  }

  start(): void {
    this.#loop.start(this.#store.view)
    this.#unwatch = this.#store.watch((commit) => {
      this.#loop.onCommit(commit)
      if (this.#loop.hasWork !== false) this.#wake()
    })
    this.#wake()
  }

  async stop(): Promise<void> {
    this.#unwatch?.()
    this.#cancelTimer?.()
    this.#abort.abort()
    this.#loop.stop()
    await this.#running
  }

  /**
   * Commits of one turn are one tick. A timer that runs already stays: put off with every commit, it would
   * never fire under load, and after a failure it is the pause before the next try.
   */
  #wake(delayMs = 0): void {
    this.#wanted = true
    if (this.#running !== undefined || this.#cancelTimer !== undefined || this.#abort.signal.aborted) return
    const pacedMs = this.#spentUntilMs - this.#env.monotonicMs() - (ticksAtOnce - 1) * tickPeriodMs
    this.#cancelTimer = this.#env.after(Math.max(delayMs, pacedMs, 0), () => {
      this.#cancelTimer = undefined
      this.#running = this.#run()
    })
  }

  async #run(): Promise<void> {
    this.#wanted = false
    this.#spentUntilMs = Math.max(this.#spentUntilMs, this.#env.monotonicMs()) + tickPeriodMs
    try {
      await this.#loop.tick(this.#abort.signal)
      this.#failures = 0
    } catch (error) {
      if (!this.#abort.signal.aborted) {
        this.#failures++
        this.#wanted = true
        this.#env.log.warn(
          { loop: this.#loop.name, err: errorText(error) },
          'a pass failed and will be repeated',
        )
      }
    }
    this.#running = undefined
    if (this.#wanted)
      this.#wake(this.#failures === 0 ? 0 : Math.min(retryDelayMs * 2 ** this.#failures, maxRetryDelayMs))
  }
}
