import type { Node, Task, TaskVolume } from '../model/objects.js'
import type { GenericResource } from '../model/spec/index.js'
import { TaskState } from '../model/task-state.js'
import type { Change } from '../store/apply.js'
import type { ClusterFacts } from './cluster-facts.js'
import { countFilters, explain, noSuitableNode } from './explanation.js'
import { Failures } from './failures.js'
import { failingFilter } from './filters.js'
import { claimGenerics } from './generic-resources.js'
import { GroupPlan } from './group-plan.js'
import { NodeClasses } from './node-class.js'
import { NodeSet } from './node-set.js'
import { requirementsOf, type Requirements } from './requirements.js'
import { TaskQueue, type Group } from './task-queue.js'

/** What the scheduler has decided about one task. */
export type Decision =
  | {
      readonly kind: 'assign'
      readonly taskId: string
      readonly nodeId: string
      readonly generics: readonly GenericResource[]
      readonly volumes: readonly TaskVolume[]
      /** Whether the node was chosen before, by the global orchestrator. */
      readonly preassigned: boolean
    }
  /** No node takes it. */
  | { readonly kind: 'explain'; readonly taskId: string; readonly reason: string }
  /** It is not to run any more and never got a node. */
  | { readonly kind: 'shut down'; readonly taskId: string }

/** A task that waits for its node to take it. */
interface Preassigned {
  readonly task: Task
  /** `NodeSet.improvements` when the node did not; undefined while it is to be tried. */
  triedAt: number | undefined
  reason: string | undefined
}

/** Decisions of one step: they make one transaction. */
const decisionsPerStep = 200
/** Tasks of one group that are placed before the next has its turn. */
const tasksPerTurn = 1000
/** A reason that changes is written again at most so often. */
const quietMs = 1000

/**
 * The scheduler without its surroundings: is told of nodes and tasks, and gives decisions in steps. What
 * it decides counts at once; who writes it must tell the outcome with `setTask`.
 */
export class Planner {
  readonly nodes = new NodeSet()
  readonly #classes = new NodeClasses(this.nodes)
  readonly #failures = new Failures()
  readonly #queue = new TaskQueue()
  readonly #preassigned = new Map<string, Preassigned>()
  readonly #unwanted = new Set<string>()
  readonly #facts: ClusterFacts
  /** Reasons by requirements, as of `nodes.improvements`. */
  readonly #hopeless = new Map<string, string>()
  #hopelessAt = 0
  /** `NodeSet.improvements` when every group that waits had been tried. */
  #triedAllAt: number | undefined
  #turn: { readonly group: Group; readonly plan: GroupPlan; left: number } | undefined

  constructor(facts: ClusterFacts) {
    this.#facts = facts
  }

  /** Something besides nodes and tasks has changed. */
  noteChange(change: Change): void {
    if (this.#facts.note(change)) this.nodes.improve()
  }

  setNode(node: Node): void {
    this.nodes.setNode(node)
  }

  removeNode(nodeId: string): void {
    this.nodes.removeNode(nodeId)
  }

  setTask(task: Task): void {
    this.nodes.setTask(task)
    this.#facts.volumes.setTask(task)
    const isPending = task.status.state === TaskState.Pending
    const isWanted = task.desiredState <= TaskState.Complete
    if (isPending && isWanted && task.nodeId === undefined) this.#queue.set(task)
    else this.#queue.delete(task.id)
    if (isPending && isWanted && task.nodeId !== undefined) this.#setPreassigned(task)
    else this.#preassigned.delete(task.id)
    if (isPending && task.desiredState === TaskState.Shutdown) this.#unwanted.add(task.id)
    else this.#unwanted.delete(task.id)
  }

  removeTask(taskId: string): void {
    this.nodes.removeTask(taskId)
    this.#facts.volumes.removeTask(taskId)
    this.#queue.delete(taskId)
    this.#preassigned.delete(taskId)
    this.#unwanted.delete(taskId)
  }

  /** A task has failed on its node, which makes the node less likely for its service. */
  recordFailure(task: Task, nowMs: number): void {
    if (task.nodeId !== undefined) this.#failures.record(failureKey(task), task.nodeId, nowMs)
  }

  forgetService(serviceId: string): void {
    this.#failures.forget(serviceId)
  }

  /** Whether tasks wait for a node, or for their end. `step` may still find nothing to decide about them. */
  get hasWork(): boolean {
    return this.#queue.size + this.#preassigned.size + this.#unwanted.size > 0
  }

  /**
   * The next few decisions, at most 200. Empty when there is nothing to decide now.
   * @param nowMs monotonic.
   */
  step(nowMs: number): readonly Decision[] {
    return (
      this.#shutDownStep() ??
      this.#preassignedStep() ??
      this.#groupStep(nowMs) ??
      this.#explainStep(nowMs) ??
      []
    )
  }

  /** When a reason that has to wait is due, monotonic ms, or undefined. */
  nextDueMs(): number | undefined {
    let dueMs: number | undefined
    for (const { untold, quietUntilMs } of this.#queue.awake()) {
      if (untold.size > 0 && (dueMs === undefined || quietUntilMs < dueMs)) dueMs = quietUntilMs
    }
    return dueMs
  }

  /** A task that does not say why it waits, as the write was lost, is tried and told again. */
  #setPreassigned(task: Task): void {
    const { triedAt, reason } = this.#preassigned.get(task.id) ?? {}
    const isTold = reason !== undefined && task.status.err === reason
    this.#preassigned.set(task.id, { task, triedAt: isTold ? triedAt : undefined, reason })
  }

