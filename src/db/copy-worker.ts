// Copies a database in a thread of its own: neither commits nor the event loop wait for it.
import { parentPort, workerData } from 'node:worker_threads'
import { copyDatabaseFile, toFailure } from './connection.js'

if (parentPort === null) throw new Error('this runs only as a worker')
const port = parentPort
const { path, into } = workerData as { path: string; into: string }
try {
  copyDatabaseFile(path, into)
  port.postMessage({})
} catch (error) {
  port.postMessage({ failure: toFailure(error) })
}
