import type { Env } from '../env/env.js'
import { SwarmError } from '../model/errors.js'

const PREFIX = 'SWMKEY-1-'
/** Length of the key that locks the managers' keys at rest. */
export const UNLOCK_KEY_BYTES = 32

export function createUnlockKey(env: Env): Buffer {
  return env.randomBytes(UNLOCK_KEY_BYTES)
}

/** As users see it: `SWMKEY-1-` and 43 characters of base64. */
export function formatUnlockKey(key: Uint8Array): string {
  return PREFIX + Buffer.from(key).toString('base64').replace(/=+$/, '')
}

/**
 * @throws {SwarmError} InvalidArgument `invalid key string`.
 * Behaviour: moby/swarmkit manager/encryption/encryption.go, ParseHumanReadableKey.
 */
export function parseUnlockKey(text: string): Buffer {
  const digits = text.startsWith(PREFIX) ? text.slice(PREFIX.length) : ''
  const key = /^[A-Za-z0-9+/]{43}$/.test(digits) ? Buffer.from(digits, 'base64') : Buffer.alloc(0)
  if (key.length !== UNLOCK_KEY_BYTES) throw new SwarmError('InvalidArgument', 'invalid key string')
  return key
}
