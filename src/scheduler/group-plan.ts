import type { Task, TaskVolume } from '../model/objects.js'
import type { GenericResource } from '../model/spec/index.js'
import { claimGenerics } from './generic-resources.js'
import type { Leaf, NodeClass, NodeClasses } from './node-class.js'
import type { NodeSet } from './node-set.js'
import type { NodeState } from './node-state.js'
import { rankingOf, type Ranking, type RankingView } from './ranking.js'
import type { Requirements } from './requirements.js'
import { branchAt, distribute, newBranch } from './spread.js'

/** One task and the node it goes to. */
export interface Placement {
  readonly task: Task
  readonly nodeId: string
  readonly generics: readonly GenericResource[]
  readonly volumes: readonly TaskVolume[]
}

/**
 * Places the tasks of one group: same service, same spec version, so same requirements. May be called in
 * slices; what it knows of the nodes stays good as long as nothing but its own placements changes them.
 */
export class GroupPlan {
  readonly #nodes: NodeSet
  readonly #view: RankingView
  readonly #root = newBranch()
  #queue: Task[] = []
  #placements: Placement[] = []
  #version: number

  constructor(
    nodes: NodeSet,
    classes: NodeClasses,
    wanted: Requirements,
    failures: ReadonlyMap<string, number>,
    seed: string,
  ) {
    this.#nodes = nodes
    const failing = new Map<NodeState, number>()
    for (const [nodeId, count] of failures) {
      const state = nodes.get(nodeId)
      if (state !== undefined) failing.set(state, count)
    }
    const { serviceId } = wanted
    const activeOf = (state: NodeState) => (serviceId === undefined ? 0 : state.activeOf(serviceId))
    this.#view = { wanted, activeOf, failures: failing, seed }
    this.#growTree(classes.get(wanted))
    this.#version = nodes.version
  }

  /** False once something else has changed the nodes: then a new plan is needed. */
  get isCurrent(): boolean {
    return this.#version === this.#nodes.version
  }

  /**
   * Finds nodes for as many of `tasks` as it can, in their order, and counts them there.
   * @returns the placements; tasks without one found no node.
   */
  place(tasks: readonly Task[]): readonly Placement[] {
    this.#queue = tasks.toReversed()
    this.#placements = []
    distribute(this.#root, tasks.length)
    this.#version = this.#nodes.version
    return this.#placements
  }

  #growTree(nodeClass: NodeClass): void {
    const { wanted, failures } = this.#view
    const active = () => this.#nodes.activeByNode(wanted.serviceId)
    const others = byLeaf(nodeClass, () => [...active().keys(), ...failures.keys()])
    for (const leaf of nodeClass.leaves()) {
      const ranking = rankingOf(leaf, this.#view, () => others().get(leaf) ?? [])
      branchAt(this.#root, leaf.path, 0).leaf = { place: (count) => this.#placeOnLeaf(ranking, count) }
    }
    if (wanted.spreadOver.length === 0) return
    for (const [state, count] of active()) branchAt(this.#root, nodeClass.pathOf(state), count)
  }

  #placeOnLeaf(ranking: Ranking, count: number): number {
    for (let placed = 0; placed < count; placed++) {
      const state = ranking.next()
      const task = this.#queue.at(-1)
      if (state === undefined || task === undefined) return placed
      const generics = claimGenerics(state.freeGenerics, this.#view.wanted.generics) ?? []
      this.#queue.pop()
      const { mounts, volumes: all } = this.#view.wanted
      const volumes = mounts.length === 0 ? noVolumes : (all.claim(task, mounts, state.node) ?? noVolumes)
      this.#placements.push({ task, nodeId: state.node.id, generics, volumes })
      this.#nodes.assume(task, state.node.id, generics)
      ranking.used(state)
    }
    return count
  }
}

const noVolumes: readonly TaskVolume[] = []

/** Sorts nodes by leaf, once, when first asked. */
function byLeaf(nodeClass: NodeClass, states: () => readonly NodeState[]) {
  let sorted: Map<Leaf, NodeState[]> | undefined
  return (): ReadonlyMap<Leaf, readonly NodeState[]> => {
    if (sorted !== undefined) return sorted
    sorted = new Map()
    for (const state of states()) {
      const leaf = nodeClass.leafOf(state)
      if (leaf === undefined) continue
      const filed = sorted.get(leaf)
      if (filed === undefined) sorted.set(leaf, [state])
      else filed.push(state)
    }
    return sorted
  }
}
