import type { Revision, TableName, Tables, Task } from '../model/objects.js'

/**
 * What an entry of the log does to one object. Updates carry deltas, only the top-level fields that
 * changed: a task's new status costs 150 bytes instead of its whole spec.
 */
export type Action =
  { [K in TableName]: TableAction<K> }[TableName] | CreateSharingTask | CreateSharingRevision

export type TableAction<K extends TableName> =
  | { readonly op: 'create'; readonly table: K; readonly object: NewObject<Tables[K]> }
  | {
      readonly op: 'update'
      readonly table: K
      readonly id: string
      readonly updatedAtMs: number
      readonly set: Patch<Tables[K]>
      readonly unset: readonly string[]
    }
  | { readonly op: 'remove'; readonly table: K; readonly id: string }

/** A new task whose spec is the one its service has at this point of the log. */
export interface CreateSharingTask {
  readonly op: 'create-sharing'
  readonly table: 'tasks'
  readonly object: Omit<NewObject<Task>, 'spec'>
}

/** A revision whose spec is the one its service has at this point of the log. */
export interface CreateSharingRevision {
  readonly op: 'create-sharing'
  readonly table: 'revisions'
  readonly object: Omit<NewObject<Revision>, 'spec'>
}

/** An object before the log has given it a version. */
export type NewObject<T> = Omit<T, 'version' | 'sameSpecVersions'>

/** What each write sets by itself. */
type Stamps = 'id' | 'version' | 'sameSpecVersions' | 'createdAtMs' | 'updatedAtMs'

/** Fields to change; `undefined` removes an optional one. */
export type Patch<T> = {
  readonly [F in Exclude<keyof T, Stamps>]?: T[F] | undefined
}

/** Entries are JSON: as fast as any binary format here, and readable in a debugger. */
export function encodeActions(actions: readonly Action[]): Uint8Array {
  return Buffer.from(JSON.stringify(actions))
}

/** Only for bytes that `encodeActions` made: they are authenticated where they are stored and sent. */
export function decodeActions(data: Uint8Array): readonly Action[] {
  return data.length === 0 ? [] : (JSON.parse(Buffer.from(data).toString()) as readonly Action[])
}
