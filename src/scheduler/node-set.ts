import type { Node, Task } from '../model/objects.js'
import type { GenericResource } from '../model/spec/index.js'
import { addTo, loadOf, loadOn, NodeState, sameLoad, type Load } from './node-state.js'

const nobody: ReadonlyMap<NodeState, number> = new Map()

/**
 * Every node with its load, kept up to date task by task. A task that the scheduler has just placed is
 * counted at once; when its commit comes back, the count is the same and nothing changes.
 */
export class NodeSet {
  /** Grows with every change of a node or its load. */
  version = 0
  /** Grows when something that did not fit before may fit now. */
  improvements = 0
  /** Nodes in the order in which their eligibility or number of tasks changed. See `NodeClass`. */
  readonly journal: NodeState[] = []
  /** How many entries were cut off the journal's front. */
  journalStart = 0
  readonly #nodes = new Map<string, NodeState>()
  readonly #loads = new Map<string, Load>()
  /** Loads of nodes that are not here, or not yet. */
  readonly #homeless = new Map<string, Map<string, Load>>()
  readonly #activeByService = new Map<string, Map<NodeState, number>>()
  readonly #lookedOutFor = new Set<string>()
  #order = 0

  get size(): number {
    return this.#nodes.size
  }

  get(nodeId: string): NodeState | undefined {
    return this.#nodes.get(nodeId)
  }

  nodes(): Iterable<NodeState> {
    return this.#nodes.values()
  }

  /** The nodes with tasks of the service that are meant to run, and how many. */
  activeByNode(serviceId: string | undefined): ReadonlyMap<NodeState, number> {
    if (serviceId === undefined) return nobody
    return this.#activeByService.get(serviceId) ?? nobody
  }

  setNode(node: Node): void {
    const state = this.#nodes.get(node.id)
    if (state === undefined) this.#addNode(node)
    else if (countsDifferently(state.node, node)) {
      state.node = node
      state.eligibility++
      state.recount()
      this.#improved(state)
    } else state.node = node
  }

  removeNode(nodeId: string): void {
    const state = this.#nodes.get(nodeId)
    if (state === undefined) return
    for (const load of state.loads.values()) {
      this.#uncount(load)
      this.#count(load, undefined)
    }
    this.#nodes.delete(nodeId)
    state.removed = true
    state.eligibility++
    this.#changed(state)
    // Explanations count one node less.
    this.improvements++
  }

  /** Takes note of a task as it is, or is about to be. */
  setTask(task: Task): void {
    this.#setLoad(task.id, loadOf(task))
  }

  /** Counts a task on the node that was just chosen for it, before the commit. */
  assume(task: Task, nodeId: string, generics: readonly GenericResource[]): void {
    this.#setLoad(task.id, loadOn(task, nodeId, generics))
  }

  /** Something besides nodes and tasks has changed so that what did not fit before may fit now. */
  improve(): void {
    this.version++
    this.improvements++
  }

  /** Tasks want to be where tasks of these services are: a first one on a node is an improvement. */
  lookOutFor(services: Iterable<string>): void {
    for (const id of services) this.#lookedOutFor.add(id)
  }

  removeTask(taskId: string): void {
    this.#setLoad(taskId, undefined)
  }

  #addNode(node: Node): void {
    const state = new NodeState(node, this.#order++, (id) => this.#activeByService.has(id))
    this.#nodes.set(node.id, state)
    const loads = this.#homeless.get(node.id)
    this.#homeless.delete(node.id)
    for (const load of loads?.values() ?? []) this.#count(load, state)
    this.#improved(state)
  }

  #setLoad(taskId: string, load: Load | undefined): void {
    const old = this.#loads.get(taskId)
    if (old === undefined && load === undefined) return
    if (old !== undefined && load !== undefined && sameLoad(old, load)) return
    if (old !== undefined) {
      this.#uncount(old)
      this.#loads.delete(taskId)
      this.improvements++
    }
    if (load !== undefined) {
      this.#loads.set(taskId, load)
      this.#count(load, this.#nodes.get(load.nodeId))
    }
  }

  #count(load: Load, state: NodeState | undefined): void {
    if (state === undefined) {
      const loads = this.#homeless.get(load.nodeId)
      if (loads === undefined) this.#homeless.set(load.nodeId, new Map([[load.taskId, load]]))
      else loads.set(load.taskId, load)
      return
    }
    state.add(load)
    if (load.active) this.#countActive(load, state, 1)
    this.#changed(state)
  }

  #uncount(load: Load): void {
    const state = this.#nodes.get(load.nodeId)
    if (state === undefined) {
      const loads = this.#homeless.get(load.nodeId)
      loads?.delete(load.taskId)
      if (loads?.size === 0) this.#homeless.delete(load.nodeId)
      return
    }
    state.delete(load)
    if (load.active) this.#countActive(load, state, -1)
    this.#changed(state)
  }

  #countActive({ serviceId }: Load, state: NodeState, amount: 1 | -1): void {
    if (serviceId === undefined) return
    let counts = this.#activeByService.get(serviceId)
    if (counts === undefined) this.#activeByService.set(serviceId, (counts = new Map()))
    addTo(counts, state, amount)
    if (amount === 1 && counts.get(state) === 1 && this.#lookedOutFor.has(serviceId)) this.improvements++
    if (counts.size === 0) this.#activeByService.delete(serviceId)
  }

  #improved(state: NodeState): void {
    this.improvements++
    this.#changed(state)
  }

  #changed(state: NodeState): void {
    this.version++
    this.journal.push(state)
    const limit = Math.max(1024, 4 * this.#nodes.size)
    if (this.journal.length < 2 * limit) return
    this.journalStart += this.journal.length - limit
    this.journal.splice(0, this.journal.length - limit)
  }
}

/** Whether a change of a node is more than a heartbeat's: certificates, addresses and the like. */
function countsDifferently(before: Node, after: Node): boolean {
  return (
    before.spec !== after.spec ||
    before.description !== after.description ||
    before.role !== after.role ||
    before.status.state !== after.status.state ||
    before.status.addr !== after.status.addr
  )
}
