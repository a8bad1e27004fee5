import type { Service, Task } from '../../model/objects.js'
import { TaskState } from '../../model/task-state.js'
import { fillingTasks, groupBySlot } from '../slot.js'
import { isLive, replicasOf } from '../spec.js'

/** One replica as it is. */
export interface Slot {
  readonly slot: number
  /** All its tasks. */
  readonly tasks: readonly Task[]
  /** Those that make it count: see `fillingTasks`. Never empty here. */
  readonly filling: readonly Task[]
}

export interface ReplicatedPlan {
  /** Slot numbers that get a new task. */
  readonly createSlots: readonly number[]
  /** Tasks that are to stop and then vanish. */
  readonly removeTaskIds: readonly string[]
  /** The slots that stay. */
  readonly slots: readonly Slot[]
}

/**
 * What brings a service to its number of replicas. Writes nothing.
 *
 * Behaviour: moby/swarmkit manager/orchestrator/replicated. Different from there: tasks of slots that are
 * given up are never deleted while they may still run, only asked to stop.
 */
export function planReplicated(service: Service, tasks: readonly Task[]): ReplicatedPlan {
  const filled: Slot[] = []
  const dead = new Map<number, readonly Task[]>()
  for (const [slot, slotTasks] of groupBySlot(tasks)) {
    const filling = fillingTasks(service, slotTasks)
    if (filling.length === 0) dead.set(slot, slotTasks)
    else filled.push({ slot, tasks: slotTasks, filling })
  }
  const replicas = replicasOf(service.spec)
  const ordered = filled.length > replicas ? inOrderOfKeeping(filled) : filled
  const slots = ordered.slice(0, replicas).sort((a, b) => a.slot - b.slot)
  const createSlots = freeSlots(filled, replicas - slots.length)
  // The history of a slot that is filled again stays.
  for (const slot of createSlots) dead.delete(slot)
  const surplus = [...ordered.slice(replicas).map(({ tasks }) => tasks), ...dead.values()].flat()
  return {
    createSlots,
    removeTaskIds: surplus
      .filter(isNotRemoved)
      .map(({ id }) => id)
      .sort(),
    slots,
  }
}

function isNotRemoved(task: Task): boolean {
  return task.desiredState < TaskState.Remove
}

/** The `count` lowest slot numbers that are not filled. */
function freeSlots(filled: readonly Slot[], count: number): readonly number[] {
  const taken = new Set(filled.map(({ slot }) => slot))
  const free: number[] = []
  for (let slot = 1; free.length < count; slot++) if (!taken.has(slot)) free.push(slot)
  return free
}

/**
 * Slots in the order in which they are kept when there are too many: those in the middle of a change or
 * without a node go first, then those on nodes with most of them, then those that do not run, then those
 * with the highest numbers.
 */
function inOrderOfKeeping(slots: readonly Slot[]): readonly Slot[] {
  const ranked = slots
    .map((slot) => ({ slot, running: slot.filling.some(isRunning) }))
    .sort((a, b) => Number(b.running) - Number(a.running) || a.slot.slot - b.slot.slot)
  const onNode = new Map<string, number>()
  return ranked
    .map(({ slot }, rank) => {
      const nodeId = slot.filling.length === 1 ? slot.filling[0]?.nodeId : undefined
      if (nodeId === undefined) return { slot, rank, ordinal: Number.MAX_SAFE_INTEGER }
      const ordinal = (onNode.get(nodeId) ?? 0) + 1
      onNode.set(nodeId, ordinal)
      return { slot, rank, ordinal }
    })
    .sort((a, b) => a.ordinal - b.ordinal || a.rank - b.rank)
    .map(({ slot }) => slot)
}

function isRunning(task: Task): boolean {
  return isLive(task) && task.status.state === TaskState.Running
}
