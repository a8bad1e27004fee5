import type { Env } from '../env/env.js'
import type { Service } from '../model/objects.js'
import type { TaskState } from '../model/task-state.js'
import type { Tx } from '../store/transaction.js'
import { newTask, type NewTaskOptions, type Place } from './task.js'

/** Writes of one transaction, counted so that transactions stay small. */
export class TaskWriter {
  readonly #env: Env
  readonly #tx: Tx
  changes = 0

  constructor(env: Env, tx: Tx) {
    this.#env = env
    this.#tx = tx
  }

  create(service: Service, place: Place, options: NewTaskOptions): void {
    const cluster = this.#tx.clusters.list()[0]
    this.#tx.create('tasks', newTask(this.#env, cluster, service, place, options))
    this.changes++
  }

  /** Raises the desired state; it never goes back. Tasks that are gone are none of our business. */
  raise(taskIds: readonly string[], desiredState: TaskState): void {
    for (const id of taskIds) {
      const task = this.#tx.tasks.get(id)
      if (task === undefined || task.desiredState >= desiredState) continue
      this.#tx.update('tasks', id, { desiredState })
      this.changes++
    }
  }
}
