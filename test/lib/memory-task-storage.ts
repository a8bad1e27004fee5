import type { StoredTask, TaskStorage } from '../../src/agent/index.js'
import type { AssignedTask } from '../../src/executor/interface.js'
import type { TaskStatus } from '../../src/model/objects.js'

/** Keeps an agent's tasks as its file does, over restarts of the agent. */
export class MemoryTaskStorage implements TaskStorage {
  readonly rows = new Map<string, StoredTask>()

  load(): Promise<readonly StoredTask[]> {
    return Promise.resolve([...this.rows.values()].sort((a, b) => (a.task.id < b.task.id ? -1 : 1)))
  }

  putTasks(tasks: readonly { readonly task: AssignedTask; readonly status: TaskStatus }[]): Promise<void> {
    for (const { task, status } of tasks) {
      const { registryAuth, ...rest } = task
      const known = this.rows.get(task.id)
      this.rows.set(task.id, {
        task: rest,
        status: known?.status ?? status,
        isAssigned: true,
        lacksRegistryAuth: registryAuth !== undefined,
      })
    }
    return Promise.resolve()
  }

  putStatus(taskId: string, status: TaskStatus): Promise<void> {
    const row = this.rows.get(taskId)
    if (row !== undefined) this.rows.set(taskId, { ...row, status })
    return Promise.resolve()
  }

  unassign(taskIds: readonly string[]): Promise<void> {
    for (const id of taskIds) {
      const row = this.rows.get(id)
      if (row !== undefined) this.rows.set(id, { ...row, isAssigned: false })
    }
    return Promise.resolve()
  }

  remove(taskId: string): Promise<void> {
    this.rows.delete(taskId)
    return Promise.resolve()
  }

  clear(): Promise<void> {
    this.rows.clear()
    return Promise.resolve()
  }

  close(): Promise<void> {
    return Promise.resolve()
  }
}
