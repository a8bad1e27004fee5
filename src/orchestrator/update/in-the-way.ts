import { nodeMatches, tryParseConstraints } from '../../model/constraint.js'
import type { Node, Task } from '../../model/objects.js'
import { TaskState } from '../../model/task-state.js'
import { isDead } from '../spec.js'

/**
 * Whether a new task would find its place on the old one's node if only that were gone: its port there,
 * what it reserves, or its share of the replicas per node. With start-first such a slot would wait for
 * ever, as it does in Docker.
 * @param onNode all tasks of the old task's node.
 */
export function isInTheWay(
  old: Task,
  wanted: Task,
  node: Node | undefined,
  onNode: readonly Task[],
): boolean {
  if (node === undefined || !isRefused(wanted) || isDead(old)) return false
  if (node.status.state !== 'ready' || (node.spec.Availability ?? 'active') !== 'active') return false
  const { Placement } = wanted.spec
  if (!nodeMatches(tryParseConstraints(Placement?.Constraints) ?? [], node)) return false
  const others = onNode.filter((task) => task !== old && task.id !== wanted.id && holdsItsPlace(task))
  const maxReplicas = Placement?.MaxReplicas ?? 0
  if (maxReplicas > 0 && countActive(others, wanted) >= maxReplicas) return false
  return fits(wanted, node, others) && hostPorts(wanted).every((port) => !isTaken(port, others))
}

function holdsItsPlace(task: Task): boolean {
  return task.status.state >= TaskState.Assigned && !isDead(task)
}

/** The scheduler has looked for a node, and found none. */
function isRefused({ status }: Task): boolean {
  return status.state === TaskState.Pending && status.err !== undefined && status.err !== ''
}

function countActive(tasks: readonly Task[], { serviceId }: Task): number {
  return tasks.filter((task) => task.serviceId === serviceId && task.desiredState <= TaskState.Complete)
    .length
}

function fits(wanted: Task, { description }: Node, others: readonly Task[]): boolean {
  const needs = (field: 'NanoCPUs' | 'MemoryBytes') => {
    const wants = wanted.spec.Resources?.Reservations?.[field] ?? 0
    const taken = others.reduce((sum, { spec }) => sum + (spec.Resources?.Reservations?.[field] ?? 0), 0)
    return wants === 0 || wants + taken <= (description?.Resources?.[field] ?? 0)
  }
  return needs('NanoCPUs') && needs('MemoryBytes')
}

function hostPorts(task: Task): readonly string[] {
  const published = (task.endpoint?.spec.Ports ?? []).filter((port) => port.PublishMode === 'host')
  return published
    .filter(({ PublishedPort }) => PublishedPort !== undefined && PublishedPort !== 0)
    .map(({ Protocol, PublishedPort }) => `${Protocol ? Protocol : 'tcp'}/${PublishedPort}`)
}

function isTaken(port: string, tasks: readonly Task[]): boolean {
  return tasks.some((task) => hostPorts(task).includes(port))
}
