import type { Env } from '../../env/env.js'
import type { Node, Service, Task } from '../../model/objects.js'
import { TaskState } from '../../model/task-state.js'
import type { Loop, LoopFactory } from '../../store/loop.js'
import type { View } from '../../store/schema.js'
import type { Commit, Store } from '../../store/store.js'
import type { Tx } from '../../store/transaction.js'
import { isInvalidNode, isLostNode, mayChangeEligibility } from '../node.js'
import { historyLimit } from '../reaper/plan.js'
import { isDead, isJob, modeOf } from '../spec.js'
import { KeyedTimers } from '../timers.js'
import { Work } from '../../store/work.js'
import { TaskWriter } from '../write.js'
import { planJob } from './plan.js'

/** Brings jobs to their end: each tick looks once at every job that something has happened to. */
class JobLoop implements Loop {
  readonly name = 'job orchestrator'
  readonly #env: Env
  readonly #store: Store
  readonly #wake: () => void
  readonly #timers: KeyedTimers
  readonly #jobs = new Set<string>()
  readonly #globalJobs = new Set<string>()
  readonly #dirty = new Set<string>()

  constructor(env: Env, store: Store, wake: () => void) {
    this.#env = env
    this.#store = store
    this.#wake = wake
    this.#timers = new KeyedTimers(env)
  }

  start(view: View): void {
    for (const service of view.services.list()) this.#noteService(undefined, service)
  }

  stop(): void {
    this.#timers.clearAll()
  }

  onCommit({ changes }: Commit): void {
    for (const change of changes) {
      if (change.table === 'services') this.#noteService(change.before, change.after)
      else if (change.table === 'tasks') this.#noteTask(change.before, change.after)
      else if (change.table === 'nodes') this.#noteNode(change.id, change.before, change.after)
    }
  }

  get hasWork(): boolean {
    return this.#dirty.size > 0
  }

  async tick(signal: AbortSignal): Promise<void> {
    const work = new Work(this.#store, signal)
    while (work.mayGoOn && this.#dirty.size > 0) {
      for (const id of [...this.#dirty].sort()) {
        if (!work.mayGoOn) break
        this.#dirty.delete(id)
        let cost = 0
        work.update(
          (tx) => {
            cost = this.#reconcile(tx, id)
          },
          () => this.#dirty.add(id),
        )
        await work.breathe(cost)
      }
    }
    await work.end()
  }

  #noteService(before: Service | undefined, after: Service | undefined): void {
    if (after === undefined) {
      if (before === undefined) return
      this.#jobs.delete(before.id)
      this.#globalJobs.delete(before.id)
      this.#dirty.delete(before.id)
      this.#timers.clear(before.id)
      return
    }
    if (!isJob(after.spec)) return
    this.#jobs.add(after.id)
    if (modeOf(after.spec) === 'global-job') this.#globalJobs.add(after.id)
    if (before?.spec !== after.spec || before.jobStatus !== after.jobStatus) this.#dirty.add(after.id)
  }

  #noteTask(before: Task | undefined, after: Task | undefined): void {
    const serviceId = (after ?? before)?.serviceId
    if (serviceId === undefined || !this.#jobs.has(serviceId)) return
    const ended = after !== undefined && isDead(after) && before !== undefined && !isDead(before)
    const gone = after === undefined && before !== undefined && isWanted(before)
    const stopped = after !== undefined && before !== undefined && isWanted(before) && !isWanted(after)
    const waits = before === undefined && after?.desiredState === TaskState.Ready
    const lost = after?.nodeId !== undefined && after.nodeId !== before?.nodeId && this.#isInvalid(after)
    if (ended || gone || stopped || waits || lost) this.#dirty.add(serviceId)
  }

  #noteNode(id: string, before: Node | undefined, after: Node | undefined): void {
    const ready = before?.status.state !== after?.status.state && after?.status.state === 'ready'
    if (ready || mayChangeEligibility(before, after)) {
      for (const job of this.#globalJobs) this.#dirty.add(job)
    }
    const wasInvalid = before !== undefined && isInvalidNode(before)
    if (isInvalidNode(after) === wasInvalid && isLostNode(after) === isLostNode(before)) return
    for (const { serviceId } of this.#store.view.tasks.by('node', id)) {
      if (serviceId !== undefined && this.#jobs.has(serviceId)) this.#dirty.add(serviceId)
    }
  }

  #isInvalid({ nodeId }: Task): boolean {
    return isInvalidNode(this.#store.view.nodes.get(nodeId ?? ''))
  }

  /** @returns how much work it was. */
  #reconcile(tx: Tx, id: string): number {
    this.#timers.clear(id)
    const service = tx.services.get(id)
    if (service === undefined) return 0
    const tasks = tx.tasks.by('service', id)
    const nodeOf = (nodeId: string) => tx.nodes.get(nodeId)
    const nodes = this.#globalJobs.has(id) ? tx.nodes.list() : []
    const plan = planJob({
      service,
      tasks,
      nodes,
      nodeOf,
      nowMs: tx.nowMs,
      historyLimit: historyLimit(tx),
    })
    const write = new TaskWriter(this.#env, tx)
    const raise = (ids: readonly string[], state: TaskState) =>
      ids.map((id) => () => write.raise([id], state))
    const steps = [
      ...raise(plan.promoteTaskIds, TaskState.Complete),
      ...raise(plan.shutdownTaskIds, TaskState.Shutdown),
      ...raise(plan.removeTaskIds, TaskState.Remove),
      ...plan.forgetTaskIds.map((taskId) => () => write.remove(taskId)),
      ...plan.replacements.map(({ taskIds, place, options }) => () => {
        write.raise(taskIds, TaskState.Shutdown)
        write.create(service, place, options)
      }),
      ...plan.create.map(
        ({ place, options }) =>
          () =>
            write.create(service, place, options),
      ),
    ]
    for (const step of steps) {
      if (write.isFull) {
        this.#dirty.add(id)
        break
      }
      step()
    }
    if (plan.recheckAtMs !== undefined) {
      this.#timers.set(id, plan.recheckAtMs, () => {
        this.#dirty.add(id)
        this.#wake()
      })
    }
    return tasks.length + nodes.length + write.changes
  }
}

function isWanted({ desiredState }: Task): boolean {
  return desiredState <= TaskState.Complete
}

export const jobLoop: LoopFactory = (env, store, wake) => new JobLoop(env, store, wake)
