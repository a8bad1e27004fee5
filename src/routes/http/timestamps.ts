import { SwarmError } from '../../model/errors.js'
import type { Query } from './query.js'

/**
 * Reads an argument that is a Unix time: `1700000000` or `1700000000.123456789`.
 * @returns nanoseconds; undefined where it is absent.
 * @throws {SwarmError} InvalidArgument, beginning with `what`.
 * Behaviour: moby api/types/time, ParseTimestamps.
 */
export function timestampNs(query: Query, name: string, what: string): bigint | undefined {
  const text = query[name] ?? ''
  if (text === '') return undefined
  const [seconds = '', fraction = ''] = text.split(/\.(.*)/s)
  for (const part of [seconds, ...(text.includes('.') ? [fraction] : [])]) {
    if (/^[+-]?\d{1,18}$/.test(part)) continue
    throw new SwarmError(
      'InvalidArgument',
      `${what}: strconv.ParseInt: parsing ${JSON.stringify(part)}: invalid syntax`,
    )
  }
  return BigInt(seconds) * 1_000_000_000n + BigInt(fraction.slice(0, 9).padEnd(9, '0'))
}
