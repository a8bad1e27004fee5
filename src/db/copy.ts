import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import type { SqlFailure } from './messages.js'
import { DatabaseError } from './sql.js'

/**
 * Copies the database at `path` into a new file: all that was committed before the call, and perhaps more, as of
 * one moment. Commits go on meanwhile.
 * @throws {DatabaseError} when the copy cannot be made.
 */
export async function copyDatabase(path: string, into: string): Promise<void> {
  const worker = new Worker(new URL('./copy-worker.js', import.meta.url), { workerData: { path, into } })
  const [{ failure }] = (await once(worker, 'message')) as [{ readonly failure?: SqlFailure }]
  if (failure === undefined) return
  throw new DatabaseError(path, failure.code, `cannot copy ${path} to ${into}: ${failure.message}`)
}
