import type { DatabaseThread } from './database-thread.js'
import type { Sealer } from './seal.js'
import { blobColumn, type SqlOp, type SqlRow, type SqlValue } from './sql.js'

/** Where sealed payloads are: one column of a table. */
export interface SealedColumn {
  readonly table: string
  readonly column: string
  /** The table's primary key. */
  readonly key: readonly string[]
  /** What the payload of a row was sealed with, besides the key. */
  readonly context: (row: SqlRow) => string
}

/** Opening and sealing these takes some milliseconds. */
const pageRows = 200

/**
 * Seals again, with the sealer's present key, what was sealed with another one. Rows that are written
 * meanwhile stay as they are: who writes uses the present key already. May be broken off and repeated.
 * @throws {SealError} when a row does not open; {DatabaseError}; the reason of `signal`.
 */
export async function reseal(
  db: Pick<DatabaseThread, 'read' | 'write'>,
  sealer: Sealer,
  { table, column, key, context }: SealedColumn,
  signal: AbortSignal,
): Promise<void> {
  const keys = key.join(', ')
  const places = key.map(() => '?').join(', ')
  const isRow = key.map((each) => `${each} = ?`).join(' AND ')
  // What was sealed before and is not written yet comes before this.
  await db.write([])
  let after: readonly SqlValue[] | undefined
  for (;;) {
    signal.throwIfAborted()
    const isNext = after === undefined ? '' : `WHERE (${keys}) > (${places})`
    const rows = await db.read(
      `SELECT * FROM ${table} ${isNext} ORDER BY ${keys} LIMIT ${pageRows}`,
      after ?? [],
    )
    const ops: SqlOp[] = []
    for (const row of rows) {
      if (row[column] === null) continue
      const sealed = blobColumn(row, column)
      if (sealed[0] === sealer.currentKeyId) continue
      const place = context(row)
      ops.push({
        sql: `UPDATE ${table} SET ${column} = ? WHERE ${isRow} AND ${column} = ?`,
        params: [sealer.seal(sealer.open(sealed, place), place), ...keyOf(row, key), sealed],
      })
    }
    if (ops.length > 0) await db.write(ops)
    const last = rows.at(-1)
    if (last === undefined || rows.length < pageRows) return
    after = keyOf(last, key)
  }
}

function keyOf(row: SqlRow, key: readonly string[]): readonly SqlValue[] {
  return key.map((each) => row[each] ?? null)
}
