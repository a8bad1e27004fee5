import type { Env } from '../env/env.js'
import type { Service } from '../model/objects.js'
import type { ServiceSpec } from '../model/spec/index.js'
import type { TaskState } from '../model/task-state.js'
import type { Tx } from '../store/transaction.js'
import { newTask, type NewTaskOptions, type Place } from './task.js'

/** Changes and bytes that one transaction holds, more or less; an entry of the log takes 1.5 MB. */
const maxChanges = 200
const maxBytes = 512 * 1024
/** What an entry says of a task besides what its service gives it. */
const taskOverheadBytes = 800
const updateBytes = 150

const sizes = new WeakMap<ServiceSpec, number>()

/** About how long a new task of the service is in the log: it has the labels, but shares the spec. */
export function newTaskBytes({ spec, registryAuth }: Service): number {
  let size = sizes.get(spec)
  if (size === undefined) {
    size = taskOverheadBytes + JSON.stringify([spec.Name, spec.Labels, spec.EndpointSpec]).length
    sizes.set(spec, size)
  }
  return size + (registryAuth ?? '').length
}

/** How many new tasks of the service one transaction takes, at least one. */
export function tasksPerTransaction(service: Service): number {
  return Math.max(1, Math.min(maxChanges, Math.floor(maxBytes / newTaskBytes(service))))
}

/** Writes of one transaction, counted so that transactions stay small. */
export class TaskWriter {
  readonly #env: Env
  readonly #tx: Tx
  changes = 0
  #bytes = 0

  constructor(env: Env, tx: Tx) {
    this.#env = env
    this.#tx = tx
  }

  /** Nothing more should be written here. */
  get isFull(): boolean {
    return this.changes >= maxChanges || this.#bytes >= maxBytes
  }

  create(service: Service, place: Place, options: NewTaskOptions): void {
    const cluster = this.#tx.clusters.list()[0]
    this.#tx.create('tasks', newTask(this.#env, cluster, service, place, options))
    this.changes++
    this.#bytes += newTaskBytes(service)
  }

  remove(taskId: string): void {
    this.#tx.remove('tasks', taskId)
    this.changes++
    this.#bytes += updateBytes
  }

  /** Raises the desired state; it never goes back. Tasks that are gone are none of our business. */
  raise(taskIds: readonly string[], desiredState: TaskState): void {
    for (const id of taskIds) {
      const task = this.#tx.tasks.get(id)
      if (task === undefined || task.desiredState >= desiredState) continue
      this.#tx.update('tasks', id, { desiredState })
      this.changes++
      this.#bytes += updateBytes
    }
  }

  /** Says why a task that runs waits, or that it does not wait any more. */
  note(taskIds: readonly string[], message: string): void {
    for (const id of taskIds) {
      const task = this.#tx.tasks.get(id)
      if (task === undefined || task.status.message === message) continue
      this.#tx.update('tasks', id, { status: { ...task.status, message } })
      this.changes++
      this.#bytes += updateBytes
    }
  }
}
