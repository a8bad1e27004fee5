import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Env } from '../../env/env.js'
import { SwarmError, errorText, type ErrorCode } from '../../model/errors.js'
import { mediaTypeFault } from '../decode/body.js'
import { BodyTooLargeError } from './body.js'
import { hasPlainTextErrors } from './versions.js'

/** Source: moby daemon/server/httpstatus. What is not in it is 500. */
const statusOf: Partial<Record<ErrorCode, number>> = {
  InvalidArgument: 400,
  FailedPrecondition: 400,
  OutOfRange: 400,
  Unauthenticated: 401,
  PermissionDenied: 403,
  NotFound: 404,
  AlreadyExists: 409,
  Unimplemented: 501,
  Unavailable: 503,
}

const internalError = 500

/** HTTP status of anything that was thrown. */
export function httpStatus(error: unknown): number {
  if (error instanceof BodyTooLargeError) return error.statusCode
  if (error instanceof SwarmError) return statusOf[error.code] ?? internalError
  if (codeOf(error) === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') return 400
  // What Fastify itself refuses, such as a body over the limit, and what the engine did.
  const status = error instanceof Error ? (error as { statusCode?: unknown }).statusCode : undefined
  return typeof status === 'number' && status >= 400 ? status : internalError
}

/** Answers a request that failed: the one place where an error becomes a response. */
export function sendError(env: Env, error: unknown, request: FastifyRequest, reply: FastifyReply): void {
  const status = httpStatus(error)
  const text = readableText(error, request)
  if (status === internalError) {
    env.log.error({ method: request.method, path: request.url, err: text }, 'a request failed')
  }
  reply.code(status)
  if (hasPlainTextErrors(request.apiVersion)) {
    reply.raw.setHeader('Content-Type', 'text/plain; charset=utf-8')
    reply.raw.setHeader('X-Content-Type-Options', 'nosniff')
    reply.send(Buffer.from(`${text}\n`))
    return
  }
  // Clients compare the whole value: with a charset they would not read the message.
  reply.raw.setHeader('Content-Type', 'application/json')
  reply.send(Buffer.from(`${JSON.stringify({ message: text })}\n`))
}

function readableText(error: unknown, request: FastifyRequest): string {
  if (codeOf(error) !== 'FST_ERR_CTP_INVALID_MEDIA_TYPE') return errorText(error)
  const contentType = request.headers['content-type'] ?? ''
  return `malformed Content-Type header (${contentType}): mime: ${mediaTypeFault(contentType) ?? 'invalid'}`
}

function codeOf(error: unknown): unknown {
  return (error as { readonly code?: unknown } | undefined)?.code
}
