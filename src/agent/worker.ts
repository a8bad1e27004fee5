import { setMaxListeners } from 'node:events'
import { isDeepStrictEqual } from 'node:util'
import { sleep, type Env } from '../env/env.js'
import type { AssignedTask, Controller, Dependencies, Executor } from '../executor/interface.js'
import { errorText } from '../model/errors.js'
import type { TaskStatus } from '../model/objects.js'
import { TaskState } from '../model/task-state.js'
import type { AssignmentsMessage } from '../wire/index.js'
import { DependencyStore } from './dependency-store.js'
import type { TaskStorage } from './task-database.js'
import { TaskManager, type TaskManagerHost } from './task-manager.js'

/** A container that cannot be removed is tried again after so long, doubled up to the limit. */
const removeRetryMs = 1000
const maxRemoveRetryMs = 60_000

export interface WorkerListener {
  /** A status that the managers do not know yet. */
  onStatus(taskId: string, status: TaskStatus): void
  onTaskStarted(manager: TaskManager): void
  /** The task is not this node's any more. */
  onTaskGone(taskId: string): void
}

/**
 * The tasks of this node. Works without any manager: what was assigned goes on, whether the managers are
 * there or not, and after a restart too.
 * Behaviour: moby/swarmkit agent/worker.go.
 */
export class Worker implements TaskManagerHost {
  readonly #env: Env
  readonly #nodeId: string
  readonly #executor: Executor
  readonly #db: TaskStorage
  readonly #listener: WorkerListener
  readonly #dependencies: DependencyStore
  readonly #managers = new Map<string, TaskManager>()
  readonly #removals = new Map<string, Promise<void>>()
  readonly #closing = new AbortController()
  /** Tasks from disk that wait for credentials which only the managers have. */
  readonly #lackRegistryAuth = new Set<string>()
  #isSynced = false
  readonly #gates = new Set<() => void>()
  /** Sets are applied one after the other. */
  #applying: Promise<void> = Promise.resolve()