  #shutDownStep(): readonly Decision[] | undefined {
    if (this.#unwanted.size === 0) return undefined
    const ids = [...this.#unwanted].slice(0, decisionsPerStep)
    for (const id of ids) this.#unwanted.delete(id)
    return ids.map((taskId) => ({ kind: 'shut down', taskId }))
  }

  #preassignedStep(): readonly Decision[] | undefined {
    const decisions: Decision[] = []
    for (const [taskId, entry] of this.#preassigned) {
      if (entry.triedAt === this.nodes.improvements) continue
      entry.triedAt = this.nodes.improvements
      const decision = this.#confirm(entry)
      if (decision === undefined) continue
      decisions.push(decision)
      if (decision.kind === 'assign') this.#preassigned.delete(taskId)
      if (decisions.length === decisionsPerStep) break
    }
    return decisions.length === 0 ? undefined : decisions
  }

  #confirm(entry: Preassigned): Decision | undefined {
    const { task } = entry
    const nodeId = task.nodeId ?? ''
    const wanted = requirementsOf(task, this.#facts)
    for (const { services } of wanted.together) this.nodes.lookOutFor(services)
    const state = this.nodes.get(nodeId)
    const filter = state === undefined ? undefined : failingFilter(state, wanted)
    if (state === undefined || filter !== undefined) {
      const counts = new Map(filter === undefined ? [] : [[filter, 1] as const])
      const reason = state === undefined ? `node ${nodeId} not found` : explain(counts)
      entry.reason = reason
      return task.status.err === reason ? undefined : { kind: 'explain', taskId: task.id, reason }
    }
    const generics = claimGenerics(state.freeGenerics, wanted.generics) ?? []
    this.nodes.assume(task, nodeId, generics)
    const volumes = wanted.volumes.claim(task, wanted.mounts, state.node) ?? []
    return { kind: 'assign', taskId: task.id, nodeId, generics, volumes, preassigned: true }
  }

