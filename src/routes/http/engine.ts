import type { FastifyReply } from 'fastify'
import type { EngineResponse, HostEngine } from '../../engine/interface.js'
import { SwarmError } from '../../model/errors.js'

/** An engine's refusal, to be handed on with its own status. */
export class EngineError extends Error {
  readonly statusCode: number

  constructor({ status, body }: EngineResponse) {
    super(messageOf(body))
    this.statusCode = status
  }
}

/**
 * Asks the engine for JSON.
 * @throws {EngineError} when it refuses. @throws {SwarmError} Unavailable when it cannot be reached.
 */
export async function engineJson(engine: HostEngine, path: string): Promise<unknown> {
  const response = await engine.call({ method: 'GET', path })
  if (response.status >= 400) throw new EngineError(response)
  return parse(response.body)
}

/** Answers with what the engine answered. */
export function relay(reply: FastifyReply, { status, headers, body }: EngineResponse): FastifyReply {
  const type = headers['content-type'] ?? headers['Content-Type']
  if (typeof type === 'string') reply.raw.setHeader('Content-Type', type)
  return body.length === 0 ? reply.code(status).send() : reply.code(status).send(body)
}

function parse(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString())
  } catch (error) {
    throw new SwarmError('Unknown', 'the engine answered with something that is no JSON', { cause: error })
  }
}

function messageOf(body: Buffer): string {
  try {
    const { message } = JSON.parse(body.toString()) as { message?: unknown }
    if (typeof message === 'string') return message
  } catch {
    // Not every engine answers in JSON: then the text is the message.
  }
  return body.toString().trim()
}
