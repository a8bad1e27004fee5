import {
  CA_NAME,
  checkRootDigest,
  clientTlsOptions,
  createCsr,
  generateKey,
  joinTlsOptions,
  parseJoinToken,
  type NodeCredentials,
} from '../../ca/index.js'
import type { Env } from '../../env/env.js'
import type { HostPort } from '../../node/addresses.js'
import { callNode } from '../../node/cluster-calls.js'
import { certificateCall, checkIssued, readIssued, rootCaCall } from '../../node/certificates.js'

/** A swarm that nodes can join. */
export interface SwarmToJoin {
  readonly address: HostPort
  readonly token: string
  /** Checked against the token. */
  readonly rootPem: string
}

/** A node's certificate, which it has nowhere but in memory. */
export interface Member {
  readonly nodeId: string
  readonly credentials: NodeCredentials
}

/**
 * The root of the swarm at `address`, once for all nodes of a crowd.
 * @throws {SwarmError} Unknown for a malformed token or another root than the token's; Unavailable.
 */
export async function findSwarm(env: Env, address: HostPort, token: string): Promise<SwarmToJoin> {
  const parsed = parseJoinToken(token)
  const { result } = await callNode(env, address, rootCaCall, undefined, {
    tls: { servername: CA_NAME, rejectUnauthorized: false },
  })
  const { rootPem } = (result ?? {}) as { readonly rootPem?: unknown }
  if (typeof rootPem !== 'string') throw new Error('malformed answer to the request for the root')
  checkRootDigest(parsed, rootPem)
  return { address, token, rootPem }
}

/**
 * A first certificate by token. With the `key` of an earlier attempt a request whose answer got lost makes no
 * second node.
 * @throws {SwarmError} InvalidArgument when the token is refused; Unavailable, DeadlineExceeded.
 */
export async function join(
  env: Env,
  { address, token, rootPem }: SwarmToJoin,
  key = generateKey(),
): Promise<Member> {
  const request = { csrPem: createCsr(key), token, availability: 'active' }
  const { result } = await callNode(env, address, certificateCall, request, { tls: joinTlsOptions(rootPem) })
  const issued = readIssued(result)
  checkIssued(env, issued, key, rootPem)
  return { nodeId: issued.nodeId, credentials: { key, certificatePem: issued.certificatePem, rootPem } }
}

/** The next certificate. @throws as `join`. */
export async function renew(env: Env, address: HostPort, { nodeId, credentials }: Member): Promise<Member> {
  const key = generateKey()
  const tls = clientTlsOptions(credentials)
  const { result } = await callNode(env, address, certificateCall, { csrPem: createCsr(key) }, { tls })
  const issued = readIssued(result)
  checkIssued(env, issued, key, credentials.rootPem)
  return { nodeId, credentials: { ...credentials, key, certificatePem: issued.certificatePem } }
}
