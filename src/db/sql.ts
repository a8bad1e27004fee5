/** What a column holds or a parameter binds. Blobs read back are plain `Uint8Array`s. */
export type SqlValue = null | number | bigint | string | Uint8Array

/** One statement. Positional parameters (`?`) only. */
export interface SqlOp {
  readonly sql: string
  readonly params: readonly SqlValue[]
}

export type SqlRow = Readonly<Record<string, SqlValue>>

/** A failure of the database. `message` names the file; `code` is SQLite's, such as `SQLITE_FULL`. */
export class DatabaseError extends Error {
  override readonly name = 'DatabaseError'
  readonly code: string
  readonly path: string

  constructor(path: string, code: string, message: string, options?: ErrorOptions) {
    super(message, options)
    this.path = path
    this.code = code
  }
}

/** The number in `row[column]`. @throws {TypeError} if it is something else: the schema is not ours. */
export function numberColumn(row: SqlRow, column: string): number {
  const value = row[column]
  if (typeof value !== 'number') throw new TypeError(`column ${column}: number expected`)
  return value
}

/** The text in `row[column]`. @throws {TypeError} if it is something else. */
export function textColumn(row: SqlRow, column: string): string {
  const value = row[column]
  if (typeof value !== 'string') throw new TypeError(`column ${column}: text expected`)
  return value
}

/** The blob in `row[column]`. @throws {TypeError} if it is something else. */
export function blobColumn(row: SqlRow, column: string): Uint8Array {
  const value = row[column]
  if (!(value instanceof Uint8Array)) throw new TypeError(`column ${column}: blob expected`)
  return value
}
