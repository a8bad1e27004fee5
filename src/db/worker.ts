// The database thread. Its counterpart is `DatabaseThread`; the messages are in `messages.ts`.
import { MessageChannel, parentPort, Worker, workerData, type MessagePort } from 'node:worker_threads'
import { Connection, toFailure } from './connection.js'
import { decodeGroup, type DatabaseReply, type DatabaseRequest } from './messages.js'

/** About 4 MB of write-ahead log between checkpoints. */
const CHECKPOINT_PAGES = 1000

/**
 * A passive checkpoint never finishes while commits keep coming, so the log file would grow for as long as
 * the load lasts. Every so often the writer copies the rest itself, which the other thread kept small.
 */
const CHECKPOINTS_PER_RESET = 8

const PAGE_BYTES = 4096

interface WorkerStart {
  readonly path: string
  readonly schema: readonly string[]
}

/** Starts the checkpointing thread when it is first needed; most agents never write enough for it. */
class Checkpointer {
  readonly #path: string
  readonly #onFailure: (error: unknown) => void
  #worker: Worker | undefined
  #port: MessagePort | undefined
  #busy = false

  constructor(path: string, onFailure: (error: unknown) => void) {
    this.#path = path
    this.#onFailure = onFailure
  }

  get busy(): boolean {
    return this.#busy
  }

  run(): void {
    if (this.#busy) return
    this.#busy = true
    const port = this.#start()
    port.postMessage('checkpoint')
  }

  async stop(): Promise<void> {
    if (this.#worker === undefined) return
    const exited = new Promise((resolve) => this.#worker?.once('exit', resolve))
    this.#port?.postMessage('stop')
    await exited
  }

  #start(): MessagePort {
    if (this.#port !== undefined) return this.#port
    const { port1, port2 } = new MessageChannel()
    const worker = new Worker(new URL('./checkpoint-worker.js', import.meta.url), {
      workerData: { path: this.#path, port: port2 },
      transferList: [port2],
    })
    port1.on('message', (message: { failure?: { code: string; message: string } }) => {
      this.#busy = false
      if (message.failure !== undefined) this.#onFailure(message.failure)
    })
    worker.on('error', (error) => {
      this.#busy = false
      this.#worker = undefined
      this.#port = undefined
      this.#onFailure(error)
    })
    worker.unref()
    port1.unref()
    this.#worker = worker
    this.#port = port1
    return port1
  }
}

function main(): void {
  if (parentPort === null) throw new Error('the database thread runs only as a worker')
  const port = parentPort
  const reply = (message: DatabaseReply) => port.postMessage(message)
  const { path, schema } = workerData as WorkerStart

  let connection: Connection
  try {
    connection = new Connection(path, schema)
  } catch (error) {
    reply({ kind: 'openFailed', failure: toFailure(error) })
    port.close()
    return
  }
  const checkpointFailed = (error: unknown) => reply({ kind: 'checkpointFailed', failure: toFailure(error) })
  const checkpointer = new Checkpointer(path, checkpointFailed)
  let pages = 0
  let pagesSinceReset = 0

  /** Counts what a group adds to the log file (roughly: a page per operation, and its bytes). */
  const afterCommit = (opCount: number, blobBytes: number) => {
    const added = opCount + Math.ceil(blobBytes / PAGE_BYTES)
    pages += added
    pagesSinceReset += added
    const isOverdue = pagesSinceReset >= CHECKPOINT_PAGES * CHECKPOINTS_PER_RESET
    if (pages < CHECKPOINT_PAGES || (checkpointer.busy && !isOverdue)) return
    pages = 0
    if (!isOverdue) {
      checkpointer.run()
      return
    }
    pagesSinceReset = 0
    try {
      // Where the other thread gets no processor, it must be waited for.
      if (checkpointer.busy) connection.finishCheckpoint()
      else connection.checkpoint()
    } catch (error) {
      checkpointFailed(error)
    }
  }

  port.on('message', (request: DatabaseRequest) => {
    switch (request.kind) {
      case 'write': {
        const failures = connection.commit(decodeGroup(request.group))
        reply({ kind: 'written', id: request.id, failures })
        afterCommit(request.group.ops.length / 2, request.group.blobs.byteLength)
        return
      }
      case 'read':
        try {
          reply({ kind: 'rows', id: request.id, rows: connection.read(request.op) })
        } catch (error) {
          reply({ kind: 'readFailed', id: request.id, failure: toFailure(error) })
        }
        return
      case 'close':
        void checkpointer.stop().then(() => {
          connection.close()
          reply({ kind: 'closed', id: request.id })
          port.close()
        })
        return
      default:
        request satisfies never
    }
  })
  reply({ kind: 'opened' })
}

main()
