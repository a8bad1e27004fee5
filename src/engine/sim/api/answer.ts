import { errorText, SwarmError, type ErrorCode } from '../../../model/errors.js'

/** A request as the simulated engine's routes see it. */
export interface SimRequest {
  readonly method: string
  readonly query: URLSearchParams
  /** Parts of the path that the route's pattern names, decoded. */
  readonly params: Readonly<Record<string, string>>
  /** The parsed JSON body; undefined without one. */
  readonly body: unknown
  readonly signal: AbortSignal
}

/** What a route answers: nothing, JSON, text, or a stream whose head is sent before its first chunk. */
export interface SimAnswer {
  readonly status: number
  readonly contentType?: string
  readonly body?: Buffer
  readonly stream?: AsyncIterable<Buffer>
}

export const noContent: SimAnswer = { status: 204 }
export const notModified: SimAnswer = { status: 304 }

export function json(value: unknown, status = 200): SimAnswer {
  return { status, contentType: 'application/json', body: Buffer.from(`${JSON.stringify(value)}\n`) }
}

export function text(value: string): SimAnswer {
  return { status: 200, contentType: 'text/plain; charset=utf-8', body: Buffer.from(value) }
}

const statuses: Readonly<Partial<Record<ErrorCode, number>>> = {
  InvalidArgument: 400,
  FailedPrecondition: 400,
  NotFound: 404,
  AlreadyExists: 409,
  PermissionDenied: 403,
  Unimplemented: 501,
  Unavailable: 503,
}

/** An engine's error answer: `{"message": …}`. */
export function failure(error: unknown): SimAnswer {
  const status = error instanceof SwarmError ? (statuses[error.code] ?? 500) : 500
  return json({ message: errorText(error) }, status)
}

/** Docker's lenient booleans of the query. */
export function flag(query: URLSearchParams, name: string): boolean {
  return !['', '0', 'no', 'false', 'none'].includes((query.get(name) ?? '').trim().toLowerCase())
}

/** One line of a JSON stream. */
export function jsonLine(value: unknown): Buffer {
  return Buffer.from(`${JSON.stringify(value)}\n`)
}

export function record(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}

/** A JSON object of strings; other members are left out. */
export function stringRecord(value: unknown): Record<string, string> {
  return Object.fromEntries(
    Object.entries(record(value)).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
  )
}
