import { passesNow } from './filters.js'
import { Heap } from './heap.js'
import type { Leaf } from './node-class.js'
import type { NodeState } from './node-state.js'
import type { Requirements } from './requirements.js'

/** What the ranking of nodes for one group of tasks knows. */
export interface RankingView {
  readonly wanted: Requirements
  /** Tasks of the service that are meant to run on a node, now. */
  activeOf(state: NodeState): number
  /** Nodes with many failures of late, and how many. */
  readonly failures: ReadonlyMap<NodeState, number>
}

interface Ranked {
  readonly state: NodeState
  readonly failures: number
  readonly activeOfService: number
}

/**
 * Hands out the nodes of a leaf, best first: few failures, then few tasks of the service, then few tasks.
 * Fresh nodes (no failures, no task of the service) come straight from the leaf's buckets; only when
 * these are used up is a heap made of the rest. All tasks of a group ask the same, so a node that does
 * not fit is passed over once and for all.
 */
export class LeafRanking {
  readonly #view: RankingView
  readonly #fresh: Iterator<NodeState>
  readonly #used: NodeState[] = []
  readonly #others: () => readonly NodeState[]
  #heap: Heap<Ranked> | undefined

  /** @param others the leaf's nodes that are not fresh. */
  constructor(leaf: Leaf, view: RankingView, others: () => readonly NodeState[]) {
    this.#view = view
    this.#others = others
    this.#fresh = freshNodes(leaf, view)
  }

  /** The best node that takes one more task. `used` must be called for it before the next call. */
  next(): NodeState | undefined {
    if (this.#heap === undefined) {
      const { value } = this.#fresh.next() as IteratorResult<NodeState, undefined>
      if (value !== undefined) return value
      const rest = new Set([...this.#others(), ...this.#used])
      this.#heap = new Heap(
        Array.from(rest, (state) => this.#rank(state)),
        better,
      )
    }
    for (let ranked = this.#heap.pop(); ranked !== undefined; ranked = this.#heap.pop()) {
      if (passesNow(ranked.state, this.#view.wanted)) return ranked.state
    }
    return undefined
  }

  /** The node that `next` gave has its task now. */
  used(state: NodeState): void {
    if (this.#heap === undefined) this.#used.push(state)
    else this.#heap.push(this.#rank(state))
  }

  #rank(state: NodeState): Ranked {
    return {
      state,
      failures: this.#view.failures.get(state) ?? 0,
      activeOfService: this.#view.activeOf(state),
    }
  }
}

function* freshNodes(leaf: Leaf, view: RankingView): Generator<NodeState> {
  for (const bucket of leaf.buckets) {
    for (const state of bucket ?? []) {
      if (view.activeOf(state) > 0 || view.failures.has(state)) continue
      if (passesNow(state, view.wanted)) yield state
    }
  }
}

function better(a: Ranked, b: Ranked): boolean {
  if (a.failures !== b.failures) return a.failures < b.failures
  if (a.activeOfService !== b.activeOfService) return a.activeOfService < b.activeOfService
  if (a.state.active !== b.state.active) return a.state.active < b.state.active
  return a.state.order < b.state.order
}
