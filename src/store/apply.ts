import { clusterError } from '../model/errors.js'
import type { Meta, Revision, TableName, Tables, Task } from '../model/objects.js'
import type { Action } from './action.js'
import type { TableSet } from './schema.js'

/** Tables whose objects users update by version, and managers write as well. */
const specIsVersioned: ReadonlySet<TableName> = new Set<TableName>(['clusters', 'nodes', 'services'])
const keptVersions = 16

/** One object before and after. `before` is absent for what was created, `after` for what was removed. */
export type Change = { [K in TableName]: TableChange<K> }[TableName]

export interface TableChange<K extends TableName> {
  readonly table: K
  readonly id: string
  readonly before: Tables[K] | undefined
  readonly after: Tables[K] | undefined
}

/**
 * What an action does to the tables: a pure function of both, used for the leader's draft and for the
 * applied log alike, so that every member comes to the same objects. Writes nothing.
 * @throws {SwarmError} when the object is there already, or is not there.
 */
export function evaluate(tables: TableSet, index: number, action: Action): Change {
  switch (action.op) {
    case 'create':
      return created(tables, action.table, { ...action.object, version: index })
    case 'create-sharing': {
      const service = tables.services.get(action.object.serviceId ?? '')
      if (service === undefined)
        throw clusterError('NotFound', `service ${action.object.serviceId} not found`)
      if (action.table === 'revisions') {
        const revision: Revision = { ...action.object, spec: service.spec, version: index }
        return created(tables, 'revisions', revision)
      }
      const task: Task = { ...action.object, spec: service.spec.TaskTemplate ?? {}, version: index }
      return created(tables, 'tasks', task)
    }
    case 'update': {
      const before = tables[action.table].get(action.id)
      if (before === undefined)
        throw clusterError('NotFound', `${singular(action.table)} ${action.id} not found`)
      const after = {
        ...before,
        ...action.set,
        version: index,
        ...(specIsVersioned.has(action.table) && {
          sameSpecVersions: 'spec' in action.set ? [] : sameSpecVersions(before, index),
        }),
        updatedAtMs: action.updatedAtMs,
      } as Tables[TableName]
      for (const field of action.unset) Reflect.deleteProperty(after, field)
      return { table: action.table, id: action.id, before, after } as Change
    }
    case 'remove': {
      const before = tables[action.table].get(action.id)
      if (before === undefined)
        throw clusterError('NotFound', `${singular(action.table)} ${action.id} not found`)
      return { table: action.table, id: action.id, before, after: undefined } as Change
    }
    default:
      return action satisfies never
  }
}

/** Files `object` under `id`; the table's name and the object's kind belong together by construction. */
export function put(tables: TableSet, table: TableName, id: string, object: Meta | undefined): void {
  const target: { set(id: string, object: never): void } = tables[table]
  target.set(id, object as never)
}

export function singular(table: TableName): string {
  return table.slice(0, -1)
}

/** Versions that one entry makes on its way are seen by nobody. */
function sameSpecVersions({ version, sameSpecVersions: earlier = [] }: Meta, index: number) {
  return version === index ? earlier : [...earlier, version].slice(-keptVersions)
}

function created(tables: TableSet, table: TableName, object: Meta): Change {
  if (tables[table].get(object.id) !== undefined) {
    throw clusterError('AlreadyExists', `${singular(table)} ${object.id} already exists`)
  }
  return { table, id: object.id, before: undefined, after: object } as Change
}
