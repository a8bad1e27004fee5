import type { MemberId, ReadState } from './core/index.js'

/** No leader answers, so nobody can say what was committed. */
export class NoLeaderError extends Error {
  override readonly name = 'NoLeaderError'
}

interface Waiter {
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

/** What the reads need of the core. */
export interface ReadIndexer {
  readIndex(context: number): boolean
  readonly leaderId: MemberId | undefined
}

/**
 * Linearizable reads that wait. All reads of one turn share one question to the leader; a question without
 * an answer is asked again, because messages get lost and leaders change.
 */
export class PendingReads {
  readonly #retryTicks: number
  readonly #leaderlessTicks: number
  #unsent: Waiter[] = []
  readonly #asked = new Map<number, { readonly waiters: readonly Waiter[]; readonly tick: number }>()
  /** Answered, waiting for the state machine to get there. */
  #confirmed: { readonly index: number; readonly waiters: readonly Waiter[] }[] = []
  #nextContext: number
  #tick = 0
  #leaderless = 0

  /**
   * @param options.firstContext another one after each start: answers to questions of an earlier process, which
   *   may still be on their way, are not for this one.
   */
  constructor(options: {
    readonly retryTicks: number
    readonly leaderlessTicks: number
    readonly firstContext: number
  }) {
    this.#nextContext = options.firstContext
    this.#retryTicks = options.retryTicks
    this.#leaderlessTicks = options.leaderlessTicks
  }

  add(): Promise<void> {
    return new Promise((resolve, reject) => this.#unsent.push({ resolve, reject }))
  }

  /** Asks for everything that came since the last call. */
  ask(core: ReadIndexer): void {
    if (this.#unsent.length === 0) return
    const context = this.#nextContext++
    if (!core.readIndex(context)) return
    this.#asked.set(context, { waiters: this.#unsent, tick: this.#tick })
    this.#unsent = []
  }

  onReadState(state: ReadState): void {
    const asked = this.#asked.get(state.context)
    if (asked === undefined) return
    this.#asked.delete(state.context)
    this.#confirmed.push({ index: state.index, waiters: asked.waiters })
  }

  onApplied(appliedIndex: number): void {
    if (this.#confirmed.length === 0) return
    const waiting = this.#confirmed.filter((read) => read.index > appliedIndex)
    const done = this.#confirmed.filter((read) => read.index <= appliedIndex)
    this.#confirmed = waiting
    for (const read of done) for (const waiter of read.waiters) waiter.resolve()
  }

  onTick(core: ReadIndexer): void {
    this.#tick++
    this.#leaderless = core.leaderId === undefined ? this.#leaderless + 1 : 0
    for (const [context, asked] of this.#asked) {
      if (this.#tick - asked.tick >= this.#retryTicks) this.#askAgain(context, asked.waiters)
    }
    if (this.#leaderless >= this.#leaderlessTicks) this.#rejectUnsent()
  }

  /** Whoever was asked may have forgotten. */
  onLeaderChange(): void {
    for (const [context, asked] of this.#asked) this.#askAgain(context, asked.waiters)
  }

  fail(error: Error): void {
    const waiters = [
      ...this.#unsent,
      ...[...this.#asked.values()].flatMap((asked) => asked.waiters),
      ...this.#confirmed.flatMap((read) => read.waiters),
    ]
    this.#unsent = []
    this.#asked.clear()
    this.#confirmed = []
    for (const waiter of waiters) waiter.reject(error)
  }

  #askAgain(context: number, waiters: readonly Waiter[]): void {
    this.#asked.delete(context)
    this.#unsent.push(...waiters)
  }

  #rejectUnsent(): void {
    const waiters = this.#unsent
    this.#unsent = []
    for (const waiter of waiters) waiter.reject(new NoLeaderError('there is no leader to confirm the read'))
  }
}
