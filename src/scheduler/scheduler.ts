import type { Env } from '../env/env.js'
import type { Node, Task } from '../model/objects.js'
import { TaskState } from '../model/task-state.js'
import type { Change } from '../store/apply.js'
import type { Loop, LoopFactory } from '../store/loop.js'
import { inSlices } from '../store/slices.js'
import type { Commit, Store, Tx, View } from '../store/store.js'
import { Work } from '../store/work.js'
import { ClusterFacts } from './cluster-facts.js'
import { isReady } from './filters.js'
import { Planner, type Decision } from './planner.js'

/**
 * Gives every pending task a node, or a reason why it has none. See DESIGN.md.
 * Behaviour: moby/swarmkit manager/scheduler/scheduler.go.
 */
export class Scheduler implements Loop {
  readonly name = 'scheduler'
  readonly #env: Env
  readonly #store: Store
  readonly #wake: () => void
  readonly #planner: Planner
  /** Tasks whose decision is being written: until its outcome is known, news of them wait. */
  readonly #inFlight = new Set<string>()
  /** What was there at the start and has not been looked at yet. */
  #unread: { readonly nodes: readonly Node[]; readonly tasks: readonly Task[] } | undefined
  #cancelTimer: (() => void) | undefined

  constructor(env: Env, store: Store, wake: () => void) {
    this.#env = env
    this.#store = store
    this.#wake = wake
    this.#planner = new Planner(new ClusterFacts(store.view))
  }

  /** Only takes note: counting 100,000 tasks would hold up everything else. The first tick does it. */
  start(view: View): void {
    this.#unread = { nodes: view.nodes.unsorted(), tasks: view.tasks.unsorted() }
  }

  onCommit({ changes }: Commit): void {
    for (const change of changes) this.#onChange(change)
  }

  get hasWork(): boolean {
    // What is being written may turn out to be still to do.
    return this.#unread !== undefined || this.#inFlight.size > 0 || this.#planner.hasWork
  }

  async tick(signal: AbortSignal): Promise<void> {
    await this.#readAll(signal)
    const work = new Work(this.#store, signal)
    while (work.mayGoOn) {
      const decisions = this.#planner.step(this.#env.monotonicMs())
      if (decisions.length === 0) break
      this.#write(work, decisions)
      await work.breathe(decisions.length)
    }
    await work.end()
    this.#armTimer()
  }

  stop(): void {
    this.#cancelTimer?.()
  }

  /**
   * Looks at all that was there at the start, as it is by now. Commits meanwhile are noted as always; what
   * they have told is told again, which changes nothing.
   */
  async #readAll(signal: AbortSignal): Promise<void> {
    if (this.#unread === undefined) return
    const { nodes, tasks } = this.#unread
    const { view } = this.#store
    const readNode = ({ id }: Node) => {
      const node = view.nodes.get(id)
      if (node !== undefined) this.#planner.setNode(node)
    }
    await inSlices(this.#env, nodes, readNode, signal)
    await inSlices(this.#env, tasks, ({ id }) => this.#setTask(id, view.tasks.get(id)), signal)
    if (!signal.aborted) this.#unread = undefined
  }

  #onChange(change: Change): void {
    switch (change.table) {
      case 'nodes':
        if (change.after === undefined) this.#planner.removeNode(change.id)
        else this.#planner.setNode(change.after)
        break
      case 'tasks':
        this.#noteFailure(change.before, change.after)
        if (!this.#inFlight.has(change.id)) this.#setTask(change.id, change.after)
        break
      case 'services':
        if (change.after === undefined) this.#planner.forgetService(change.id)
        this.#planner.noteChange(change)
        break
      case 'networks':
      case 'secrets':
      case 'configs':
      case 'revisions':
        break
      case 'volumes':
      case 'clusters':
        this.#planner.noteChange(change)
        break
      default:
        change satisfies never
    }
  }

  #noteFailure(before: Task | undefined, after: Task | undefined): void {
    const hasFailed = (task: Task | undefined) =>
      task?.status.state === TaskState.Failed || task?.status.state === TaskState.Rejected
    if (after !== undefined && hasFailed(after) && !hasFailed(before))
      this.#planner.recordFailure(after, this.#env.monotonicMs())
  }

  #setTask(taskId: string, task: Task | undefined): void {
    if (task === undefined) this.#planner.removeTask(taskId)
    else this.#planner.setTask(task)
  }

  /** One transaction. Whatever comes of it, the planner then knows the tasks as they are. */
  #write(work: Work, decisions: readonly Decision[]): void {
    for (const { taskId } of decisions) this.#inFlight.add(taskId)
    const learn = () => {
      for (const { taskId } of decisions) {
        this.#inFlight.delete(taskId)
        this.#setTask(taskId, this.#store.view.tasks.get(taskId))
      }
    }
    const write = (tx: Tx) => {
      for (const decision of decisions) applyDecision(tx, decision)
    }
    work.update(write, learn, learn)
  }

  #armTimer(): void {
    this.#cancelTimer?.()
    const dueMs = this.#planner.nextDueMs()
    this.#cancelTimer =
      dueMs === undefined
        ? undefined
        : this.#env.after(Math.max(0, dueMs - this.#env.monotonicMs()), () => this.#wake())
  }
}

export const schedulerLoop: LoopFactory = (env, store, wake) => new Scheduler(env, store, wake)

/** Writes a decision unless the task or its node have changed so that it is no good any more. */
function applyDecision(tx: Tx, decision: Decision): void {
  const task = tx.tasks.get(decision.taskId)
  if (task === undefined || task.status.state !== TaskState.Pending) return
  switch (decision.kind) {
    case 'assign':
      assign(tx, task, decision)
      break
    case 'explain':
      if (task.status.err !== decision.reason)
        tx.update('tasks', task.id, {
          status: { ...task.status, timestampMs: tx.nowMs, err: decision.reason },
        })
      break
    case 'shut down': {
      if (task.desiredState !== TaskState.Shutdown) return
      const { err: _, ...status } = task.status
      tx.update('tasks', task.id, {
        status: { ...status, state: TaskState.Shutdown, timestampMs: tx.nowMs },
      })
      break
    }
    default:
      decision satisfies never
  }
}

function assign(tx: Tx, task: Task, decision: Decision & { readonly kind: 'assign' }): void {
  const { nodeId, generics, volumes, preassigned } = decision
  const node = tx.nodes.get(nodeId)
  const isStillFree = task.nodeId === (preassigned ? nodeId : undefined)
  if (!isStillFree || task.desiredState > TaskState.Complete || node === undefined || !isReady(node)) return
  if (!volumes.every(({ id }) => tx.volumes.get(id)?.spec.Availability === 'active')) return
  const message = preassigned
    ? 'scheduler confirmed task can run on preassigned node'
    : 'scheduler assigned task to node'
  tx.update('tasks', task.id, {
    nodeId,
    status: { state: TaskState.Assigned, timestampMs: tx.nowMs, message },
    ...(generics.length > 0 ? { assignedGenericResources: generics } : {}),
    ...(volumes.length > 0 ? { volumes } : {}),
  })
  for (const { id } of volumes) publish(tx, id, nodeId)
}

/** The volume is wanted on the node from now on. */
function publish(tx: Tx, volumeId: string, nodeId: string): void {
  const volume = tx.volumes.get(volumeId)
  if (volume === undefined || volume.publishStatus?.some((status) => status.nodeId === nodeId)) return
  const status = { nodeId, state: 'pending-publish', publishContext: {} } as const
  tx.update('volumes', volumeId, { publishStatus: [...(volume.publishStatus ?? []), status] })
}
