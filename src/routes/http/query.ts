import { SwarmError, errorText } from '../../model/errors.js'

/** Arguments of a URL. Of a repeated one the first counts, as in Go's `FormValue`. */
export type Query = Readonly<Record<string, string | undefined>>

/** Reads a query string. Malformed escapes stay as they are. */
export function parseQuery(text: string): Query {
  const query: Record<string, string | undefined> = Object.create(null) as Record<string, string>
  for (const [name, value] of new URLSearchParams(text)) query[name] ??= value
  return query
}

const lenientlyFalse: ReadonlySet<string> = new Set(['', '0', 'no', 'false', 'none'])
const strictlyTrue: ReadonlySet<string> = new Set(['1', 't', 'T', 'TRUE', 'true', 'True'])
const strictlyFalse: ReadonlySet<string> = new Set(['0', 'f', 'F', 'FALSE', 'false', 'False'])

/** For `force`, `follow` and the like: whatever is not plainly false is true. */
export function lenientBoolean(query: Query, name: string): boolean {
  return !lenientlyFalse.has((query[name] ?? '').trim().toLowerCase())
}

/**
 * For `status`, `verbose` and the like.
 * @throws {SwarmError} InvalidArgument `invalid value for status: zz: strconv.ParseBool: …`.
 */
export function strictBoolean(query: Query, name: string): boolean {
  const value = query[name] ?? ''
  if (value === '') return false
  const parsed = parseGoBoolean(value)
  if (parsed !== undefined) return parsed
  throw new SwarmError(
    'InvalidArgument',
    `invalid value for ${name}: ${value}: strconv.ParseBool: parsing ${JSON.stringify(value)}: invalid syntax`,
  )
}

/** The same with the shorter text of the `rotate…` arguments. @throws {SwarmError} InvalidArgument. */
export function rotateFlag(query: Query, name: string): boolean {
  const value = query[name] ?? ''
  if (value === '') return false
  const parsed = parseGoBoolean(value)
  if (parsed === undefined) throw new SwarmError('InvalidArgument', `invalid value for ${name}: ${value}`)
  return parsed
}

function parseGoBoolean(value: string): boolean | undefined {
  if (strictlyTrue.has(value)) return true
  return strictlyFalse.has(value) ? false : undefined
}

/**
 * The version of the object that an update starts from.
 * @throws {SwarmError} InvalidArgument `invalid service version 'x': strconv.ParseUint: …`.
 */
export function objectVersion(query: Query, kind: 'service' | 'node' | 'swarm'): number {
  const text = query.version ?? ''
  try {
    return parseUint64(text)
  } catch (error) {
    throw new SwarmError('InvalidArgument', `invalid ${kind} version '${text}': ${errorText(error)}`)
  }
}

/** As `objectVersion`, with the text of secrets and configs. @throws {SwarmError} InvalidArgument. */
export function dataVersion(query: Query, kind: 'secret' | 'config'): number {
  try {
    return parseUint64(query.version ?? '')
  } catch {
    throw new SwarmError('InvalidArgument', `invalid ${kind} version`)
  }
}

/** As `objectVersion`, with the text of volumes. @throws {SwarmError} InvalidArgument. */
export function volumeVersion(query: Query): number {
  const text = query.version ?? ''
  try {
    return parseUint64(text)
  } catch (error) {
    throw new SwarmError('InvalidArgument', `invalid swarm object version '${text}': ${errorText(error)}`)
  }
}

/** Texts: Go's strconv.ParseUint. Beyond 2^53 the nearest number: no object has such a version. */
function parseUint64(text: string): number {
  const quoted = JSON.stringify(text)
  if (!/^\d+$/.test(text)) throw new Error(`strconv.ParseUint: parsing ${quoted}: invalid syntax`)
  if (BigInt(text) >= 2n ** 64n) throw new Error(`strconv.ParseUint: parsing ${quoted}: value out of range`)
  return Number(text)
}
