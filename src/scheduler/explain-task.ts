import type { Env } from '../env/env.js'
import { taskName, type Service, type Task } from '../model/objects.js'
import type { Strategy } from '../model/placement.js'
import { TaskState, taskStateName } from '../model/task-state.js'
import { inSlices } from '../store/slices.js'
import type { View } from '../store/schema.js'
import { ClusterFacts } from './cluster-facts.js'
import { NodeSet } from './node-set.js'
import { requirementsOf } from './requirements.js'
import { verdictOf, type NodeVerdict } from './verdict.js'

export interface TaskExplanation {
  /** In one sentence: where the task is, or what keeps it from running. */
  readonly summary: string
  /** How nodes that fit are ranked; `swarm`: as Docker does. */
  readonly strategy: Strategy | 'swarm'
  /** Sorted by hostname and ID; of a global service only the task's own node. */
  readonly nodes: readonly NodeVerdict[]
}

/**
 * What every node says to a task as things are now, from the store alone, so on any manager. The task's own
 * reservations do not count against it.
 */
export async function explainTask(
  env: Env,
  view: View,
  task: Task,
  signal: AbortSignal,
): Promise<TaskExplanation> {
  const service = view.services.get(task.serviceId ?? '')
  const nodes = new NodeSet()
  await inSlices(env, view.nodes.list(), (node) => nodes.setNode(node), signal)
  const facts = new ClusterFacts(view)
  const count = (other: Task) => {
    if (other.id === task.id) return
    nodes.setTask(other)
    facts.volumes.setTask(other)
  }
  await inSlices(
    env,
    view.nodes.list().flatMap(({ id }) => view.tasks.by('node', id)),
    count,
    signal,
  )
  const wanted = requirementsOf(task, facts)
  const nameOf = (taskId: string) => {
    const other = view.tasks.get(taskId)
    return other === undefined ? taskId : taskName(other)
  }
  const verdicts: NodeVerdict[] = []
  await inSlices(
    env,
    isBound(task, service) ? [...nodes.nodes()].filter(({ node }) => node.id === task.nodeId) : nodes.nodes(),
    (state) => verdicts.push(verdictOf(state, wanted, nameOf)),
    signal,
  )
  return {
    summary: summaryOf(task, view),
    strategy: wanted.strategy ?? 'swarm',
    nodes: verdicts.sort(byName),
  }
}

/** Tasks of global services are made for one node. */
function isBound({ slot, nodeId }: Task, service: Service | undefined): boolean {
  const { Global, GlobalJob } = service?.spec.Mode ?? {}
  return nodeId !== undefined && slot === 0 && (Global !== undefined || GlobalJob !== undefined)
}

function byName(a: NodeVerdict, b: NodeVerdict): number {
  if (a.hostname !== b.hostname) return a.hostname < b.hostname ? -1 : 1
  return a.nodeId < b.nodeId ? -1 : 1
}

function summaryOf({ status, desiredState, nodeId }: Task, view: View): string {
  const node = view.nodes.get(nodeId ?? '')
  const where = nodeId === undefined ? '' : ` on ${node?.description?.Hostname || nodeId}`
  const why = status.err ?? ''
  if (status.state === TaskState.New) return `waits for its addresses and ports${why && `: ${why}`}`
  if (status.state === TaskState.Pending) {
    if (desiredState > TaskState.Complete) return 'is not to run any more'
    return `waits for a node${why && `: ${why}`}`
  }
  const what = status.state === TaskState.Running ? 'runs' : `is ${taskStateName(status.state)}`
  const more = [status.message, why].filter((text) => text !== '' && text !== 'started').join(': ')
  return `${what}${where}${more === '' ? '' : ` (${more})`}`
}
