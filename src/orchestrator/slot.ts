import type { Node, Service, Task } from '../model/objects.js'
import { TaskState } from '../model/task-state.js'
import { isDraining, isLostNode } from './node.js'
import { shouldRestart } from './restart/policy.js'
import { isDead, isLive } from './spec.js'
import type { Place } from './task.js'

/** Name of a slot in indexes and dirty sets. */
export function placeKey(serviceId: string, place: Place): string {
  return 'slot' in place ? `${serviceId}/slot/${place.slot}` : `${serviceId}/node/${place.nodeId}`
}

/** Where a task of a replicated or global service belongs. */
export function placeOf(task: Pick<Task, 'slot' | 'nodeId'>): Place {
  return task.slot === 0 && task.nodeId !== undefined ? { nodeId: task.nodeId } : { slot: task.slot }
}

/** Tasks of a replicated service by slot number. */
export function groupBySlot(tasks: readonly Task[]): Map<number, Task[]> {
  return groupBy(tasks, (task) => task.slot)
}

/** Tasks of a global service by node ID. */
export function groupByNode(tasks: readonly Task[]): Map<string, Task[]> {
  return groupBy(tasks, (task) => task.nodeId ?? '')
}

function groupBy<K>(tasks: readonly Task[], keyOf: (task: Task) => K): Map<K, Task[]> {
  const groups = new Map<K, Task[]>()
  for (const task of tasks) {
    const key = keyOf(task)
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [task])
    else group.push(task)
  }
  return groups
}

/** The task that was made last. */
export function newestTask(tasks: readonly Task[]): Task | undefined {
  let newest: Task | undefined
  for (const task of tasks) if (newest === undefined || isNewer(task, newest)) newest = task
  return newest
}

function isNewer(a: Task, b: Task): boolean {
  if (a.createdAtMs !== b.createdAtMs) return a.createdAtMs > b.createdAtMs
  return (a.restart?.attempts ?? 0) > (b.restart?.attempts ?? 0)
}

/**
 * The tasks that make a slot count as filled: those meant to run; without any, the last one where the
 * restart policy leaves it at that ("held"). Empty: the slot is dead and wants a new task.
 */
export function fillingTasks(service: Service, tasks: readonly Task[]): readonly Task[] {
  // By far the most slots have one task: they are worth no new list.
  const live = tasks.every(isLive) ? tasks : tasks.filter(isLive)
  if (live.length > 0) return live
  const last = newestTask(tasks)
  return last !== undefined && isHeld(service, last) ? [last] : []
}

/**
 * Whether nothing follows on a task that is the last of its slot. A task that was stopped by the cluster
 * (drained, its node lost) was not done, whatever the policy says; Docker never replaces it where the
 * condition is `none`.
 */
function isHeld(service: Service, last: Task): boolean {
  if (last.desiredState >= TaskState.Remove) return false
  const rollsBack = service.updateStatus?.state === 'rollback_started'
  if (rollsBack && last.specVersion !== service.specVersion) return false
  return endedByItself(last) && !shouldRestart(last)
}

/** As opposed to: was told to stop, or was lost with its node. */
export function endedByItself(task: Task): boolean {
  const { state } = task.status
  return state === TaskState.Complete || state === TaskState.Failed || state === TaskState.Rejected
}

/** Was told to stop and may still run: who follows in its slot has to wait for it. */
export function isStopping(task: Task, nodeOf: (id: string) => Node | undefined): boolean {
  if (task.desiredState < TaskState.Shutdown || isDead(task)) return false
  if (task.status.state < TaskState.Assigned) return false
  return task.nodeId !== undefined && !isLostNode(nodeOf(task.nodeId))
}

/**
 * Serves, and is to leave its node: it stays until its slot has its turn to be moved. Who does not serve yet
 * has nothing to stay for.
 */
export function isLeaving(task: Task, nodeOf: (id: string) => Node | undefined): boolean {
  return isDrained(task, nodeOf) || (task.moveTo !== undefined && isServing(task))
}

/** Serves on a node that is being drained. */
export function isDrained(task: Task, nodeOf: (id: string) => Node | undefined): boolean {
  return isServing(task) && task.nodeId !== undefined && isDraining(nodeOf(task.nodeId))
}

function isServing(task: Task): boolean {
  return task.desiredState === TaskState.Running && task.status.state === TaskState.Running
}
