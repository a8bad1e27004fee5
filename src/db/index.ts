export { copyDatabase } from './copy.js'
export { DatabaseThread, type DatabaseOptions } from './database-thread.js'
export { reseal, type SealedColumn } from './reseal.js'
export { Sealer, SealError, SEAL_OVERHEAD_BYTES } from './seal.js'
export {
  blobColumn,
  DatabaseError,
  numberColumn,
  textColumn,
  type SqlOp,
  type SqlRow,
  type SqlValue,
} from './sql.js'
