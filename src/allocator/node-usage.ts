import type { Task } from '../model/objects.js'
import { TaskState } from '../model/task-state.js'

interface Use {
  readonly nodeId: string
  readonly networkIds: readonly string[]
}

/** Which networks the tasks on each node use. */
export class NodeUsage {
  readonly #uses = new Map<string, Use>()
  readonly #counts = new Map<string, Map<string, number>>()

  /** The networks that a node needs an address on for its tasks' sake. */
  networksOf(nodeId: string): readonly string[] {
    return [...(this.#counts.get(nodeId)?.keys() ?? [])]
  }

  /** Takes note of a task as it is now. @returns the nodes whose networks have changed. */
  setTask(taskId: string, task: Task | undefined): readonly string[] {
    const old = this.#uses.get(taskId)
    const use = task === undefined ? undefined : useOf(task)
    if (old?.nodeId === use?.nodeId && old?.networkIds.length === use?.networkIds.length) return []
    if (use === undefined) this.#uses.delete(taskId)
    else this.#uses.set(taskId, use)
    const changed = new Set<string>()
    if (use !== undefined && this.#count(use, 1)) changed.add(use.nodeId)
    if (old !== undefined && this.#count(old, -1)) changed.add(old.nodeId)
    return [...changed]
  }

  /** @returns whether the node has a network more or less. */
  #count({ nodeId, networkIds }: Use, amount: 1 | -1): boolean {
    let counts = this.#counts.get(nodeId)
    if (counts === undefined) this.#counts.set(nodeId, (counts = new Map()))
    let changed = false
    for (const networkId of networkIds) {
      const before = counts.get(networkId) ?? 0
      if (before + amount === 0) counts.delete(networkId)
      else counts.set(networkId, before + amount)
      changed ||= before === 0 || before + amount === 0
    }
    if (counts.size === 0) this.#counts.delete(nodeId)
    return changed
  }
}

/** A task uses networks where it has addresses, from its allocation until it was seen to stop. */
function useOf({ nodeId, networks, status }: Task): Use | undefined {
  if (nodeId === undefined || status.state > TaskState.Running) return undefined
  const networkIds = networks.filter(({ addresses }) => addresses.length > 0).map((use) => use.networkId)
  return networkIds.length === 0 ? undefined : { nodeId, networkIds }
}