  constructor(
    env: Env,
    parts: {
      readonly node: Dependencies['node']
      readonly executor: Executor
      readonly db: TaskStorage
      readonly listener: WorkerListener
    },
  ) {
    // All tasks that are being removed listen to it.
    setMaxListeners(0, this.#closing.signal)
    this.#env = env
    this.#nodeId = parts.node.id
    this.#executor = parts.executor
    this.#db = parts.db
    this.#listener = parts.listener
    this.#dependencies = new DependencyStore(parts.node)
  }

  get managers(): ReadonlyMap<string, TaskManager> {
    return this.#managers
  }

  /** Takes up the tasks of the last run. Before any manager is asked. */
  async start(): Promise<void> {
    for (const { task, status, isAssigned, lacksRegistryAuth } of await this.#db.load()) {
      const manager = new TaskManager(this.#env, this, task, status)
      if (!isAssigned) {
        this.#remove(task.id, manager)
        continue
      }
      if (lacksRegistryAuth) this.#lackRegistryAuth.add(task.id)
      this.#managers.set(task.id, manager)
      manager.start()
      this.#listener.onTaskStarted(manager)
    }
    await this.#removeLeftovers()
  }

  /** Applies an assignment set; sets must come in their order. Rejects when it could not be stored. */
  apply(message: AssignmentsMessage): Promise<void> {
    const applied = this.#applying.then(() => this.#apply(message))
    this.#applying = applied.catch(() => undefined)
    return applied
  }

  /** Stops stepping; all containers stay as they are. */
  async close(): Promise<void> {
    this.#closing.abort(new Error('the agent stops'))
    await this.#applying
    await Promise.all([...this.#managers.values()].map((manager) => this.#closed(manager)))
    await Promise.allSettled(this.#removals.values())
  }

  /** Asks all tasks to stop. Resolves when they have ended, or with `signal`. */
  async shutdown(signal: AbortSignal): Promise<void> {
    for (const manager of this.#managers.values())
      manager.update({ ...manager.task, desiredState: TaskState.Shutdown })
    const isRunning = () =>
      [...this.#managers.values()].some(({ status }) => status.state <= TaskState.Running)
    while (isRunning() && !signal.aborted) await sleep(this.#env, 50, signal).catch(() => undefined)
  }

  /** Removes every container of this node's tasks, and all memory of them. Does what it can until `signal`. */
  async removeAll(signal: AbortSignal): Promise<void> {
    await this.#applying
    const managers = [...this.#managers.values()]
    this.#managers.clear()
    await Promise.all(
      managers.map((manager) =>
        manager.remove(signal).catch((error: unknown) => {
          this.#env.log.warn({ task: manager.task.id, err: errorText(error) }, 'a container was not removed')
        }),
      ),
    )
    this.#closing.abort(new Error('the node leaves'))
    await Promise.allSettled(this.#removals.values())
    await this.#removeLeftovers()
    await this.#db.clear()
  }

  controller(task: AssignedTask): Controller {
    return this.#executor.controller(task, this.#dependencies.of(task))
  }

  onStatus(taskId: string, status: TaskStatus): void {
    this.#listener.onStatus(taskId, status)
    this.#db.putStatus(taskId, status).catch((error: unknown) => {
      // Every step can be repeated, so after a restart the task goes on from an older state.
      this.#env.log.error({ task: taskId, err: errorText(error) }, 'the status could not be stored')
    })
  }

  /** Secrets, configs and credentials are not on disk: after a restart they come with the first full set. */
  async whenReady(task: AssignedTask, signal: AbortSignal): Promise<void> {
    while (!this.#isSynced && (this.#lackRegistryAuth.has(task.id) || !this.#dependencies.has(task))) {
      await new Promise<void>((resolve, reject) => {
        const open = () => {
          this.#gates.delete(open)
          resolve()
        }
        this.#gates.add(open)
        signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
        if (signal.aborted) reject(signal.reason as Error)
      })
    }
  }

  async #apply({ kind, changes }: AssignmentsMessage): Promise<void> {
    if (this.#closing.signal.aborted) return
    if (kind === 'complete') this.#dependencies.clear()
    const tasks: AssignedTask[] = []
    const gone: string[] = []
    for (const change of changes) {
      if (change.op === 'update' && change.kind === 'task') tasks.push(change.task)
      else if (change.op === 'update') this.#dependencies.put(change.kind, change.file)
      else if (change.kind === 'task') gone.push(change.id)
    }
    if (kind === 'complete') {
      const listed = new Set(tasks.map(({ id }) => id))
      gone.push(...[...this.#managers.keys()].filter((id) => !listed.has(id)))
    }
    await this.#assign(tasks)
    if (kind === 'complete') this.#openGates()
    await this.#unassign(gone)
    for (const change of changes) {
      if (change.op === 'remove' && change.kind !== 'task') this.#dependencies.remove(change.kind, change.id)
    }
  }

  /** On disk first: a container of which the agent knows nothing would be removed after a restart. */
  async #assign(tasks: readonly AssignedTask[]): Promise<void> {
    await this.#db.putTasks(
      tasks.map((task) => ({ task, status: this.#managers.get(task.id)?.status ?? task.status })),
    )
    for (const task of tasks) {
      this.#lackRegistryAuth.delete(task.id)
      const manager = this.#managers.get(task.id)
      if (manager === undefined) {
        this.#take(task)
        continue
      }
      manager.update(task)
      if (!isKnown(manager.status, task.status)) this.#listener.onStatus(task.id, manager.status)
    }
  }

  #take(task: AssignedTask): void {
    const { appliedAtMs: _at, appliedBy: _by, ...status } = task.status
    const manager = new TaskManager(this.#env, this, task, status)
    this.#managers.set(task.id, manager)
    manager.start()
    this.#listener.onTaskStarted(manager)
  }

  #openGates(): void {
    this.#isSynced = true
    for (const open of this.#gates) open()
  }

  async #unassign(taskIds: readonly string[]): Promise<void> {
    await this.#db.unassign(taskIds)
    for (const id of taskIds) {
      const manager = this.#managers.get(id)
      if (manager === undefined) continue
      this.#managers.delete(id)
      this.#listener.onTaskGone(id)
      this.#remove(id, manager)
    }
  }

  #remove(taskId: string, manager: TaskManager): void {
    const removal = this.#removeUntilDone(taskId, manager).finally(() => this.#removals.delete(taskId))
    this.#removals.set(taskId, removal)
  }

  async #removeUntilDone(taskId: string, manager: TaskManager): Promise<void> {
    const { signal } = this.#closing
    for (let delayMs = removeRetryMs; !signal.aborted; delayMs = Math.min(delayMs * 2, maxRemoveRetryMs)) {
      try {
        await manager.remove(signal)
        await this.#db.remove(taskId)
        return
      } catch (error) {
        if (signal.aborted) return
        this.#env.log.warn({ task: taskId, err: errorText(error) }, 'a container is removed later')
        await sleep(this.#env, delayMs, signal).catch(() => undefined)
      }
    }
  }

  /** Containers of tasks that nobody knows any more: the daemon died before it had noted or removed them. */
  async #removeLeftovers(): Promise<void> {
    try {
      for (const { taskId, containerId } of await this.#executor.listTaskContainers(this.#nodeId)) {
        if (this.#managers.has(taskId) || this.#removals.has(taskId)) continue
        this.#env.log.info(
          { task: taskId, container: containerId },
          'removing the container of a former task',
        )
        await this.#executor.removeTaskContainer(containerId)
      }
    } catch (error) {
      this.#env.log.warn({ err: errorText(error) }, 'containers of former tasks could not be removed')
    }
  }

  async #closed(manager: TaskManager): Promise<void> {
    await manager.close().catch((error: unknown) => {
      this.#env.log.warn({ task: manager.task.id, err: errorText(error) }, 'a controller did not close')
    })
  }
}

/** Whether the managers have the node's own status, or one that stands above it. */
function isKnown(own: TaskStatus, theirs: TaskStatus): boolean {
  if (own.state !== theirs.state) return own.state < theirs.state
  const { appliedAtMs: _at, appliedBy: _by, ...status } = theirs
  return isDeepStrictEqual(own, status)
}
