import Type, { type Static } from 'typebox'
import Value from 'typebox/value'
import {
  createSigner,
  DEFAULT_NODE_EXPIRY_MS,
  issueNodeCertificate,
  joinTokenRole,
  parseCsr,
  type NodeIdentity,
  type Signer,
} from '../ca/index.js'
import type { Env } from '../env/env.js'
import { newId } from '../env/id.js'
import { nanosPerMs } from '../model/duration.js'
import { SwarmError, clusterError } from '../model/errors.js'
import type { Cluster, Node, Role } from '../model/objects.js'
import type { Store, Tx } from '../store/store.js'

/** What a node sends for its first certificate, with a token, or for its next one. */
export const CertificateRequestSchema = Type.Object({
  csrPem: Type.String({ maxLength: 8192 }),
  token: Type.Optional(Type.String({ maxLength: 256 })),
  availability: Type.Optional(
    Type.Union([Type.Literal('active'), Type.Literal('pause'), Type.Literal('drain')]),
  ),
})
export type CertificateRequest = Static<typeof CertificateRequestSchema>

export const IssuedCertificateSchema = Type.Object({
  nodeId: Type.String(),
  certificatePem: Type.String(),
  rootPem: Type.String(),
  /**
   * base64 of the key that locks managers' key files, and the version of the cluster that says so. Comes with
   * the certificate, so that a manager's key is never on disk in clear.
   */
  unlockKey: Type.Optional(Type.String()),
  unlockKeyVersion: Type.Optional(Type.Integer()),
})
export type IssuedCertificate = Static<typeof IssuedCertificateSchema>

/**
 * The cluster's certificate authority, on its leader. A request is answered with the certificate at once:
 * node object and certificate are one transaction.
 * Behaviour: moby/swarmkit ca/server.go, without its states between request and certificate.
 */
export class CaServer {
  readonly #env: Env
  readonly #store: Store
  #signer: { readonly rootCa: Cluster['rootCa']; readonly signer: Signer } | undefined

  constructor(env: Env, store: Store) {
    this.#env = env
    this.#store = store
  }

  /** What joining nodes compare with their token. */
  rootPem(): string {
    return this.#cluster(this.#store.view).rootCa.certPem
  }

  /**
   * A certificate for a known node, in the role that the store gives it, or for a new one that has a token.
   * @param peer who asks, proven by its present certificate.
   * @throws {SwarmError} InvalidArgument for a wrong token or request; NotFound for a node that is no more.
   */
  async issue(args: unknown, peer: NodeIdentity | undefined): Promise<IssuedCertificate> {
    if (!Value.Check(CertificateRequestSchema, args)) {
      throw clusterError('InvalidArgument', 'malformed request for a certificate')
    }
    const publicKeyDer = parseCsr(args.csrPem)
    const issued = await this.#store.update((tx) => {
      const cluster = this.#cluster(tx)
      // A removed node is nobody, and may join anew.
      const known = peer === undefined || peer.nodeId in cluster.blacklistedCertificates ? undefined : peer
      const node = known === undefined ? this.#joining(tx, cluster, args) : this.#renewing(tx, known.nodeId)
      const certificatePem = issueNodeCertificate(this.#env, this.#signerOf(cluster), {
        nodeId: node.id,
        role: node.role,
        clusterId: cluster.id,
        publicKeyDer,
        expiryMs: expiryMs(cluster),
      })
      tx.update('nodes', node.id, {
        certificate: { role: node.role, status: 'issued', csrPem: args.csrPem, certificatePem },
      })
      return { nodeId: node.id, role: node.role, certificatePem }
    })
    const cluster = this.#cluster(this.#store.view)
    return {
      nodeId: issued.nodeId,
      certificatePem: issued.certificatePem,
      rootPem: cluster.rootCa.certPem,
      ...(issued.role === 'manager' && {
        unlockKeyVersion: cluster.version,
        ...(cluster.unlockKey !== undefined && { unlockKey: cluster.unlockKey }),
      }),
    }
  }

  #joining(tx: Tx, cluster: Cluster, request: CertificateRequest): { id: string; role: Role } {
    const role = joinTokenRole(request.token ?? '', cluster.joinTokens)
    if (role === undefined) {
      throw clusterError('InvalidArgument', 'A valid join token is necessary to join this cluster')
    }
    // The same request again: its answer got lost on the way.
    const asked = tx.nodes.list().find(({ certificate }) => certificate?.csrPem === request.csrPem)
    if (asked?.role === role) return asked
    const id = newId(this.#env)
    tx.create('nodes', {
      id,
      spec: { Labels: {}, Role: role, Availability: request.availability ?? 'active' },
      role,
      status: { state: 'unknown', message: '', addr: '' },
    })
    return { id, role }
  }

  #renewing(tx: Tx, nodeId: string): Node {
    const node = tx.nodes.get(nodeId)
    if (node === undefined) {
      throw clusterError('NotFound', `node ${nodeId} not found when attempting to renew certificate`)
    }
    return node
  }

  #signerOf({ rootCa }: Cluster): Signer {
    if (this.#signer?.rootCa === rootCa) return this.#signer.signer
    if (rootCa.keyPem === undefined) {
      throw clusterError(
        'Unavailable',
        'no key to sign certificates with: external CAs are not available yet',
      )
    }
    const signer = createSigner(rootCa.certPem, rootCa.keyPem)
    this.#signer = { rootCa, signer }
    return signer
  }

  #cluster(view: { readonly clusters: Tx['clusters'] }): Cluster {
    const [cluster] = view.clusters.list()
    if (cluster === undefined) throw new SwarmError('Unavailable', 'the swarm is not set up yet')
    return cluster
  }
}

function expiryMs(cluster: Cluster): number {
  const nanos = cluster.spec.CAConfig?.NodeCertExpiry ?? 0
  return nanos > 0 ? nanos / nanosPerMs : DEFAULT_NODE_EXPIRY_MS
}
