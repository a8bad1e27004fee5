import { passesForGood } from './filters.js'
import type { NodeSet } from './node-set.js'
import type { NodeState } from './node-state.js'
import { ordersByShare, type Requirements } from './requirements.js'
import type { Node } from '../model/objects.js'
import { spreadValue } from '../model/placement.js'

/** Steps in which the reserved share of a node is told: finer differences do not matter. */
const shareSteps = 1000

/**
 * The nodes of a class that have the same values of the labels to spread over, by how full they are: by
 * number of tasks, or by what is reserved.
 */
export class Leaf {
  readonly path: readonly string[]
  /** Position = number of tasks meant to run there, or thousandths reserved. Holes where no node is so full. */
  readonly buckets: (Set<NodeState> | undefined)[] = []
  size = 0

  constructor(path: readonly string[]) {
    this.path = path
  }

  *nodes(): Generator<NodeState> {
    for (const bucket of this.buckets) yield* bucket ?? []
  }

  file(state: NodeState, fullness: number): void {
    const bucket = this.buckets[fullness]
    if (bucket === undefined) this.buckets[fullness] = new Set([state])
    else bucket.add(state)
    this.size++
  }

  unfile(state: NodeState, fullness: number): void {
    this.buckets[fullness]?.delete(state)
    this.size--
  }
}

interface Filed {
  readonly eligibility: number
  readonly leaf: Leaf | undefined
  readonly fullness: number
}

/**
 * The nodes that meet requirements for good reasons (labels, platform, plugins, availability), kept in
 * buckets by how full they are, so that the emptiest (or fullest) are found without sorting. Shared by all services that
 * ask the same. It reads the set's journal when it is used and files again only what has changed since.
 */
export class NodeClass {
  readonly #nodes: NodeSet
  readonly #wanted: Requirements
  readonly #byShare: boolean
  readonly #filed = new Map<NodeState, Filed>()
  readonly #leaves = new Map<string, Leaf>()
  #position = -1

  constructor(nodes: NodeSet, wanted: Requirements) {
    this.#nodes = nodes
    this.#wanted = wanted
    this.#byShare = ordersByShare(wanted.strategy)
  }

  /** All leaves, sorted by path. */
  leaves(): readonly Leaf[] {
    return [...this.#leaves.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, leaf]) => leaf)
  }

  /** Where a node is filed, or undefined where it is not of this class. */
  leafOf(state: NodeState): Leaf | undefined {
    return this.#filed.get(state)?.leaf
  }

  /** Values of the labels to spread over; absent ones are empty. */
  pathOf(state: NodeState): readonly string[] {
    return branchPath(this.#wanted, state.node)
  }

  sync(): void {
    const { journal, journalStart } = this.#nodes
    const end = journalStart + journal.length
    if (this.#position < journalStart) {
      this.#filed.clear()
      this.#leaves.clear()
      for (const state of this.#nodes.nodes()) this.#file(state)
    } else {
      for (let at = this.#position - journalStart; at < journal.length; at++) {
        const state = journal[at]
        if (state !== undefined) this.#file(state)
      }
    }
    this.#position = end
  }

  #file(state: NodeState): void {
    const old = this.#filed.get(state)
    const fullness = this.#byShare ? Math.floor(state.reservedShare * shareSteps) : state.active
    if (old?.eligibility === state.eligibility) {
      if (old.leaf === undefined || old.fullness === fullness) return
      old.leaf.unfile(state, old.fullness)
      old.leaf.file(state, fullness)
      this.#filed.set(state, { ...old, fullness })
      return
    }
    old?.leaf?.unfile(state, old.fullness)
    if (state.removed) {
      this.#filed.delete(state)
      return
    }
    const leaf = passesForGood(state, this.#wanted) ? this.#leafAt(this.pathOf(state)) : undefined
    leaf?.file(state, fullness)
    this.#filed.set(state, { eligibility: state.eligibility, leaf, fullness })
  }

  #leafAt(path: readonly string[]): Leaf {
    const key = path.join('\0')
    let leaf = this.#leaves.get(key)
    if (leaf === undefined) this.#leaves.set(key, (leaf = new Leaf(path)))
    return leaf
  }
}

/** The classes in use; those unused for longest are dropped. */
export class NodeClasses {
  readonly #nodes: NodeSet
  readonly #classes = new Map<string, NodeClass>()

  constructor(nodes: NodeSet) {
    this.#nodes = nodes
  }

  /** The class for `wanted`, up to date. */
  get(wanted: Requirements): NodeClass {
    const nodeClass = this.#classes.get(wanted.classKey) ?? new NodeClass(this.#nodes, wanted)
    this.#classes.delete(wanted.classKey)
    this.#classes.set(wanted.classKey, nodeClass)
    const [oldest] = this.#classes.keys()
    if (this.#classes.size > maxClasses && oldest !== undefined) this.#classes.delete(oldest)
    nodeClass.sync()
    return nodeClass
  }
}

const maxClasses = 64

/** Values of the labels to spread over; absent ones are empty. */
export function branchPath({ spreadOver }: Pick<Requirements, 'spreadOver'>, node: Node): readonly string[] {
  return spreadOver.map((descriptor) => spreadValue(descriptor, node))
}
