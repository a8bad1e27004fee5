import type { Node, Service, Task } from '../../model/objects.js'
import { spreadDescriptors, spreadValue, type Strategy } from '../../model/placement.js'
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

/** Where tasks are, and how they were placed. */
export interface ReplicatedView {
  readonly nodeOf: (id: string) => Node | undefined
  readonly strategy: Strategy | undefined
}

/**
 * What brings a service to its number of replicas. Writes nothing.
 *
 * Behaviour: moby/swarmkit manager/orchestrator/replicated. Different from there: tasks of slots that are
 * given up are never deleted while they may still run, only asked to stop; and what is left is spread, or
 * packed, as it was placed.
 */
export function planReplicated(
  service: Service,
  tasks: readonly Task[],
  view: ReplicatedView,
): ReplicatedPlan {
  const filled: Slot[] = []
  const dead = new Map<number, readonly Task[]>()
  for (const [slot, slotTasks] of groupBySlot(tasks)) {
    const filling = fillingTasks(service, slotTasks)
    if (filling.length === 0) dead.set(slot, slotTasks)
    else filled.push({ slot, tasks: slotTasks, filling })
  }
  const replicas = replicasOf(service.spec)
  const ordered = filled.length > replicas ? inOrderOfKeeping(filled, service, view) : filled
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
  if (count <= 0) return []
  const taken = new Set(filled.map(({ slot }) => slot))
  const free: number[] = []
  for (let slot = 1; free.length < count; slot++) if (!taken.has(slot)) free.push(slot)
  return free
}

/**
 * Slots in the order in which they are kept when there are too many: those in the middle of a change or
 * without a node go first, then those in branches of the labels to spread over, and on nodes, with most of
 * them, then those that do not run, then those whose node takes no tasks, then those with the highest
 * numbers. Where tasks are packed, those on nodes with the fewest of them go instead.
 */
function inOrderOfKeeping(
  slots: readonly Slot[],
  { spec }: Service,
  { nodeOf, strategy }: ReplicatedView,
): readonly Slot[] {
  const placed = slots.map((slot) => {
    const nodeId = slot.filling.length === 1 ? slot.filling[0]?.nodeId : undefined
    return { slot, nodeId, node: nodeId === undefined ? undefined : nodeOf(nodeId) }
  })
  const onNode = countByNode(placed)
  const packs = strategy === 'binpack'
  const ranked = placed.toSorted(
    (a, b) =>
      Number(b.slot.filling.some(isRunning)) - Number(a.slot.filling.some(isRunning)) ||
      Number(takesTasks(b.node)) - Number(takesTasks(a.node)) ||
      (packs ? (onNode.get(b.nodeId) ?? 0) - (onNode.get(a.nodeId) ?? 0) : 0) ||
      a.slot.slot - b.slot.slot,
  )
  const levels = spreadDescriptors(spec.TaskTemplate?.Placement?.Preferences).map(
    (descriptor) =>
      ({ node }: PlacedSlot) =>
        node === undefined ? '' : spreadValue(descriptor, node),
  )
  const byNode = ({ nodeId = '' }: PlacedSlot) => nodeId
  const settled = ranked.filter(({ nodeId }) => nodeId !== undefined)
  const others = ranked.filter(({ nodeId }) => nodeId === undefined)
  return [...inTurns(settled, packs ? levels : [...levels, byNode]), ...others].map(({ slot }) => slot)
}

interface PlacedSlot {
  readonly slot: Slot
  /** Undefined where the slot has several tasks, or none with a node. */
  readonly nodeId: string | undefined
  readonly node: Node | undefined
}

/**
 * The first of each branch, in the order given, then the second of each, and so on; within a branch the same
 * by the next level.
 */
function inTurns(
  slots: readonly PlacedSlot[],
  levels: readonly ((slot: PlacedSlot) => string)[],
): readonly PlacedSlot[] {
  const [level, ...deeper] = levels
  if (level === undefined) return slots
  const branches = new Map<string, PlacedSlot[]>()
  for (const slot of slots) {
    const branch = branches.get(level(slot))
    if (branch === undefined) branches.set(level(slot), [slot])
    else branch.push(slot)
  }
  const turns = new Map<PlacedSlot, number>()
  for (const branch of branches.values()) {
    for (const [turn, slot] of inTurns(branch, deeper).entries()) turns.set(slot, turn)
  }
  return slots.toSorted((a, b) => (turns.get(a) ?? 0) - (turns.get(b) ?? 0))
}

function takesTasks(node: Node | undefined): boolean {
  if (node === undefined) return true
  return node.status.state === 'ready' && (node.spec.Availability ?? 'active') === 'active'
}

function countByNode(slots: readonly PlacedSlot[]): ReadonlyMap<string | undefined, number> {
  const counts = new Map<string | undefined, number>()
  for (const { nodeId } of slots) counts.set(nodeId, (counts.get(nodeId) ?? 0) + 1)
  return counts
}

function isRunning(task: Task): boolean {
  return isLive(task) && task.status.state === TaskState.Running
}
