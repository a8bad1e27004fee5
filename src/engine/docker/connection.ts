import { request as httpRequest, type ClientRequest, type IncomingMessage } from 'node:http'
import { errorText, SwarmError } from '../../model/errors.js'
import type { EngineRequest } from '../interface.js'

/** An answer whose body has yet to be read. */
export interface EngineStream {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly body: IncomingMessage
}

/**
 * Every request asks the engine to keep its connection open, and closes it when the answer is there: an
 * engine that closes first may do so between its answer and our last, empty write, which then fails.
 */
export const keepOpen = { Connection: 'keep-alive' } as const

/** The engine's unix socket. Each request has a connection of its own: the engine may restart at any time. */
export class EngineConnection {
  readonly socketPath: string

  constructor(socketPath: string) {
    this.socketPath = socketPath
  }

  /**
   * Sends a request and resolves with the answer's head. With `signal` the connection is cut, before and
   * after the head.
   * @param path with version prefix.
   * @throws {SwarmError} Unavailable when the engine cannot be reached; the signal's reason.
   */
  send(request: EngineRequest, signal?: AbortSignal): Promise<EngineStream> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) {
        reject(signal.reason as Error)
        return
      }
      const body = request.body === undefined ? undefined : Buffer.from(JSON.stringify(request.body))
      const outgoing: ClientRequest = httpRequest({
        socketPath: this.socketPath,
        agent: false,
        method: request.method,
        path: request.path,
        headers: {
          ...keepOpen,
          // Docker refuses requests without, and no name would be true of a socket.
          Host: 'docker',
          ...request.headers,
          ...(body !== undefined && { 'Content-Type': 'application/json', 'Content-Length': body.length }),
        },
      })
      const onAbort = () => outgoing.destroy(signal?.reason as Error)
      signal?.addEventListener('abort', onAbort, { once: true })
      outgoing.once('close', () => signal?.removeEventListener('abort', onAbort))
      outgoing.once('error', (error) => {
        reject(signal?.aborted === true ? (signal.reason as Error) : unreachable(this.socketPath, error))
      })
      outgoing.once('response', (incoming) => {
        // A body may break off after the head; whoever reads it sees that, whoever does not must not crash.
        incoming.on('error', () => undefined)
        resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, body: incoming })
      })
      outgoing.end(body)
    })
  }
}

export function unreachable(socketPath: string, error: unknown): SwarmError {
  return new SwarmError(
    'Unavailable',
    `the container engine at unix://${socketPath} cannot be reached: ${errorText(error)}`,
    { cause: error },
  )
}

/** Reads an answer to its end. */
export async function readAll(body: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of body) chunks.push(chunk)
  return Buffer.concat(chunks)
}
