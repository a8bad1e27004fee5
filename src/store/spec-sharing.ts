import type { Service, TableName, Tables, Task } from '../model/objects.js'
import type { TaskSpec } from '../model/spec/index.js'

/** One object of the store with its table. */
export type StoredObject = { [K in TableName]: { readonly table: K; readonly object: Tables[K] } }[TableName]

/**
 * Makes tasks that were read from disk share their spec again, among each other and with their service: one
 * object in memory serves them all, and comparing specs stays a matter of identity. Services must come
 * before tasks.
 */
export class SpecSharing {
  readonly #specs = new Map<string, TaskSpec>()

  share(stored: StoredObject): StoredObject {
    if (stored.table === 'services') this.#learn(stored.object)
    return stored.table === 'tasks' ? { table: 'tasks', object: this.#shared(stored.object) } : stored
  }

  #learn({ spec, previousSpec }: Service): void {
    for (const template of [spec.TaskTemplate, previousSpec?.TaskTemplate])
      if (template !== undefined) this.#intern(template)
  }

  #shared(task: Task): Task {
    const spec = this.#intern(task.spec)
    return spec === task.spec ? task : { ...task, spec }
  }

  #intern(spec: TaskSpec): TaskSpec {
    const key = JSON.stringify(spec)
    const known = this.#specs.get(key)
    if (known === undefined) this.#specs.set(key, spec)
    return known ?? spec
  }
}
