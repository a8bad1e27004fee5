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
export async function readBody(request: IncomingMessage, limitBytes: number): Promise<Buffer> {
  const drainLimitBytes = drainFactor * limitBytes
  if (Number(request.headers['content-length'] ?? 0) > drainLimitBytes)
    throw new BodyTooLargeError(limitBytes)
  const chunks: Buffer[] = []
  let size = 0
  try {
    for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      size += chunk.length
      if (size <= limitBytes) chunks.push(chunk)
      else chunks.length = 0
      if (size > drainLimitBytes) break
    }
  } catch (error) {
    throw new SwarmError('InvalidArgument', 'the request broke off', { cause: error })
  }
  if (size > limitBytes) throw new BodyTooLargeError(limitBytes)
  return Buffer.concat(chunks)
}
