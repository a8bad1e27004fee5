import { hasCompany, passesNow } from './filters.js'
import { Heap } from './heap.js'
import type { Leaf } from './node-class.js'
import type { NodeState } from './node-state.js'
import { RandomRanking } from './random-ranking.js'
import { ordersByShare, type Requirements } from './requirements.js'

/** What the ranking of nodes for one group of tasks knows. */
export interface RankingView {
  readonly wanted: Requirements
  /** Tasks of the service that are meant to run on a node, now. */
  activeOf(state: NodeState): number
  /** Nodes with many failures of late, and how many. */
  readonly failures: ReadonlyMap<NodeState, number>
  /** The same for the same tasks, others for others. */
  readonly seed: string
}

/** Hands out the nodes of a leaf, best first. */
export interface Ranking {
  /** The best node that takes one more task. `used` must be called for it before the next call. */
  next(): NodeState | undefined
  /** The node that `next` gave has its task now. */
  used(state: NodeState): void
}

/** @param others the leaf's nodes that have a task of the service, or failures. */
export function rankingOf(leaf: Leaf, view: RankingView, others: () => readonly NodeState[]): Ranking {
  const { strategy } = view.wanted
  if (hasWishes(view.wanted)) {
    return new LeafRanking(view, noNodes, () => [...leaf.nodes()])
  }
  if (strategy === 'random') return new RandomRanking(leaf, view)
  return new LeafRanking(view, freshNodes(leaf, view), others)
}

interface Ranked {
  readonly state: NodeState
  readonly failures: number
  /** Wishes for company that are met, less those that are not. */
  readonly wishes: number
  readonly activeOfService: number
  /** What orders equals. */
  readonly fullness: number
}

/**
 * Few failures come first, then wishes that are met; then, to spread, few tasks of the service and little
 * else (tasks or, where the strategy is given, reservations); to pack, much that is reserved.
 *
 * Fresh nodes (no failures, no task of the service) come straight from the leaf's buckets; only when
 * these are used up is a heap made of the rest. All tasks of a group ask the same, so a node that does
 * not fit is passed over once and for all.
 */
class LeafRanking implements Ranking {
  readonly #view: RankingView
  readonly #fresh: Iterator<NodeState>
  readonly #used: NodeState[] = []
  readonly #others: () => readonly NodeState[]
  /** To pack: the node that is being filled. */
  #filling: NodeState | undefined
  #heap: Heap<Ranked> | undefined

  constructor(view: RankingView, fresh: Iterable<NodeState>, others: () => readonly NodeState[]) {
    this.#view = view
    this.#others = others
    this.#fresh = fresh[Symbol.iterator]()
  }

  next(): NodeState | undefined {
    if (this.#heap === undefined) {
      const state = this.#nextFresh()
      if (state !== undefined) return state
      const rest = new Set([...this.#others(), ...this.#used])
      this.#heap = new Heap(
        Array.from(rest, (other) => this.#rank(other)),
        this.#view.wanted.strategy === 'binpack' ? fullerFirst : emptierFirst,
      )
    }
    for (let ranked = this.#heap.pop(); ranked !== undefined; ranked = this.#heap.pop()) {
      if (passesNow(ranked.state, this.#view.wanted)) return ranked.state
    }
    return undefined
  }

  used(state: NodeState): void {
    if (this.#heap !== undefined) this.#heap.push(this.#rank(state))
    else if (this.#view.wanted.strategy === 'binpack') this.#filling = state
    else this.#used.push(state)
  }

  #nextFresh(): NodeState | undefined {
    const { wanted } = this.#view
    if (this.#filling !== undefined && passesNow(this.#filling, wanted)) return this.#filling
    const { value } = this.#fresh.next() as IteratorResult<NodeState, undefined>
    return value
  }

  #rank(state: NodeState): Ranked {
    const { wanted, failures } = this.#view
    return {
      state,
      failures: failures.get(state) ?? 0,
      wishes: hasWishes(wanted) ? wishesMet(state, wanted) : 0,
      activeOfService: this.#view.activeOf(state),
      fullness: ordersByShare(wanted.strategy) ? state.reservedShare : state.active,
    }
  }
}

const noNodes: readonly NodeState[] = []

/** To pack, a task of the service makes a node no worse, so that only failures keep it from being fresh. */
function* freshNodes(leaf: Leaf, view: RankingView): Generator<NodeState> {
  const packs = view.wanted.strategy === 'binpack'
  for (const bucket of packs ? leaf.buckets.toReversed() : leaf.buckets) {
    for (const state of bucket ?? []) {
      if ((!packs && view.activeOf(state) > 0) || view.failures.has(state)) continue
      if (passesNow(state, view.wanted)) yield state
    }
  }
}

function hasWishes({ preferTogether, preferApart }: Requirements): boolean {
  return preferTogether.length + preferApart.length > 0
}

/** Wishes for company that a node meets, less those that it does not. */
export function wishesMet(state: NodeState, wanted: Requirements): number {
  const { preferTogether, preferApart } = wanted
  const met = preferTogether.filter((company) => hasCompany(state, company, wanted)).length
  return met - preferApart.filter(({ services }) => state.hasAnyOf(services)).length
}

function byMisfortune(a: Ranked, b: Ranked): number {
  return a.failures - b.failures || b.wishes - a.wishes
}

function emptierFirst(a: Ranked, b: Ranked): boolean {
  const difference =
    byMisfortune(a, b) ||
    a.activeOfService - b.activeOfService ||
    a.fullness - b.fullness ||
    a.state.order - b.state.order
  return difference < 0
}

function fullerFirst(a: Ranked, b: Ranked): boolean {
  const difference = byMisfortune(a, b) || b.fullness - a.fullness || a.state.order - b.state.order
  return difference < 0
}
