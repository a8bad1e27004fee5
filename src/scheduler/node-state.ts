import type { Node, Task } from '../model/objects.js'
import type { GenericResource } from '../model/spec/index.js'
import { TaskState } from '../model/task-state.js'
import { poolOf, remainingPool, type GenericPool } from './generic-resources.js'
import { hostPortsOf, type HostPort } from './requirements.js'

/** What one task takes of its node. */
export interface Load {
  readonly taskId: string
  readonly nodeId: string
  readonly serviceId: string | undefined
  /** Whether it is meant to run, and so counts where tasks are spread. */
  readonly active: boolean
  readonly nanoCpus: number
  readonly memoryBytes: number
  readonly generics: readonly GenericResource[]
  readonly hostPorts: readonly HostPort[]
}

const none: readonly never[] = []

/**
 * The load of a task that is on a node, or undefined for one that is not, or not any more. Reservations
 * and ports are held until the task was seen to stop, whatever is wanted of it.
 */
export function loadOf(task: Task): Load | undefined {
  if (task.nodeId === undefined) return undefined
  if (task.status.state < TaskState.Assigned || task.status.state > TaskState.Running) return undefined
  return loadOn(task, task.nodeId, task.assignedGenericResources ?? none)
}

/** The load of a task on a node. */
export function loadOn(task: Task, nodeId: string, generics: readonly GenericResource[]): Load {
  const reservations = task.spec.Resources?.Reservations
  return {
    taskId: task.id,
    nodeId,
    serviceId: task.serviceId,
    active: task.desiredState <= TaskState.Complete,
    nanoCpus: reservations?.NanoCPUs ?? 0,
    memoryBytes: reservations?.MemoryBytes ?? 0,
    generics,
    hostPorts: hostPortsOf(task),
  }
}

/** Whether two loads of one task count the same. A task's spec never changes. */
export function sameLoad(a: Load, b: Load): boolean {
  return (
    a.nodeId === b.nodeId &&
    a.active === b.active &&
    a.generics.length === b.generics.length &&
    a.hostPorts.length === b.hostPorts.length
  )
}

/** What a node has of something, and what its tasks have reserved of it. */
export interface Reserved {
  readonly total: number
  readonly reserved: number
}

/** A node with what its tasks leave of it. Changed by `NodeSet` alone. */
export class NodeState {
  node: Node
  /** Order among equals. */
  readonly order: number
  /** Changes whenever something of the node itself does that a filter looks at. */
  eligibility = 0
  removed = false
  freeNanoCpus = 0
  freeMemoryBytes = 0
  freeGenerics: GenericPool = new Map()
  /** Tasks that are meant to run here. */
  active = 0
  readonly loads = new Map<string, Load>()
  readonly isAnywhere: (serviceId: string) => boolean
  readonly #activeByService = new Map<string, number>()
  readonly #portUsers = new Map<string, number>()

  /** @param isAnywhere whether a service has tasks that are meant to run on any node of the set. */
  constructor(node: Node, order: number, isAnywhere: (serviceId: string) => boolean) {
    this.node = node
    this.order = order
    this.isAnywhere = isAnywhere
    this.recount()
  }

  get nanoCpus(): Reserved {
    const total = this.node.description?.Resources?.NanoCPUs ?? 0
    return { total, reserved: total - this.freeNanoCpus }
  }

  get memoryBytes(): Reserved {
    const total = this.node.description?.Resources?.MemoryBytes ?? 0
    return { total, reserved: total - this.freeMemoryBytes }
  }

  /** Which part of the node is reserved, 0 to 1: of CPUs or of memory, whichever is the larger part. */
  get reservedShare(): number {
    return Math.min(1, Math.max(shareOf(this.nanoCpus), shareOf(this.memoryBytes)))
  }

  activeOf(serviceId: string): number {
    return this.#activeByService.get(serviceId) ?? 0
  }

  /** Whether tasks of one of the services are meant to run here. */
  hasAnyOf(services: ReadonlySet<string>): boolean {
    if (services.size > this.#activeByService.size) {
      for (const id of this.#activeByService.keys()) if (services.has(id)) return true
      return false
    }
    for (const id of services) if (this.#activeByService.has(id)) return true
    return false
  }

  usesHostPort(protocol: string, port: number): boolean {
    return this.#portUsers.has(`${protocol}/${port}`)
  }

  add(load: Load): void {
    this.loads.set(load.taskId, load)
    this.#count(load, 1)
  }

  delete(load: Load): void {
    this.loads.delete(load.taskId)
    this.#count(load, -1)
  }

  /** Anew from what the node describes, which may have changed. */
  recount(): void {
    const offered = this.node.description?.Resources
    this.freeNanoCpus = offered?.NanoCPUs ?? 0
    this.freeMemoryBytes = offered?.MemoryBytes ?? 0
    for (const load of this.loads.values()) {
      this.freeNanoCpus -= load.nanoCpus
      this.freeMemoryBytes -= load.memoryBytes
    }
    this.#countGenerics()
  }

  #count(load: Load, sign: 1 | -1): void {
    this.freeNanoCpus -= sign * load.nanoCpus
    this.freeMemoryBytes -= sign * load.memoryBytes
    if (load.generics.length > 0) this.#countGenerics()
    for (const { protocol, port } of load.hostPorts) addTo(this.#portUsers, `${protocol}/${port}`, sign)
    if (!load.active) return
    this.active += sign
    if (load.serviceId !== undefined) addTo(this.#activeByService, load.serviceId, sign)
  }

  #countGenerics(): void {
    const offered = poolOf(this.node.description?.Resources?.GenericResources ?? [])
    this.freeGenerics = remainingPool(
      offered,
      Array.from(this.loads.values(), ({ generics }) => generics),
    )
  }
}

function shareOf({ total, reserved }: Reserved): number {
  if (total > 0) return Math.max(0, reserved / total)
  return reserved > 0 ? 1 : 0
}

export function addTo<K>(counts: Map<K, number>, key: K, amount: number): void {
  const count = (counts.get(key) ?? 0) + amount
  if (count === 0) counts.delete(key)
  else counts.set(key, count)
}
