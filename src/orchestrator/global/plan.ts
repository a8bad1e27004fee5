import { nodeMatches, tryParseConstraints } from '../../model/constraint.js'
import type { Node, Service, Task } from '../../model/objects.js'
import { TaskState } from '../../model/task-state.js'
import { isInvalidNode } from '../node.js'
import { planSlot, type SlotPlan, type SlotView } from '../restart/plan-slot.js'
import { fillingTasks, isStopping } from '../slot.js'
import { isDead, isLive } from '../spec.js'
import type { NewTaskOptions } from '../task.js'

export interface GlobalPlan extends SlotPlan {
  /** The node has no task of the service and should. */
  readonly create?: NewTaskOptions
  /** Tasks that are to stop and then vanish. */
  readonly removeTaskIds: readonly string[]
}

/**
 * What a global service needs on one node. Writes nothing.
 *
 * Behaviour: moby/swarmkit manager/orchestrator/global. Different from there: a node's change never
 * replaces tasks past the update settings, constraints hold on every change of a node, and a node that
 * comes back from DRAIN gets its task back whatever the restart policy says.
 */
export function planGlobalSlot(view: SlotView, node: Node | undefined): GlobalPlan {
  const { service, tasks, nodeOf } = view
  const live = tasks.filter(isLive)
  if (node === undefined) {
    const removed = tasks.filter((task) => task.desiredState < TaskState.Remove)
    return { ...nothing, removeTaskIds: removed.map(({ id }) => id) }
  }
  if (isInvalidNode(node) || !satisfies(service, node)) return stopAll(live)
  if (node.spec.Availability === 'pause') {
    const { promoteTaskIds, recheckAtMs } = planSlot(view)
    const dead = live.filter(isDead)
    return {
      ...nothing,
      ...stopAll(dead),
      promoteTaskIds,
      ...(recheckAtMs === undefined ? {} : { recheckAtMs }),
    }
  }
  if (fillingTasks(service, tasks).length > 0) return { ...planSlot(view), removeTaskIds: [] }
  const waits = tasks.some((task) => isStopping(task, nodeOf))
  return { ...nothing, create: { desiredState: waits ? TaskState.Ready : TaskState.Running } }
}

const nothing: GlobalPlan = {
  shutdownTaskIds: [],
  promoteTaskIds: [],
  inTheWay: [],
  stayingTaskIds: [],
  removeTaskIds: [],
  empty: false,
}

function stopAll(tasks: readonly Task[]): GlobalPlan {
  return { ...nothing, shutdownTaskIds: tasks.map(({ id }) => id) }
}

function satisfies({ spec }: Service, node: Node): boolean {
  return nodeMatches(tryParseConstraints(spec.TaskTemplate?.Placement?.Constraints) ?? [], node)
}
