/** Two candidates at once would keep each other from winning. */
const hurryTicks = 5

/** A member's sense of time, in ticks: when to campaign, when to send heartbeats, and how old a lease is. */
export class Timers {
  readonly #electionTicks: number
  readonly #heartbeatTicks: number
  readonly #randomInt: (bound: number) => number
  #electionElapsed = 0
  #heartbeatElapsed = 0
  #electionTimeout = 0

  /** @param randomInt uniform in [0, bound). */
  constructor(electionTicks: number, heartbeatTicks: number, randomInt: (bound: number) => number) {
    this.#electionTicks = electionTicks
    this.#heartbeatTicks = heartbeatTicks
    this.#randomInt = randomInt
    this.reset()
  }

  tick(): void {
    this.#electionElapsed++
    this.#heartbeatElapsed++
  }

  /** A new role or term: everything begins anew, with another random patience. */
  reset(): void {
    this.#electionElapsed = 0
    this.#heartbeatElapsed = 0
    this.#electionTimeout = this.#electionTicks + this.#randomInt(this.#electionTicks)
  }

  /** A leader was heard, or a candidate trusted; for a leader: the quorum was checked. */
  renewLease(): void {
    this.#electionElapsed = 0
  }

  /** The leader is known to be gone: time is up soon, though not for all followers in the same tick. */
  hurry(): void {
    const dueTick = this.#electionTimeout - this.#randomInt(hurryTicks)
    this.#electionElapsed = Math.max(this.#electionElapsed, dueTick)
  }

  /** Less than an election timeout has passed since then. */
  get isLeaseFresh(): boolean {
    return this.#electionElapsed < this.#electionTicks
  }

  get isElectionDue(): boolean {
    return this.#electionElapsed >= this.#electionTimeout
  }

  /** Whether a leader has to send heartbeats now. */
  takeHeartbeat(): boolean {
    if (this.#heartbeatElapsed < this.#heartbeatTicks) return false
    this.#heartbeatElapsed = 0
    return true
  }
}
