import { DatabaseThread, textColumn, numberColumn, type SqlOp } from '../db/index.js'
import type { Env } from '../env/env.js'
import type { AssignedTask } from '../executor/interface.js'
import type { TaskStatus } from '../model/objects.js'

/** A task as it was when the agent stopped. */
export interface StoredTask {
  readonly task: AssignedTask
  readonly status: TaskStatus
  /** False: the manager took it away, but its container may still be there. */
  readonly isAssigned: boolean
  /** The task had credentials for its image's registry. They are never written down. */
  readonly lacksRegistryAuth: boolean
}

interface Row {
  readonly task: Omit<AssignedTask, 'status' | 'registryAuth'>
  readonly lacksRegistryAuth: boolean
}

const schema = [
  `CREATE TABLE IF NOT EXISTS tasks (
    id TEXT PRIMARY KEY, data TEXT NOT NULL, status TEXT NOT NULL, assigned INTEGER NOT NULL
  ) WITHOUT ROWID`,
]

/**
 * What an agent must know after a restart: its tasks and how far they are. Secrets are not among it.
 * Whoever runs thousands of agents in one process gives them something lighter than a file each.
 */
export interface TaskStorage {
  /** Sorted by task ID. */
  load(): Promise<readonly StoredTask[]>
  /** Resolves when new and changed tasks are on disk; the status of a known one stays. */
  putTasks(tasks: readonly { readonly task: AssignedTask; readonly status: TaskStatus }[]): Promise<void>
  putStatus(taskId: string, status: TaskStatus): Promise<void>
  /** The tasks are no longer this node's; their containers may still be there. */
  unassign(taskIds: readonly string[]): Promise<void>
  /** Nothing of the task is left. */
  remove(taskId: string): Promise<void>
  clear(): Promise<void>
  close(): Promise<void>
}

/** Tasks in a SQLite file. */
export class TaskDatabase implements TaskStorage {
  readonly #db: DatabaseThread

  private constructor(db: DatabaseThread) {
    this.#db = db
  }

  /** @throws {DatabaseError} when the file cannot be opened. */
  static async open(env: Env, path: string): Promise<TaskDatabase> {
    return new TaskDatabase(await DatabaseThread.open(path, { schema, log: env.log }))
  }

  async load(): Promise<StoredTask[]> {
    const rows = await this.#db.read('SELECT data, status, assigned FROM tasks ORDER BY id')
    return rows.map((row) => {
      const { task, lacksRegistryAuth } = JSON.parse(textColumn(row, 'data')) as Row
      const status = JSON.parse(textColumn(row, 'status')) as TaskStatus
      const isAssigned = numberColumn(row, 'assigned') !== 0
      return { task: { ...task, status }, status, isAssigned, lacksRegistryAuth }
    })
  }

  putTasks(tasks: readonly { readonly task: AssignedTask; readonly status: TaskStatus }[]): Promise<void> {
    const ops = tasks.map(({ task, status }): SqlOp => {
      const { status: _status, registryAuth, ...rest } = task
      const row: Row = { task: rest, lacksRegistryAuth: registryAuth !== undefined }
      return {
        sql: `INSERT INTO tasks (id, data, status, assigned) VALUES (?, ?, ?, 1)
          ON CONFLICT (id) DO UPDATE SET data = excluded.data, assigned = 1`,
        params: [task.id, JSON.stringify(row), JSON.stringify(status)],
      }
    })
    return ops.length === 0 ? Promise.resolve() : this.#db.write(ops)
  }

  putStatus(taskId: string, status: TaskStatus): Promise<void> {
    return this.#db.write([
      { sql: 'UPDATE tasks SET status = ? WHERE id = ?', params: [JSON.stringify(status), taskId] },
    ])
  }

  unassign(taskIds: readonly string[]): Promise<void> {
    if (taskIds.length === 0) return Promise.resolve()
    return this.#db.write(
      taskIds.map((id) => ({ sql: 'UPDATE tasks SET assigned = 0 WHERE id = ?', params: [id] })),
    )
  }

  remove(taskId: string): Promise<void> {
    return this.#db.write([{ sql: 'DELETE FROM tasks WHERE id = ?', params: [taskId] }])
  }

  clear(): Promise<void> {
    return this.#db.write([{ sql: 'DELETE FROM tasks', params: [] }])
  }

  close(): Promise<void> {
    return this.#db.close()
  }
}
