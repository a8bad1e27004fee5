import { createHash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  certificateIdentity,
  issueNodeCertificate,
  parseCertificate,
  type Signer,
} from '../../src/ca/index.js'
import type { ClusterNode } from '../lib/cluster.js'
import { SimulatedEnv } from '../lib/simulated-env.js'

export const dayMs = 24 * 60 * 60 * 1000

/** What `GET /swarm` shows, in parts. */
export interface SwarmJson {
  readonly RootRotationInProgress: boolean
  readonly TLSInfo: { readonly CertIssuerPublicKey: string }
  readonly Spec: { readonly CAConfig: { readonly NodeCertExpiry: number } }
}

export async function swarmOf({ skepd }: ClusterNode): Promise<SwarmJson> {
  return JSON.parse((await skepd.request('GET', '/v1.44/swarm')).text) as SwarmJson
}

/** The key of each node's issuer. */
export async function nodeIssuers({ skepd }: ClusterNode): Promise<readonly string[]> {
  const nodes = JSON.parse((await skepd.request('GET', '/v1.44/nodes')).text) as {
    readonly Description: { readonly TLSInfo: { readonly CertIssuerPublicKey: string } }
  }[]
  return nodes.map(({ Description }) => Description.TLSInfo.CertIssuerPublicKey)
}

export function digestOf(pem: string): string {
  return createHash('sha256').update(pem).digest('hex')
}

function certificates({ skepd }: ClusterNode): string {
  return join(skepd.dataRoot, 'swarm', 'certificates')
}

export function trustedRoot(node: ClusterNode): string {
  return readFileSync(join(certificates(node), 'swarm-root-ca.crt'), 'utf8')
}

export function certificateOf(node: ClusterNode) {
  return parseCertificate(readFileSync(join(certificates(node), 'swarm-node.crt'), 'utf8'))
}

/** Gives a node that does not run the certificate that it would have had a hundred days ago. */
export function letExpire(node: ClusterNode, signer: Signer): void {
  const certificate = certificateOf(node)
  const past = new SimulatedEnv(1, { startMs: Date.now() - 100 * dayMs })
  const expired = issueNodeCertificate(past, signer, {
    ...certificateIdentity(certificate),
    publicKeyDer: certificate.publicKeyDer,
    expiryMs: 90 * dayMs,
  })
  writeFileSync(join(certificates(node), 'swarm-node.crt'), expired)
}
