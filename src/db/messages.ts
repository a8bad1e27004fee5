import type { SqlOp, SqlRow, SqlValue } from './sql.js'

/** A blob inside the group's one transferred buffer. */
export interface BlobRef {
  readonly at: number
  readonly lengthBytes: number
}

/**
 * Writes of one group, flattened: cloning thousands of small objects and buffers between threads costs
 * more than SQLite's own work on them.
 */
export interface EncodedGroup {
  readonly statements: readonly string[]
  /** Number of operations of each write, in order. */
  readonly writes: readonly number[]
  /** The chain of each write, or undefined. */
  readonly chains: readonly (string | undefined)[]
  /** Per operation: index into `statements`, then the number of parameters. */
  readonly ops: readonly number[]
  /** Parameters of all operations, one after the other. */
  readonly values: readonly (Exclude<SqlValue, Uint8Array> | BlobRef)[]
  readonly blobs: Uint8Array
}

export type DatabaseRequest =
  | { readonly kind: 'write'; readonly id: number; readonly group: EncodedGroup }
  | { readonly kind: 'read'; readonly id: number; readonly op: SqlOp }
  | { readonly kind: 'close'; readonly id: number }

export interface SqlFailure {
  readonly code: string
  readonly message: string
}

export type DatabaseReply =
  | { readonly kind: 'opened' }
  | { readonly kind: 'openFailed'; readonly failure: SqlFailure }
  /** `failures[i]` belongs to the i-th write of the group; absent: it is on disk. */
  | { readonly kind: 'written'; readonly id: number; readonly failures: ReadonlyMap<number, SqlFailure> }
  | { readonly kind: 'rows'; readonly id: number; readonly rows: readonly SqlRow[] }
  | { readonly kind: 'readFailed'; readonly id: number; readonly failure: SqlFailure }
  | { readonly kind: 'closed'; readonly id: number }
  /** A checkpoint failed. Nothing is lost by it; the write-ahead log grows. */
  | { readonly kind: 'checkpointFailed'; readonly failure: SqlFailure }

/** One atomic unit. */
export interface Write {
  readonly ops: readonly SqlOp[]
  /** Once a write of a chain has failed, later ones of the same chain fail too. */
  readonly chain: string | undefined
}

/** Packs writes so that they cross to the thread as a few flat arrays and one buffer. */
export function encodeGroup(writes: readonly Write[]): EncodedGroup {
  let blobBytes = 0
  for (const { ops } of writes) {
    for (const op of ops) {
      for (const value of op.params) if (value instanceof Uint8Array) blobBytes += value.byteLength
    }
  }
  const blobs = new Uint8Array(blobBytes)
  const statementIndex = new Map<string, number>()
  const opNumbers: number[] = []
  const values: (Exclude<SqlValue, Uint8Array> | BlobRef)[] = []
  let at = 0
  for (const { ops } of writes) {
    for (const op of ops) {
      const known = statementIndex.get(op.sql)
      const index = known ?? statementIndex.size
      if (known === undefined) statementIndex.set(op.sql, index)
      opNumbers.push(index, op.params.length)
      for (const value of op.params) {
        if (value instanceof Uint8Array) {
          blobs.set(value, at)
          values.push({ at, lengthBytes: value.byteLength })
          at += value.byteLength
        } else {
          values.push(value)
        }
      }
    }
  }
  return {
    statements: [...statementIndex.keys()],
    writes: writes.map(({ ops }) => ops.length),
    chains: writes.map(({ chain }) => chain),
    ops: opNumbers,
    values,
    blobs,
  }
}

/** The writes of a group again; blobs are views into the transferred buffer. */
export function decodeGroup(group: EncodedGroup): Write[] {
  const { buffer, byteOffset } = group.blobs
  let opAt = 0
  let valueAt = 0
  return group.writes.map((count, position) => {
    const ops: SqlOp[] = []
    for (let i = 0; i < count; i++) {
      const sql = group.statements[group.ops[opAt] ?? -1]
      if (sql === undefined) throw new Error('malformed group of writes')
      const paramCount = group.ops[opAt + 1] ?? 0
      opAt += 2
      const params = group.values.slice(valueAt, valueAt + paramCount).map((value) => {
        const isBlob = typeof value === 'object' && value !== null
        return isBlob ? Buffer.from(buffer, byteOffset + value.at, value.lengthBytes) : value
      })
      valueAt += paramCount
      ops.push({ sql, params })
    }
    return { ops, chain: group.chains[position] }
  })
}
