import type { Env } from '../env/env.js'
import { clusterError } from '../model/errors.js'
import type { Revision, TableName, Tables, Task } from '../model/objects.js'
import type { Action, NewObject, Patch, TableAction } from './action.js'
import { evaluate, put, singular, type Change } from './apply.js'
import { isUniquelyNamed, type TableSet, type View } from './schema.js'

/** A transaction: reads see its own writes and everything in flight before it. */
export interface Tx extends View {
  /** The one time of this transaction: what it creates or updates is stamped with it. */
  readonly nowMs: number
  /**
   * @returns the object; its version is filled in when the transaction ends.
   * @throws {SwarmError} AlreadyExists when ID or name is taken.
   */
  create<K extends TableName>(
    table: K,
    object: Omit<NewObject<Tables[K]>, 'createdAtMs' | 'updatedAtMs'>,
  ): Tables[K]
  /**
   * Changes the given fields of an object, and its version and time.
   * @throws {SwarmError} NotFound; AlreadyExists when the new name is taken.
   */
  update<K extends TableName>(table: K, id: string, patch: Patch<Tables[K]>): Tables[K]
  /** @throws {SwarmError} NotFound. */
  remove(table: TableName, id: string): void
}

/** Version of objects that a draft has written and the log has not numbered yet. */
const unnumbered = -1

/** The transaction under way: writes straight into the head tables and can take all of it back. */
export class Draft implements Tx {
  readonly nowMs: number
  readonly actions: Action[] = []
  readonly changes: Change[] = []
  readonly clusters: View['clusters']
  readonly nodes: View['nodes']
  readonly networks: View['networks']
  readonly secrets: View['secrets']
  readonly configs: View['configs']
  readonly volumes: View['volumes']
  readonly services: View['services']
  readonly revisions: View['revisions']
  readonly tasks: View['tasks']
  readonly #head: TableSet
  #isOpen = true

  constructor(env: Env, head: TableSet) {
    this.nowMs = env.nowMs()
    this.#head = head
    this.clusters = head.clusters
    this.nodes = head.nodes
    this.networks = head.networks
    this.secrets = head.secrets
    this.configs = head.configs
    this.volumes = head.volumes
    this.services = head.services
    this.revisions = head.revisions
    this.tasks = head.tasks
  }

  create<K extends TableName>(
    table: K,
    fields: Omit<NewObject<Tables[K]>, 'createdAtMs' | 'updatedAtMs'>,
  ): Tables[K] {
    const object = { ...fields, createdAtMs: this.nowMs, updatedAtMs: this.nowMs }
    return this.#write(
      table,
      this.#sharing(table, object) ?? ({ op: 'create', table, object } as TableAction<K> as Action),
    )
  }

  update<K extends TableName>(table: K, id: string, patch: Patch<Tables[K]>): Tables[K] {
    const entries = Object.entries(patch)
    const set = Object.fromEntries(entries.filter(([, value]) => value !== undefined))
    const unset = entries.filter(([, value]) => value === undefined).map(([field]) => field)
    return this.#write(table, { op: 'update', table, id, updatedAtMs: this.nowMs, set, unset })
  }

  remove(table: TableName, id: string): void {
    this.#write(table, { op: 'remove', table, id })
  }

  /** The log took the draft: its objects get their version. Nobody else has seen them yet. */
  commitAs(index: number): void {
    for (const { after } of this.changes) {
      if (after?.version === unnumbered) (after as { version: number }).version = index
    }
  }

  /** A callback that kept the transaction cannot write with it later. */
  close(): void {
    this.#isOpen = false
  }

  undo(): void {
    for (const { table, id, before } of this.changes.toReversed()) put(this.#head, table, id, before)
  }

  #write<K extends TableName>(table: K, action: Action): Tables[K] {
    if (!this.#isOpen) throw new Error('this transaction is over')
    const change = evaluate(this.#head, unnumbered, action)
    this.#checkName(table, change)
    put(this.#head, table, change.id, change.after)
    this.actions.push(action)
    this.changes.push(change)
    return change.after as Tables[K]
  }

  #checkName(table: TableName, { id, after }: Change): void {
    if (!isUniquelyNamed(table)) return
    const name = (after as { readonly spec?: { readonly Name?: string } } | undefined)?.spec?.Name
    if (name === undefined) return
    const others: readonly { readonly id: string }[] = this.#head[table].by('name', name.toLowerCase())
    if (others.some((other) => other.id !== id)) {
      const text = `name conflicts with an existing object: ${singular(table)} ${name} already exists`
      throw clusterError('AlreadyExists', text)
    }
  }

  /** Who has its service's own spec object needs no copy of it in the log. */
  #sharing(table: TableName, object: object): Action | undefined {
    if (table === 'revisions') {
      const { spec, ...rest } = object as NewObject<Revision>
      const isShared = this.#head.services.get(rest.serviceId)?.spec === spec
      return isShared ? { op: 'create-sharing', table, object: rest } : undefined
    }
    if (table !== 'tasks') return undefined
    const { spec, ...rest } = object as NewObject<Task>
    const shared = this.#head.services.get(rest.serviceId ?? '')?.spec.TaskTemplate
    return shared !== undefined && shared === spec ? { op: 'create-sharing', table, object: rest } : undefined
  }
}