  #groupStep(nowMs: number): readonly Decision[] | undefined {
    for (let group = this.#nextGroup(); group !== undefined; group = this.#nextGroup()) {
      const decisions = this.#place(group, nowMs)
      if (decisions.length > 0) return decisions
    }
    return undefined
  }

  /** The group whose turn it is, else the next one that may find a node. */
  #nextGroup(): Group | undefined {
    const { group, left } = this.#turn ?? {}
    if (group !== undefined && group.tasks.size > 0 && group.triedAt === undefined) {
      if ((left ?? 0) > 0) return group
      this.#queue.moveToEnd(group)
    }
    this.#turn = undefined
    const { improvements } = this.nodes
    // What was tried in vain can only succeed after a node has improved.
    const candidates = this.#triedAllAt === improvements ? this.#queue.awake() : this.#queue.groups()
    for (const candidate of candidates) {
      if (candidate.triedAt !== improvements) return candidate
    }
    this.#triedAllAt = improvements
    return undefined
  }

  #place(group: Group, nowMs: number): readonly Decision[] {
    const tasks = firstTasks(group, decisionsPerStep)
    const [first] = tasks
    if (first === undefined) return []
    const wanted = requirementsOf(first, this.#facts)
    const reason = this.#hopelessReason(wanted)
    if (reason !== undefined) {
      this.#giveUp(group, reason, nowMs)
      return []
    }
    const placements = this.#planFor(group, first, wanted, nowMs).place(tasks)
    for (const { task } of placements) this.#queue.delete(task.id)
    if (this.#turn !== undefined) this.#turn.left -= placements.length
    if (placements.length < tasks.length) this.#giveUp(group, this.#findReason(wanted), nowMs)
    return placements.map(({ task, nodeId, generics, volumes }) => ({
      kind: 'assign',
      taskId: task.id,
      nodeId,
      generics,
      volumes,
      preassigned: false,
    }))
  }

  #planFor(group: Group, first: Task, wanted: Requirements, nowMs: number): GroupPlan {
    if (this.#turn?.group === group && this.#turn.plan.isCurrent) return this.#turn.plan
    const failures = this.#failures.of(failureKey(first), nowMs)
    const plan = new GroupPlan(this.nodes, this.#classes, wanted, failures, first.id)
    this.#turn = { group, plan, left: this.#turn?.group === group ? this.#turn.left : tasksPerTurn }
    return plan
  }

  /** Nothing fits: what is left of the group waits until something changes for the better. */
  #giveUp(group: Group, reason: string, nowMs: number): void {
    group.triedAt = this.nodes.improvements
    group.reason = reason
    const tasks = [...group.tasks.values()]
    const isNews = group.untold.size === 0 && tasks.every(({ status }) => !status.err)
    group.untold.clear()
    for (const { id, status } of tasks) if (status.err !== reason) group.untold.add(id)
    if (isNews) group.quietUntilMs = nowMs
    if (group.untold.size > 0) this.#queue.wake(group)
    else this.#queue.rest(group)
  }

  #explainStep(nowMs: number): readonly Decision[] | undefined {
    for (const group of this.#queue.awake()) {
      if (group.untold.size === 0 || group.quietUntilMs > nowMs) continue
      const { reason } = group
      const ids = [...group.untold].slice(0, decisionsPerStep)
      for (const id of ids) group.untold.delete(id)
      if (group.untold.size === 0) {
        group.quietUntilMs = nowMs + quietMs
        this.#queue.rest(group)
      }
      return ids.map((taskId) => ({ kind: 'explain', taskId, reason }))
    }
    return undefined
  }

  #findReason(wanted: Requirements): string {
    for (const { services } of wanted.together) this.nodes.lookOutFor(services)
    const reason = noSuitableNode(countFilters(this.nodes.nodes(), wanted))
    if (this.#hopelessAt !== this.nodes.improvements) this.#hopeless.clear()
    this.#hopelessAt = this.nodes.improvements
    this.#hopeless.set(hopelessKey(wanted), reason)
    return reason
  }

  /** Why nothing was found for the same requirements before. Placements since can only have made it worse. */
  #hopelessReason(wanted: Requirements): string | undefined {
    return this.#hopelessAt === this.nodes.improvements ? this.#hopeless.get(hopelessKey(wanted)) : undefined
  }
}

function firstTasks(group: Group, count: number): readonly Task[] {
  const tasks: Task[] = []
  for (const task of group.tasks.values()) {
    if (tasks.length === count) break
    tasks.push(task)
  }
  return tasks
}

function failureKey({ id, serviceId, specVersion }: Task): string {
  return `${serviceId ?? id}/${specVersion ?? ''}`
}

function companyKey({ together, apart, serviceId }: Requirements): readonly unknown[] {
  if (together.length + apart.length === 0) return []
  const texts = [together, apart].map((companies) => companies.map(({ text }) => text))
  return [serviceId, ...texts]
}

function hopelessKey(wanted: Requirements): string {
  const perService = wanted.maxReplicas === 0 ? '' : `${wanted.maxReplicas}/${wanted.serviceId}`
  return JSON.stringify([
    wanted.classKey,
    wanted.nanoCpus,
    wanted.memoryBytes,
    [...wanted.generics],
    wanted.hostPorts,
    perService,
    ...companyKey(wanted),
    wanted.mounts,
  ])
}
