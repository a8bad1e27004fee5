import type { Service, TableName, Tables } from '../model/objects.js'
import type { TaskSpec } from '../model/spec/index.js'

/** One object of the store with its table. */
export type StoredObject = { [K in TableName]: { readonly table: K; readonly object: Tables[K] } }[TableName]

/**
 * Makes specs that were read from disk one object again where they are equal: the service's and those of its
 * tasks. It saves memory, and comparing specs stays a matter of identity. Services are learnt first.
 */
export class SpecSharing {
  readonly #specs = new Map<string, TaskSpec>()

  learn({ spec, previousSpec }: Service): void {
    for (const template of [spec.TaskTemplate, previousSpec?.TaskTemplate])
      if (template !== undefined) this.share(template)
  }

  /** The first spec that is equal to this one. */
  share(spec: TaskSpec): TaskSpec {
    const key = JSON.stringify(spec)
    const known = this.#specs.get(key)
    if (known === undefined) this.#specs.set(key, spec)
    return known ?? spec
  }
}
