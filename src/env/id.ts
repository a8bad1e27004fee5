import type { Env } from './env.js'

/**
 * A new object ID: 25 characters of `[0-9a-z]`.
 * 17 random bytes with the top bit set, in base 36 (always 27 digits), without first and last digit.
 * Behaviour: moby/swarmkit identity/randomid.go.
 */
export function newId(env: Env): string {
  const bytes = env.randomBytes(17)
  bytes[0] = (bytes[0] ?? 0) | 0x80
  return BigInt(`0x${bytes.toString('hex')}`)
    .toString(36)
    .slice(1, 26)
}
