import { taskName, type Service, type Task } from '../../model/objects.js'
import { TaskState } from '../../model/task-state.js'
import type { ClusterFacts } from '../cluster-facts.js'
import { passesForGood, passesNow } from '../filters.js'
import { branchPath } from '../node-class.js'
import type { NodeSet } from '../node-set.js'
import type { NodeState } from '../node-state.js'
import { wishesMet } from '../ranking.js'
import { requirementsOf, type Requirements } from '../requirements.js'

/** One task that had better run elsewhere. */
export interface Move {
  readonly serviceId: string
  readonly serviceName: string
  readonly taskId: string
  readonly taskName: string
  readonly fromNodeId: string
  readonly fromHostname: string
  readonly toNodeId: string
  readonly toHostname: string
  /** `a runs 3 tasks of the service, b runs 1`. */
  readonly reason: string
}

export interface MoveRules {
  readonly nowMs: number
  /** How long tasks must have been running, and their new nodes have been ready. 0: does not matter. */
  readonly settleMs: number
}

/** Loads of nodes must differ by so many tasks, and by that part of the larger one. */
const leastTasks = 2
const leastPart = 0.1
/** The same of reserved shares. */
const leastShare = 0.05

/**
 * Finds, one after the other, the moves that bring the tasks of services closer to where they would be
 * placed today. Each counts at once in the node set that it was given; nothing is written.
 *
 * A move is worth it only where it evens something out by itself: branches of the labels to spread over
 * first, then nodes by tasks of the service, then nodes by load; and what stands before the evened level
 * must not get worse. Since every such difference is at least 2, no move is ever taken back by the next.
 */
export class MovePlanner {
  readonly #nodes: NodeSet
  readonly #facts: ClusterFacts
  readonly #rules: MoveRules
  readonly #moved = new Set<string>()

  constructor(nodes: NodeSet, facts: ClusterFacts, rules: MoveRules) {
    this.#nodes = nodes
    this.#facts = facts
    this.#rules = rules
  }

