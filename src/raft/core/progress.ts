/** How far a follower may be behind and still count as one that has the log. */
export const LAG_ENTRIES = 1000

/** A leader's limits for one follower. */
export interface FlowLimits {
  readonly maxInflightMessages: number
  readonly maxInflightBytes: number
  /** After so many silent ticks a follower counts as gone. */
  readonly patienceTicks: number
}

/**
 * What a leader knows of one follower.
 * - `probe`: it does not know where the logs agree; one append at a time.
 * - `replicate`: appends flow without waiting for replies, up to the limits.
 * - `snapshot`: the follower needs what the log no longer has; nothing is sent until it has it.
 */
export class Progress {
  #state: 'probe' | 'replicate' | 'snapshot' = 'probe'
  #match = 0
  #next: number
  #snapshotIndex = 0
  #toldIndex = 0
  #paused = false
  #inflight: { readonly lastIndex: number; readonly bytes: number }[] = []
  #inflightBytes = 0
  readonly #limits: FlowLimits

  /** Heard from since the last check of the quorum. */
  wasHeard = true
  #silentTicks: number
  /** The transport lost messages for it, and nothing was heard since. */
  #isLost = false
  /** Since it last acknowledged something, while it lacks something. */
  #stalledTicks = 0
  /** Highest read sequence that it has confirmed. */
  readSequence = 0
  /** Commit index that was sent last. */
  sentCommit = 0
  /** Asks for an append even without entries, to learn whether something was lost. */
  poke = false

  /** @param silentTicks how long nothing was heard of it. */
  constructor(next: number, limits: FlowLimits, silentTicks = 0) {
    this.#next = next
    this.#limits = limits
    this.#silentTicks = silentTicks
  }

  get state(): 'probe' | 'replicate' | 'snapshot' {
    return this.#state
  }

  /** Last index known to be the same and on the follower's disk. */
  get match(): number {
    return this.#match
  }

  /** Next index to send. */
  get next(): number {
    return this.#next
  }

  /** Highest index that this leader ever sent. */
  get toldIndex(): number {
    return this.#toldIndex
  }

  get paused(): boolean {
    switch (this.#state) {
      case 'probe':
        return this.#paused
      case 'replicate':
        return (
          this.#inflight.length >= this.#limits.maxInflightMessages ||
          this.#inflightBytes >= this.#limits.maxInflightBytes
        )
      case 'snapshot':
        return true
      default:
        return this.#state satisfies never
    }
  }

  /** It said something. */
  heard(): void {
    this.wasHeard = true
    this.#silentTicks = 0
    this.#isLost = false
  }

  /** Heard from lately. */
  get isActive(): boolean {
    return this.#silentTicks <= this.#limits.patienceTicks
  }

  /** Messages to it may be lost. */
  unreachable(): void {
    this.#isLost = true
    if (this.#state === 'replicate') this.probe()
  }

  tick(lastIndex: number): void {
    this.#silentTicks++
    this.#stalledTicks = this.#match < lastIndex ? this.#stalledTicks + 1 : 0
  }

  /**
   * Takes the log as fast as it grows, as far as is known, so that what it lacks now it will have in a moment.
   * What it writes may take twice as long as it may be silent.
   */
  keepsUp(lastIndex: number): boolean {
    if (this.#isLost || this.#state === 'snapshot' || !this.isActive) return false
    if (this.#stalledTicks > 2 * this.#limits.patienceTicks) return false
    return this.#match === 0 || this.#match + LAG_ENTRIES >= lastIndex
  }

  sentAppend(entryCount: number, bytes: number): void {
    this.poke = false
    this.#toldIndex = Math.max(this.#toldIndex, this.#next - 1 + entryCount)
    if (this.#state === 'probe') this.#paused = true
    if (this.#state !== 'replicate' || entryCount === 0) return
    this.#next += entryCount
    this.#inflight.push({ lastIndex: this.#next - 1, bytes })
    this.#inflightBytes += bytes
  }

  sentSnapshot(index: number): void {
    this.#state = 'snapshot'
    this.#snapshotIndex = index
    this.#toldIndex = Math.max(this.#toldIndex, index)
    this.#clearInflight()
  }

  /** @param logStart index before the leader's first entry. */
  acknowledged(index: number, logStart: number): boolean {
    const advanced = index > this.#match
    if (advanced) this.#stalledTicks = 0
    this.#match = Math.max(this.#match, index)
    this.#next = Math.max(this.#next, index + 1)
    if (this.#state === 'probe') {
      // An acknowledgement from before the probe began tells nothing new.
      if (index >= this.#match) this.#replicate()
    } else if (this.#state === 'snapshot') {
      if (this.#match >= this.#snapshotIndex || (advanced && this.#match >= logStart)) this.#replicate()
    } else {
      this.#freeUpTo(index)
    }
    return advanced
  }

  /**
   * The follower refused an append after `refused`; the logs may agree up to `hint`.
   * Returns false for a refusal that is out of date.
   */
  refused(refused: number, hint: number): boolean {
    if (this.#state === 'snapshot') return false
    if (this.#state === 'replicate') {
      if (refused <= this.#match) return false
      this.probe()
      return true
    }
    if (this.#next - 1 !== refused) return false
    this.#next = Math.max(Math.min(refused, hint + 1), this.#match + 1)
    this.#paused = false
    return true
  }

  /** Goes back to asking where the logs agree. */
  probe(): void {
    const next = this.#state === 'snapshot' ? Math.max(this.#match, this.#snapshotIndex) + 1 : this.#match + 1
    this.#state = 'probe'
    this.#next = next
    this.#paused = false
    this.#clearInflight()
  }

  /** The snapshot was delivered, or not: go on when the follower speaks next. */
  snapshotSent(delivered: boolean): void {
    if (this.#state !== 'snapshot') return
    if (!delivered) this.#snapshotIndex = 0
    this.probe()
    this.#paused = true
  }

  heartbeatAnswered(lastIndex: number): void {
    this.#paused = false
    if (this.#state === 'replicate' && this.paused) {
      const oldest = this.#inflight.shift()
      this.#inflightBytes -= oldest?.bytes ?? 0
    }
    if (this.#match < lastIndex) this.poke = true
  }

  #replicate(): void {
    this.#state = 'replicate'
    this.#next = this.#match + 1
    this.#paused = false
    this.#clearInflight()
  }

  #freeUpTo(index: number): void {
    let count = 0
    for (const message of this.#inflight) {
      if (message.lastIndex > index) break
      this.#inflightBytes -= message.bytes
      count++
    }
    this.#inflight.splice(0, count)
  }

  #clearInflight(): void {
    this.#inflight = []
    this.#inflightBytes = 0
  }
}
