import {
  CA_NAME,
  checkRootDigest,
  createCsr,
  generateKey,
  joinTlsOptions,
  KeyReadWriter,
  parseCertificates,
  parseJoinToken,
  publicKeyDer,
  verifyChain,
} from '../ca/index.js'
import type { KeyObject } from 'node:crypto'
import Value from 'typebox/value'
import { sleep, type Env } from '../env/env.js'
import { SwarmError, clusterError, isPassing } from '../model/errors.js'
import { IssuedCertificateSchema, type IssuedCertificate } from '../manager/ca-server.js'
import type { HostPort } from './addresses.js'
import { callNode } from './cluster-calls.js'
import type { SwarmDirectory } from './state-file.js'

/** Names of the calls that are about certificates. */
export const rootCaCall = 'root-ca'
export const certificateCall = 'certificate'

/** An external CA may have to be asked meanwhile, and another one where the first does not answer. */
export const certificateTimeoutMs = 15_000
/** How often, and how far apart, a joining node asks. Behaviour: moby/swarmkit ca/certificates.go. */
const attempts = 5
const betweenAttemptsMs = 2000

export interface JoinTarget {
  readonly address: HostPort
  readonly token: string
  readonly availability: 'active' | 'pause' | 'drain'
  readonly witness?: true
}

export interface Joined {
  readonly keys: KeyReadWriter
  /** This machine's address on the way to the manager. */
  readonly localAddress: string
}

/**
 * Gets this node its first certificate, and writes it. The token says which root to trust; without a token
 * whatever root comes is trusted.
 * @throws {SwarmError} Unknown for a malformed token or another root than the token's; InvalidArgument when the
 *   cluster refuses the token; Unavailable when no manager answers.
 */
export async function joinCluster(
  env: Env,
  directory: Pick<SwarmDirectory, 'certificates'>,
  { address, token, availability, witness }: JoinTarget,
  signal: AbortSignal,
): Promise<Joined> {
  const parsed = token === '' ? undefined : parseJoinToken(token)
  const rootPem = await insist(env, signal, () => askForRoot(env, address))
  if (parsed !== undefined) checkRootDigest(parsed, rootPem)
  const key = generateKey()
  const request = { csrPem: createCsr(key), token, availability, ...(witness && { witness }) }
  const answer = await insist(env, signal, () =>
    callNode(env, address, certificateCall, request, {
      tls: joinTlsOptions(rootPem),
      timeoutMs: certificateTimeoutMs,
    }),
  )
  const issued = readIssued(answer.result)
  checkIssued(env, issued, key, rootPem)
  const credentials = { key, certificatePem: issued.certificatePem, rootPem }
  const keys = await KeyReadWriter.create(directory.certificates, credentials, unlockKeyOf(issued))
  return { keys, localAddress: answer.localAddress }
}

/**
 * Checks the answer to a request for a certificate.
 * @throws {SwarmError} Internal; Unauthenticated when the root does not vouch for the certificate.
 */
export function readIssued(result: unknown): IssuedCertificate {
  if (!Value.Check(IssuedCertificateSchema, result)) {
    throw clusterError('Internal', 'malformed answer to the request for a certificate')
  }
  return result
}

/** @throws {ChainError} when the certificate is not for `key`, or not of this root. */
export function checkIssued(
  env: Env,
  { certificatePem }: IssuedCertificate,
  key: KeyObject,
  rootPem: string,
): void {
  const [leaf, ...intermediates] = parseCertificates(certificatePem)
  verifyChain(leaf, { roots: parseCertificates(rootPem), intermediates, nowMs: env.nowMs() })
  if (!leaf.publicKeyDer.equals(publicKeyDer(key))) {
    throw new SwarmError('Unauthenticated', 'the certificate is for another key')
  }
}

function unlockKeyOf(issued: IssuedCertificate): { unlockKey?: Buffer; kekVersion?: number } {
  if (issued.unlockKey === undefined) return {}
  return {
    unlockKey: Buffer.from(issued.unlockKey, 'base64'),
    ...(issued.unlockKeyVersion !== undefined && { kekVersion: issued.unlockKeyVersion }),
  }
}

/**
 * The root of the swarm as whoever answers at `address` says: nothing proves it.
 * @throws {SwarmError} as `callNode`; Internal for a malformed answer.
 */
export async function askForRoot(env: Env, address: HostPort): Promise<string> {
  const tls = { servername: CA_NAME, rejectUnauthorized: false }
  const { result } = await callNode(env, address, rootCaCall, {}, { tls })
  const rootPem =
    typeof result === 'object' && result !== null && 'rootPem' in result ? result.rootPem : undefined
  if (typeof rootPem !== 'string')
    throw clusterError('Internal', 'malformed answer to the request for the root')
  return rootPem
}

/** A manager that cannot be reached may be about to start; what it refuses, it refuses. */
async function insist<T>(env: Env, signal: AbortSignal, call: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    signal.throwIfAborted()
    try {
      return await call()
    } catch (error) {
      if (!isPassing(error) || attempt === attempts) throw error
      env.log.info({ err: error.message, attempt }, 'no manager answers; asking again')
    }
    await sleep(env, betweenAttemptsMs, signal)
  }
}
