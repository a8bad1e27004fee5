import { createHash } from 'node:crypto'
import { passesNow } from './filters.js'
import type { Leaf } from './node-class.js'
import type { NodeState } from './node-state.js'
import type { Ranking, RankingView } from './ranking.js'

/**
 * Any node that takes the task, all with the same chance; nodes with many failures of late only when no
 * other is left. The choice follows from the tasks alone, so that the same cluster decides the same again.
 */
export class RandomRanking implements Ranking {
  readonly #view: RankingView
  readonly #seed: Buffer
  /** Nodes that may fit, and after them those that are a last resort. */
  readonly #pools: NodeState[][]
  #draws = 0

  constructor(leaf: Leaf, view: RankingView) {
    this.#view = view
    this.#seed = createHash('sha256').update(view.seed).update(leaf.path.join('\0')).digest()
    const good: NodeState[] = []
    const failing: NodeState[] = []
    for (const state of leaf.nodes()) (view.failures.has(state) ? failing : good).push(state)
    this.#pools = [good, failing]
  }

  next(): NodeState | undefined {
    for (const pool of this.#pools) {
      while (pool.length > 0) {
        const at = this.#draw(pool.length)
        const state = pool[at]
        if (state !== undefined && passesNow(state, this.#view.wanted)) return state
        // It will not fit later either.
        const last = pool.pop()
        if (last !== undefined && at < pool.length) pool[at] = last
      }
    }
    return undefined
  }

  used(): void {
    // It may be drawn again.
  }

  /** Numbers below `bound` that look like drawn ones (SplitMix32 over the seed). */
  #draw(bound: number): number {
    let z = (this.#seed.readUInt32LE(0) + Math.imul(++this.#draws, 0x9e3779b9)) >>> 0
    z = Math.imul(z ^ (z >>> 16), 0x85ebca6b)
    z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35)
    return Math.floor((((z ^ (z >>> 16)) >>> 0) / 2 ** 32) * bound)
  }
}
