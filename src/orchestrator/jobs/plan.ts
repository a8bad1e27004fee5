import { nodeMatches, tryParseConstraints } from '../../model/constraint.js'
import type { Node, Service, Task } from '../../model/objects.js'
import { TaskState } from '../../model/task-state.js'
import { isInvalidNode } from '../node.js'
import { isDue, promotionDelayMs } from '../restart/plan-slot.js'
import { movedRestart, nextRestart, shouldRestart } from '../restart/policy.js'
import { endedByItself, groupByNode, groupBySlot, newestTask } from '../slot.js'
import { isDead, modeOf, statusTimeMs } from '../spec.js'
import type { NewTaskOptions, Place } from '../task.js'

export interface JobView {
  readonly service: Service
  /** All tasks of the job, of earlier iterations too. */
  readonly tasks: readonly Task[]
  readonly nodes: readonly Node[]
  readonly nodeOf: (id: string) => Node | undefined
  readonly nowMs: number
  /** Tasks to be kept for each slot; negative: all. */
  readonly historyLimit: number
}

export interface JobPlan {
  /** Tasks that are to stop, and what follows on them. */
  readonly replacements: readonly JobReplacement[]
  readonly create: readonly { readonly place: Place; readonly options: NewTaskOptions }[]
  readonly shutdownTaskIds: readonly string[]
  /** To be stopped, then forgotten. */
  readonly removeTaskIds: readonly string[]
  /** Waited long enough: they may run to their end. */
  readonly promoteTaskIds: readonly string[]
  /** History of which there is too much. */
  readonly forgetTaskIds: readonly string[]
  readonly recheckAtMs?: number
}

export interface JobReplacement {
  readonly taskIds: readonly string[]
  readonly place: Place
  readonly options: NewTaskOptions
}

/** What becomes of one slot of the present iteration. */
interface SlotOutcome {
  readonly state: 'complete' | 'running' | 'given up' | 'empty'
  readonly shutdown: readonly Task[]
  readonly promote?: Task
  readonly replacement?: NewTaskOptions
  readonly recheckAtMs?: number
}

/**
 * What a job needs. Writes nothing.
 *
 * Behaviour: moby/swarmkit manager/orchestrator/jobs. Different from there: a task on a node that is lost
 * or drained is moved at once, a slot whose attempts are used up stays failed instead of being begun
 * anew, global jobs obey the number of attempts, and old tasks go with the history limit.
 */
export function planJob(view: JobView): JobPlan {
  const iteration = view.service.jobStatus?.iteration ?? 0
  const current = view.tasks.filter((task) => task.jobIteration === iteration)
  const old = view.tasks.filter((task) => task.jobIteration !== iteration)
  const plan = modeOf(view.service.spec) === 'global-job' ? planGlobalJob : planReplicatedJob
  const { outcomes, replacements, create } = plan(view, current, iteration)
  const replaced = new Set(replacements.flatMap(({ taskIds }) => taskIds))
  const shutdown = outcomes.flatMap((outcome) => outcome.shutdown.map(({ id }) => id))
  const due = outcomes.flatMap(({ recheckAtMs }) => recheckAtMs ?? [])
  // Those of a replicated job that finished stay to be seen.
  const keeps = modeOf(view.service.spec) === 'replicated-job'
  const stale = old.filter((task) => task.desiredState < TaskState.Remove && !(keeps && isDead(task)))
  return {
    replacements,
    create,
    shutdownTaskIds: shutdown.filter((id) => !replaced.has(id)),
    removeTaskIds: stale.map(({ id }) => id),
    promoteTaskIds: outcomes.flatMap(({ promote }) => promote?.id ?? []),
    forgetTaskIds: surplusHistory(view, iteration),
    ...(due.length === 0 ? {} : { recheckAtMs: Math.min(...due) }),
  }
}

interface ModePlan {
  readonly outcomes: readonly SlotOutcome[]
  readonly replacements: readonly JobReplacement[]
  readonly create: JobPlan['create']
}

function planReplicatedJob(view: JobView, tasks: readonly Task[], jobIteration: number): ModePlan {
  const mode = view.service.spec.Mode?.ReplicatedJob ?? {}
  const maxConcurrent = mode.MaxConcurrent ?? 1
  const total = mode.TotalCompletions ?? maxConcurrent
  const slots = new Map(
    [...groupBySlot(tasks)].map(([slot, slotTasks]) => [slot, planSlot(slotTasks, view, jobIteration)]),
  )
  const outcomes = [...slots.values()]
  const count = (state: SlotOutcome['state']) => outcomes.filter((outcome) => outcome.state === state).length
  const running = count('running')
  const open = total - count('complete') - count('given up') - running
  const replacements = [...slots].flatMap(([slot, outcome]) => replacementOf(outcome, { slot }))
  const wanted = Math.min(maxConcurrent - running, open)
  const create: JobPlan['create'][number][] = []
  for (let slot = 0; create.length < wanted; slot++) {
    const state = slots.get(slot)?.state ?? 'empty'
    if (state === 'empty') {
      create.push({ place: { slot }, options: { desiredState: TaskState.Complete, jobIteration } })
    }
  }
  return { outcomes, replacements, create }
}

