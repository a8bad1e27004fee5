import { nodeMatches, tryParseConstraints } from '../../model/constraint.js'
import type { Node, Service, Task } from '../../model/objects.js'
import type { GenericResource } from '../../model/spec/index.js'
import { TaskState } from '../../model/task-state.js'

/**
 * Tasks that may no longer stay on their node: constraints of their service fail, or the node has become
 * too small for all of them. Where there is not enough for all, those that run stay before those that do
 * not, and older ones before newer ones. Writes nothing.
 *
 * Behaviour: moby/swarmkit manager/orchestrator/constraintenforcer, which picks its victims in no order.
 */
export function planEnforcement(
  node: Node,
  tasks: readonly Task[],
  serviceOf: (id: string) => Service | undefined,
): readonly string[] {
  if ((node.spec.Availability ?? 'active') !== 'active' || node.status.state === 'down') return []
  const free = freeResources(node)
  const victims: string[] = []
  for (const task of tasks.filter(mayBeMoved).sort(inOrderOfKeeping)) {
    const fits = constraintsHold(node, task, serviceOf) && (free === undefined || take(free, task))
    if (!fits) victims.push(task.id)
  }
  return victims.sort()
}

function mayBeMoved(task: Task): boolean {
  return task.desiredState <= TaskState.Complete && task.status.state < TaskState.Complete
}

function inOrderOfKeeping(a: Task, b: Task): number {
  const runs = (task: Task) => Number(task.status.state === TaskState.Running)
  return runs(b) - runs(a) || a.createdAtMs - b.createdAtMs || (a.id < b.id ? -1 : 1)
}

function constraintsHold(node: Node, task: Task, serviceOf: (id: string) => Service | undefined): boolean {
  const service = task.serviceId === undefined ? undefined : serviceOf(task.serviceId)
  const spec = service?.spec.TaskTemplate ?? task.spec
  return nodeMatches(tryParseConstraints(spec.Placement?.Constraints) ?? [], node)
}

interface FreeResources {
  nanoCpus: number
  memoryBytes: number
  readonly named: Set<string>
  readonly discrete: Map<string, number>
}

/** Undefined where the node has not said what it has. */
function freeResources({ description }: Node): FreeResources | undefined {
  const resources = description?.Resources
  if (resources === undefined) return undefined
  const named = new Set<string>()
  const discrete = new Map<string, number>()
  for (const { NamedResourceSpec, DiscreteResourceSpec } of resources.GenericResources ?? []) {
    if (NamedResourceSpec !== undefined) named.add(nameOf(NamedResourceSpec))
    if (DiscreteResourceSpec !== undefined) {
      discrete.set(DiscreteResourceSpec.Kind ?? '', DiscreteResourceSpec.Value ?? 0)
    }
  }
  return { nanoCpus: resources.NanoCPUs ?? 0, memoryBytes: resources.MemoryBytes ?? 0, named, discrete }
}

function nameOf({ Kind, Value }: NonNullable<GenericResource['NamedResourceSpec']>): string {
  return `${Kind ?? ''}=${Value ?? ''}`
}

/** Takes what the task holds out of what is free. @returns false, and takes nothing, if it is not there. */
function take(free: FreeResources, task: Task): boolean {
  const { NanoCPUs = 0, MemoryBytes = 0 } = task.spec.Resources?.Reservations ?? {}
  const assigned = task.assignedGenericResources ?? []
  const isThere = ({ NamedResourceSpec, DiscreteResourceSpec }: GenericResource) => {
    if (NamedResourceSpec !== undefined) return free.named.has(nameOf(NamedResourceSpec))
    return (free.discrete.get(DiscreteResourceSpec?.Kind ?? '') ?? 0) >= (DiscreteResourceSpec?.Value ?? 0)
  }
  if (NanoCPUs > free.nanoCpus || MemoryBytes > free.memoryBytes || !assigned.every(isThere)) return false
  free.nanoCpus -= NanoCPUs
  free.memoryBytes -= MemoryBytes
  for (const { NamedResourceSpec, DiscreteResourceSpec } of assigned) {
    if (NamedResourceSpec !== undefined) free.named.delete(nameOf(NamedResourceSpec))
    const { Kind = '', Value = 0 } = DiscreteResourceSpec ?? {}
    free.discrete.set(Kind, (free.discrete.get(Kind) ?? 0) - Value)
  }
  return true
}
