import type { IncomingMessage } from 'node:http'
import { SwarmError } from '../../model/errors.js'

/** A body over the limit. It has its own HTTP status, which no other error has. */
export class BodyTooLargeError extends SwarmError {
  readonly statusCode = 413

  constructor(limitBytes: number) {
    super('InvalidArgument', `request body is too large: the limit is ${limitBytes} bytes`)
  }
}

/** What is over the limit is read and dropped up to so many times the limit: see `readBody`. */
const drainFactor = 16

/**
 * Reads a request's body. One that is too large is read to its end all the same, unless it goes on and on:
 * a client that is still sending does not read answers, and would see a broken connection instead of why.
 * @throws {BodyTooLargeError} @throws {SwarmError} InvalidArgument when the client hangs up in the middle.
 */
export function readBody(request: IncomingMessage, limitBytes: number): Promise<Buffer> {
  const drainLimitBytes = drainFactor * limitBytes
  if (Number(request.headers['content-length'] ?? 0) > drainLimitBytes)
    return Promise.reject(new BodyTooLargeError(limitBytes))
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let size = 0
    const brokeOff = (cause?: Error) => {
      reject(new SwarmError('InvalidArgument', 'the request broke off', { cause }))
    }
    const onClose = () => {
      if (!request.complete) brokeOff()
    }
    const onData = (chunk: Buffer) => {
      size += chunk.length
      if (size <= limitBytes) chunks.push(chunk)
      else chunks.length = 0
      if (size <= drainLimitBytes) return
      request.off('data', onData).pause()
      reject(new BodyTooLargeError(limitBytes))
    }
    request.on('data', onData)
    request.once('error', brokeOff)
    request.once('close', onClose)
    request.once('end', () => {
      const [first = Buffer.alloc(0)] = chunks
      if (size > limitBytes) reject(new BodyTooLargeError(limitBytes))
      else resolve(chunks.length > 1 ? Buffer.concat(chunks) : first)
    })
  })
}
