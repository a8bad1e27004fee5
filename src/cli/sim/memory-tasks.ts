import type { StoredTask, TaskStorage } from '../../agent/index.js'

/** An agent's tasks in memory: for agents that end with their process. */
export class MemoryTasks implements TaskStorage {
  readonly #tasks = new Map<string, StoredTask>()

  load(): Promise<readonly StoredTask[]> {
    return Promise.resolve([...this.#tasks.values()].sort((a, b) => (a.task.id < b.task.id ? -1 : 1)))
  }

  putTasks(tasks: Parameters<TaskStorage['putTasks']>[0]): Promise<void> {
    for (const { task, status } of tasks) {
      const { registryAuth, ...rest } = task
      this.#tasks.set(task.id, {
        task: rest,
        status: this.#tasks.get(task.id)?.status ?? status,
        isAssigned: true,
        lacksRegistryAuth: registryAuth !== undefined,
      })
    }
    return Promise.resolve()
  }

  putStatus(taskId: string, status: StoredTask['status']): Promise<void> {
    return this.#change(taskId, { status })
  }

  async unassign(taskIds: readonly string[]): Promise<void> {
    for (const taskId of taskIds) await this.#change(taskId, { isAssigned: false })
  }

  remove(taskId: string): Promise<void> {
    this.#tasks.delete(taskId)
    return Promise.resolve()
  }

  clear(): Promise<void> {
    this.#tasks.clear()
    return Promise.resolve()
  }

  close(): Promise<void> {
    return Promise.resolve()
  }

  #change(taskId: string, patch: Partial<StoredTask>): Promise<void> {
    const known = this.#tasks.get(taskId)
    if (known !== undefined) this.#tasks.set(taskId, { ...known, ...patch })
    return Promise.resolve()
  }
}