function replacementOf({ shutdown, replacement }: SlotOutcome, place: Place): readonly JobReplacement[] {
  if (replacement === undefined) return []
  return [{ taskIds: shutdown.map(({ id }) => id), place, options: replacement }]
}

function planGlobalJob(view: JobView, tasks: readonly Task[], jobIteration: number): ModePlan {
  const { service, nodes, nodeOf } = view
  const constraints = tryParseConstraints(service.spec.TaskTemplate?.Placement?.Constraints) ?? []
  const byNode = groupByNode(tasks)
  const outcomes: SlotOutcome[] = []
  const replacements: JobReplacement[] = []
  const create: JobPlan['create'][number][] = []
  for (const [nodeId, nodeTasks] of byNode) {
    const outcome = planSlot(nodeTasks, view, jobIteration)
    outcomes.push(outcome)
    if (!isInvalidNode(nodeOf(nodeId))) replacements.push(...replacementOf(outcome, { nodeId }))
  }
  for (const node of nodes) {
    if (node.status.state !== 'ready' || (node.spec.Availability ?? 'active') !== 'active') continue
    const nodeTasks = byNode.get(node.id)
    const isOpen = nodeTasks === undefined || planSlot(nodeTasks, view, jobIteration).state === 'empty'
    if (!isOpen || !nodeMatches(constraints, node)) continue
    create.push({ place: { nodeId: node.id }, options: { desiredState: TaskState.Complete, jobIteration } })
  }
  return { outcomes, replacements, create }
}

function planSlot(tasks: readonly Task[], view: JobView, jobIteration: number): SlotOutcome {
  const { service, nowMs, nodeOf } = view
  if (tasks.some((task) => task.status.state === TaskState.Complete)) {
    return { state: 'complete', shutdown: [] }
  }
  const wanted = tasks.filter((task) => task.desiredState <= TaskState.Complete)
  const task = newestTask(wanted)
  if (task === undefined) {
    const last = newestTask(tasks)
    const isOver = last !== undefined && endedByItself(last) && !shouldRestart(last)
    return { state: isOver ? 'given up' : 'empty', shutdown: [] }
  }
  const lost = !isDead(task) && task.nodeId !== undefined && isInvalidNode(nodeOf(task.nodeId))
  if (!isDead(task) && !lost) return waitOrRun(task, { ...view, tasks })
  if (isDead(task) && !isDue(task, nowMs)) {
    return { state: 'running', shutdown: [], ...recheck(task, nowMs) }
  }
  const desiredState = TaskState.Ready
  if (!endedByItself(task)) {
    const options = { desiredState, jobIteration, ...movedRestart(service, task) }
    return { state: 'running', shutdown: wanted, replacement: options }
  }
  if (!shouldRestart(task)) return { state: 'given up', shutdown: wanted }
  const { restart, delayMs } = nextRestart(service, task, undefined, nowMs, false)
  const options = { desiredState, jobIteration, restart, notBeforeMs: nowMs + delayMs }
  return { state: 'running', shutdown: wanted, replacement: options }
}

function waitOrRun(task: Task, view: JobView): SlotOutcome {
  if (task.desiredState !== TaskState.Ready) return { state: 'running', shutdown: [] }
  const waitsMs = promotionDelayMs(task, view)
  if (waitsMs > 0) return { state: 'running', shutdown: [], recheckAtMs: view.nowMs + waitsMs }
  return { state: 'running', shutdown: [], promote: task }
}

function recheck({ notBeforeMs }: Task, nowMs: number): { readonly recheckAtMs?: number } {
  return notBeforeMs === undefined ? {} : { recheckAtMs: Math.max(notBeforeMs, nowMs + 1) }
}

/** Ended tasks beyond the limit of their slot, oldest first; never what tells how the slot stands now. */
function surplusHistory({ service, tasks, historyLimit }: JobView, iteration: number): readonly string[] {
  if (historyLimit < 0) return []
  const groups = modeOf(service.spec) === 'global-job' ? groupByNode(tasks) : groupBySlot(tasks)
  const surplus: string[] = []
  for (const slotTasks of groups.values()) {
    const count = slotTasks.length - historyLimit
    if (count <= 0) continue
    const last = newestTask(slotTasks.filter((task) => task.jobIteration === iteration))
    const over = slotTasks
      .filter((task) => task !== last && isDead(task))
      .filter((task) => task.jobIteration !== iteration || task.status.state !== TaskState.Complete)
      .sort((a, b) => statusTimeMs(a) - statusTimeMs(b))
    surplus.push(...over.slice(0, count).map(({ id }) => id))
  }
  return surplus
}
