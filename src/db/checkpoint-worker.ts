// The thread that moves pages from the write-ahead log into the database file, off the commit path.
import { workerData, type MessagePort } from 'node:worker_threads'
import { CheckpointConnection, toFailure } from './connection.js'

const { path, port } = workerData as { path: string; port: MessagePort }
const connection = new CheckpointConnection(path)
port.on('message', (message: unknown) => {
  if (message === 'stop') {
    connection.close()
    port.close()
    return
  }
  try {
    connection.checkpoint()
    port.postMessage({})
  } catch (error) {
    port.postMessage({ failure: toFailure(error) })
  }
})