  /**
   * The best move of a service without an obstacle (see `obstacleOf`), or undefined where none is worth it.
   * @param tasks all of the service.
   */
  next(service: Service, tasks: readonly Task[]): Move | undefined {
    const movable = tasks.filter((task) => this.#isMovable(task))
    const [first] = movable
    if (first === undefined) return undefined
    const wanted = requirementsOf(first, this.#facts)
    const view = new ServiceView(this.#nodes, service, wanted)
    const taskOn = new Map(movable.map((task) => [task.nodeId ?? '', task]))
    const sources = new BestOf(view, (a, b) => view.isFuller(a, b))
    const targets = new BestOf(view, (a, b) => view.isFuller(b, a))
    for (const state of this.#nodes.nodes()) {
      if (state.activeOf(service.id) === 0 && !this.#isSettled(state)) continue
      // Who cannot be reached cannot be told to stop its task.
      if (taskOn.has(state.node.id) && state.node.status.state === 'ready') sources.offer(state)
      if (passesForGood(state, wanted) && passesNow(state, wanted)) targets.offer(state)
    }
    let best: { readonly gain: Gain; readonly from: NodeState; readonly to: NodeState } | undefined
    for (const from of sources.nodes()) {
      for (const to of targets.nodes()) {
        const gain = from === to ? undefined : view.gain(from, to)
        if (gain !== undefined && (best === undefined || isBetter(gain, best.gain))) best = { gain, from, to }
      }
    }
    const task = best && taskOn.get(best.from.node.id)
    if (best === undefined || task === undefined) return undefined
    this.#moved.add(task.id)
    this.#nodes.assume(task, best.to.node.id, task.assignedGenericResources ?? [])
    return moveOf(service, task, best.from, best.to, best.gain.reason)
  }

  /** Whether all tasks of a service have been running for long enough. */
  hasSettled(tasks: readonly Task[]): boolean {
    return tasks.every((task) => !isRunning(task) || this.#hasRun(task))
  }

  #isMovable(task: Task): boolean {
    return isRunning(task) && task.moveTo === undefined && !this.#moved.has(task.id) && this.#hasRun(task)
  }

  #hasRun({ status }: Task): boolean {
    return this.#rules.nowMs - (status.appliedAtMs ?? status.timestampMs) >= this.#rules.settleMs
  }

  /** Nodes that come and go get nothing until they stay. */
  #isSettled({ node }: NodeState): boolean {
    return this.#rules.nowMs - (node.status.sinceMs ?? 0) >= this.#rules.settleMs
  }
}

function isRunning({ status, desiredState }: Task): boolean {
  return status.state === TaskState.Running && desiredState === TaskState.Running
}

interface Gain {
  /** What is evened out: the first label, the next one …, the nodes, their load. */
  readonly level: number
  readonly amount: number
  readonly reason: string
}

function isBetter(a: Gain, b: Gain): boolean {
  return a.level !== b.level ? a.level < b.level : a.amount > b.amount
}

/** The nodes as one service sees them. */
class ServiceView {
  readonly #service: Service
  readonly #wanted: Requirements
  /** Tasks of the service below each branch. */
  readonly #branches = new Map<string, number>()

  constructor(nodes: NodeSet, service: Service, wanted: Requirements) {
    this.#service = service
    this.#wanted = wanted
    for (const [state, count] of nodes.activeByNode(service.id)) {
      const path = this.pathOf(state)
      for (let length = 1; length <= path.length; length++) {
        const key = branchKey(path, length)
        this.#branches.set(key, (this.#branches.get(key) ?? 0) + count)
      }
    }
  }

  pathOf(state: NodeState): readonly string[] {
    return branchPath(this.#wanted, state.node)
  }

  isFuller(a: NodeState, b: NodeState): boolean {
    const difference =
      a.activeOf(this.#service.id) - b.activeOf(this.#service.id) ||
      this.#loadOf(a) - this.#loadOf(b) ||
      b.order - a.order
    return difference > 0
  }

  /** What a task that moves from one node to another evens out; undefined where it is not worth it. */
  gain(from: NodeState, to: NodeState): Gain | undefined {
    if (wishesMet(to, this.#wanted) < wishesMet(from, this.#wanted)) return undefined
    const paths = [this.pathOf(from), this.pathOf(to)] as const
    const descriptors = this.#wanted.spreadOver
    for (const [at, descriptor] of descriptors.entries()) {
      const [a, b] = paths.map((path) => this.#branches.get(branchKey(path, at + 1)) ?? 0) as [number, number]
      if (branchKey(paths[0], at + 1) === branchKey(paths[1], at + 1)) continue
      const [inFrom, inTo] = paths.map((path) => `${descriptor}=${path[at] ?? ''}`)
      if (a - b >= 2)
        return {
          level: at,
          amount: a - b,
          reason: `${inFrom} runs ${count(a)} of the service, ${inTo} runs ${b}`,
        }
      // One more or less there is the same the other way round.
      if (a - b < 1) return undefined
    }
    const [a, b] = [from.activeOf(this.#service.id), to.activeOf(this.#service.id)]
    const level = descriptors.length
    if (a - b >= 2)
      return {
        level,
        amount: a - b,
        reason: `${nameOf(from)} runs ${count(a)} of the service, ${nameOf(to)} runs ${b}`,
      }
    if (a - b < 1) return undefined
    return this.#loadGain(from, to, level + 1)
  }

  #loadGain(from: NodeState, to: NodeState, level: number): Gain | undefined {
    if (this.#wanted.strategy !== 'spread') {
      const [a, b] = [from.active, to.active]
      if (a - b < Math.max(leastTasks, Math.ceil(a * leastPart))) return undefined
      return { level, amount: a - b, reason: `${nameOf(from)} runs ${count(a)}, ${nameOf(to)} runs ${b}` }
    }
    const [a, b] = [from.reservedShare, to.reservedShare]
    // The one that is fuller now must not be the emptier one then.
    if (a - b < leastShare || a - this.#shareOn(from) < b + this.#shareOn(to)) return undefined
    const percent = (share: number) => `${Math.round(share * 100)} %`
    return {
      level,
      amount: a - b,
      reason: `${percent(a)} of ${nameOf(from)} is reserved, ${percent(b)} of ${nameOf(to)}`,
    }
  }

  #loadOf(state: NodeState): number {
    return this.#wanted.strategy === 'spread' ? state.reservedShare : state.active
  }

  /** Which part of a node one task takes. */
  #shareOn({ nanoCpus, memoryBytes }: NodeState): number {
    const part = (wanted: number, total: number) => (wanted === 0 ? 0 : wanted / total)
    return Math.max(
      part(this.#wanted.nanoCpus, nanoCpus.total),
      part(this.#wanted.memoryBytes, memoryBytes.total),
    )
  }
}

/** The best node of each branch: two nodes of one branch differ in nothing but how full they are. */
class BestOf {
  readonly #view: ServiceView
  readonly #isBetter: (a: NodeState, b: NodeState) => boolean
  readonly #best = new Map<string, NodeState>()

  constructor(view: ServiceView, better: (a: NodeState, b: NodeState) => boolean) {
    this.#view = view
    this.#isBetter = better
  }

  offer(state: NodeState): void {
    const path = this.#view.pathOf(state)
    const key = branchKey(path, path.length)
    const best = this.#best.get(key)
    if (best === undefined || this.#isBetter(state, best)) this.#best.set(key, state)
  }

  nodes(): Iterable<NodeState> {
    return this.#best.values()
  }
}

function branchKey(path: readonly string[], length: number): string {
  return JSON.stringify(path.slice(0, length))
}

function count(tasks: number): string {
  return tasks === 1 ? '1 task' : `${tasks} tasks`
}

function nameOf({ node }: NodeState): string {
  return node.description?.Hostname || node.id
}

function moveOf(service: Service, task: Task, from: NodeState, to: NodeState, reason: string): Move {
  return {
    serviceId: service.id,
    serviceName: service.spec.Name ?? '',
    taskId: task.id,
    taskName: taskName(task),
    fromNodeId: from.node.id,
    fromHostname: nameOf(from),
    toNodeId: to.node.id,
    toHostname: nameOf(to),
    reason,
  }
}
