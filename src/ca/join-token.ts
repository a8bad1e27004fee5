import { createHash, timingSafeEqual } from 'node:crypto'
import type { Env } from '../env/env.js'
import { SwarmError } from '../model/errors.js'
import { fromBase36, toBase36 } from './base36.js'

const DIGEST_LENGTH = 50
const SECRET_BYTES = 16
const SECRET_LENGTH = 25

/** What a joining node reads from its token. */
export interface JoinToken {
  /** SHA-256 that the root's PEM bundle must have, in hex. */
  readonly rootDigestHex: string
  readonly secret: string
}

/**
 * A new token for a cluster with this root: `SWMTKN-1-<SHA-256 of the PEM bundle>-<secret>`.
 * @param rootPem exactly the bytes that the cluster hands out as its root.
 * Behaviour: moby/swarmkit ca/config.go, GenerateJoinToken.
 */
export function createJoinToken(env: Env, rootPem: string): string {
  const digest = toBase36(createHash('sha256').update(rootPem).digest(), DIGEST_LENGTH)
  return `SWMTKN-1-${digest}-${toBase36(env.randomBytes(SECRET_BYTES), SECRET_LENGTH)}`
}

/**
 * @throws {SwarmError} Unknown `invalid join token` when it has not the form of one; FailedPrecondition for the
 * token of a cluster that demands FIPS. (dockerd answers both with 500.)
 */
export function parseJoinToken(token: string): JoinToken {
  const [prefix, version, ...parts] = token.split('-')
  if (prefix === 'SWMTKN' && version === '2' && parts.length === 3 && parts[0] === '1') {
    throw new SwarmError('Unknown', 'node is not FIPS-enabled but cluster requires FIPS')
  }
  // Version 2 with a 0 is a plain token of a cluster that knows FIPS.
  const [digest = '', secret = ''] = version === '2' && parts[0] === '0' ? parts.slice(1) : parts
  const expectedParts = version === '1' ? 2 : version === '2' ? 3 : -1
  const wellFormed =
    prefix === 'SWMTKN' &&
    parts.length === expectedParts &&
    digest.length === DIGEST_LENGTH &&
    secret.length === SECRET_LENGTH
  const rootDigest = wellFormed ? fromBase36(digest, 32) : undefined
  if (rootDigest === undefined) throw new SwarmError('Unknown', 'invalid join token')
  return { rootDigestHex: rootDigest.toString('hex'), secret }
}

/**
 * Refuses a root that is not the one the token names: someone sits between this node and the manager.
 * @throws {SwarmError} Unknown.
 */
export function checkRootDigest(token: JoinToken, rootPem: string): void {
  const digestHex = createHash('sha256').update(rootPem).digest('hex')
  if (digestHex !== token.rootDigestHex) {
    throw new SwarmError('Unknown', `remote CA does not match fingerprint. Expected: ${token.rootDigestHex}`)
  }
}

/** The role that a token grants in a cluster with these tokens, or undefined. Takes constant time. */
export function joinTokenRole(
  token: string,
  tokens: { readonly manager: string; readonly worker: string },
): 'manager' | 'worker' | undefined {
  const isManager = equalText(token, tokens.manager)
  const isWorker = equalText(token, tokens.worker)
  return isManager ? 'manager' : isWorker ? 'worker' : undefined
}

/** Compares digests, since `timingSafeEqual` wants equal lengths. */
function equalText(a: string, b: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(a), digest(b))
}
