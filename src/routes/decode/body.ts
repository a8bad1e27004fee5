import type { TSchema } from 'typebox'
import { SwarmError } from '../../model/errors.js'
import { DecodeError, decode } from './decode.js'
import { JsonSyntaxError, hasMore, parseJson } from './json-syntax.js'

/**
 * Reads a request's body by a schema. No body at all reads as an empty object.
 * @throws {SwarmError} InvalidArgument. Texts: moby daemon/server/httputils, ReadJSON.
 */
export function decodeBody(schema: TSchema, body: Buffer | undefined): object {
  if (body === undefined || body.length === 0) return {}
  const text = body.toString()
  try {
    const { value, end } = parseJson(text)
    const decoded = decode(schema, value)
    if (hasMore(text, end)) throw new SwarmError('InvalidArgument', 'unexpected content after JSON')
    return decoded
  } catch (error) {
    if (error instanceof JsonSyntaxError) {
      const reason = error.truncated ? 'got EOF while reading request body' : error.message
      throw new SwarmError('InvalidArgument', `invalid JSON: ${reason}`, { cause: error })
    }
    if (error instanceof DecodeError) {
      throw new SwarmError('InvalidArgument', `invalid JSON: ${error.message}`, { cause: error })
    }
    throw error
  }
}

const token = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/

/**
 * A body must say that it is JSON; parameters are fine.
 * @param contentType the header; empty where it is missing.
 * @throws {SwarmError} InvalidArgument. Texts: moby daemon/server/httputils, CheckForJSON.
 */
export function checkContentType(contentType: string, hasBody: boolean): void {
  if (contentType === '' && !hasBody) return
  const fault = mediaTypeFault(contentType)
  if (fault !== undefined) {
    throw new SwarmError('InvalidArgument', `malformed Content-Type header (${contentType}): mime: ${fault}`)
  }
  const [mediaType = ''] = contentType.split(';')
  if (mediaType.trim().toLowerCase() !== 'application/json') {
    throw new SwarmError(
      'InvalidArgument',
      `unsupported Content-Type header (${contentType}): must be 'application/json'`,
    )
  }
}

/** What Go's mime.ParseMediaType says of a header that it cannot read. */
export function mediaTypeFault(contentType: string): string | undefined {
  const [mediaType = '', ...parameters] = contentType.split(';')
  if (mediaType.trim() === '') return 'no media type'
  const [type = '', subtype, ...rest] = mediaType.trim().split('/')
  if (!token.test(type)) return 'expected token'
  if (subtype !== undefined && !token.test(subtype)) return 'expected token after slash'
  if (rest.length > 0) return 'unexpected content after media subtype'
  const isWellFormed = (text: string) => {
    const [name = '', ...value] = text.trim().split('=')
    return token.test(name.trim()) && value.length > 0
  }
  const given = parameters.filter((text, at) => text.trim() !== '' || at < parameters.length - 1)
  return given.every(isWellFormed) ? undefined : 'invalid media parameter'
}
