import { isDeepStrictEqual } from 'node:util'
import Type, { type Static } from 'typebox'
import Value from 'typebox/value'
import {
  certificateIdentity,
  createSigner,
  DEFAULT_NODE_EXPIRY_MS,
  ExternalCa,
  issueNodeCertificate,
  joinTokenRole,
  parseCertificates,
  parseCsr,
  verifyChain,
  type NodeCredentials,
  type NodeIdentity,
  type Signer,
} from '../ca/index.js'
import { externalCaUrls } from '../control/root-ca.js'
import type { Env } from '../env/env.js'
import { newId } from '../env/id.js'
import { nanosPerMs } from '../model/duration.js'
import { SwarmError, clusterError, errorText } from '../model/errors.js'
import type { Cluster, Role } from '../model/objects.js'
import type { Store, View } from '../store/store.js'

/** What a node sends for its first certificate, with a token, or for its next one. */
export const CertificateRequestSchema = Type.Object({
  csrPem: Type.String({ maxLength: 8192 }),
  token: Type.Optional(Type.String({ maxLength: 256 })),
  availability: Type.Optional(
    Type.Union([Type.Literal('active'), Type.Literal('pause'), Type.Literal('drain')]),
  ),
  /** With a token of a manager: the new node is a witness. */
  witness: Type.Optional(Type.Literal(true)),
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

/** Who is to get a certificate. */
interface Asker {
  readonly id: string
  readonly role: Role
  readonly isWitness: boolean
  readonly isNew: boolean
}

/**
 * The cluster's certificate authority, on its leader. A request is answered with the certificate at once:
 * node object and certificate are one transaction.
 * Behaviour: moby/swarmkit ca/server.go, without its states between request and certificate.
 */
export class CaServer {
  readonly #env: Env
  readonly #store: Store
  readonly #credentials: () => NodeCredentials
  #signer: { readonly rootCa: Cluster['rootCa']; readonly signer: Signer } | undefined

  /** @param credentials of this manager: external CAs want to see them. */
  constructor(env: Env, store: Store, credentials: () => NodeCredentials) {
    this.#env = env
    this.#store = store
    this.#credentials = credentials
  }

  /** What joining nodes compare with their token. */
  rootPem(): string {
    return clusterIn(this.#store.view).rootCa.certPem
  }

  /**
   * A certificate for a known node, in the role that the store gives it, or for a new one that has a token.
   * @param peer who asks, proven by its present certificate.
   * @throws {SwarmError} InvalidArgument for a wrong token or request; NotFound for a node that is no more;
   *   Unavailable when the external CAs cannot be asked, Unknown when they refuse.
   */
  async issue(args: unknown, peer: NodeIdentity | undefined): Promise<IssuedCertificate> {
    if (!Value.Check(CertificateRequestSchema, args)) {
      throw clusterError('InvalidArgument', 'malformed request for a certificate')
    }
    const publicKeyDer = parseCsr(args.csrPem)
    const newNodeId = newId(this.#env)
    const seen = clusterIn(this.#store.view)
    const external = this.#externalCa(seen)
    const planned = askerIn(this.#store.view, args, peer, newNodeId)
    const signedPem =
      external && (await this.#signExternally(external, seen, planned, args.csrPem, publicKeyDer))
    const issued = await this.#store.update((tx) => {
      const cluster = clusterIn(tx)
      const asker = askerIn(tx, args, peer, newNodeId)
      const { id, role, isWitness, isNew } = asker
      if (signedPem !== undefined && (id !== planned.id || role !== planned.role)) {
        throw clusterError('Unavailable', `node ${id} changed while its certificate was signed`)
      }
      const certificatePem =
        signedPem ??
        issueNodeCertificate(this.#env, this.#signerOf(cluster), {
          nodeId: id,
          role: certificateRole(asker),
          clusterId: cluster.id,
          publicKeyDer,
          expiryMs: expiryMs(cluster),
        })
      const certificate = { role, status: 'issued', csrPem: args.csrPem, certificatePem } as const
      if (isNew) {
        tx.create('nodes', {
          id,
          role,
          certificate,
          spec: {
            Labels: {},
            Role: role,
            Availability: isWitness ? 'drain' : (args.availability ?? 'active'),
          },
          status: { state: 'unknown', message: '', addr: '' },
          ...(isWitness && { witness: true }),
        })
      } else tx.update('nodes', id, { certificate })
      return { nodeId: id, role: certificateRole(asker), certificatePem }
    })
    const cluster = clusterIn(this.#store.view)
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

  /**
   * The CAs outside that sign for the present issuer, if there are any: they come before a key in the store.
   * While the root rotates they may show a certificate of either root.
   */
  #externalCa({ rootCa, spec }: Cluster): ExternalCa | undefined {
    const { certPem, rotation } = rootCa
    const urls = externalCaUrls(spec.CAConfig, certPem, rotation?.certPem ?? certPem)
    if (urls.length === 0) return undefined
    const roots = rotation === undefined ? [certPem] : [certPem, rotation.certPem]
    return new ExternalCa(this.#env, { urls, credentials: this.#credentials(), roots })
  }

  /** @throws {SwarmError} as `ExternalCa.signNode`; Internal for a certificate that the swarm cannot use. */
  async #signExternally(
    external: ExternalCa,
    { id: clusterId, rootCa }: Cluster,
    asker: Asker,
    csrPem: string,
    publicKeyDer: Buffer,
  ): Promise<string> {
    const nodeId = asker.id
    const identity = { nodeId, role: certificateRole(asker), clusterId }
    try {
      const pem = (await external.signNode(csrPem, identity)) + (rootCa.rotation?.crossSignedPem ?? '')
      const [leaf, ...intermediates] = parseCertificates(pem)
      verifyChain(leaf, { roots: parseCertificates(rootCa.certPem), intermediates, nowMs: this.#env.nowMs() })
      if (
        !isDeepStrictEqual(certificateIdentity(leaf), identity) ||
        !leaf.publicKeyDer.equals(publicKeyDer)
      ) {
        throw new SwarmError('Internal', 'it signed for another node')
      }
      return pem
    } catch (error) {
      const text = `the external CA gave node ${nodeId} no certificate: ${errorText(error)}`
      throw clusterError(error instanceof SwarmError ? error.code : 'Internal', text, { cause: error })
    }
  }

  #signerOf({ rootCa }: Cluster): Signer {
    if (this.#signer?.rootCa === rootCa) return this.#signer.signer
    const { certPem, keyPem } = rootCa.rotation ?? rootCa
    if (keyPem === undefined) {
      throw clusterError(
        'Unavailable',
        'no key to sign certificates with, and no external CA for the root: `docker swarm update --external-ca` names one',
      )
    }
    const signer = createSigner(certPem, keyPem, rootCa.rotation?.crossSignedPem)
    this.#signer = { rootCa, signer }
    return signer
  }
}

/**
 * The known node that asks, or the new one.
 * @throws {SwarmError} InvalidArgument for a wrong token; NotFound.
 */
function askerIn(
  view: Pick<View, 'clusters' | 'nodes'>,
  request: CertificateRequest,
  peer: NodeIdentity | undefined,
  newNodeId: string,
): Asker {
  const cluster = clusterIn(view)
  // A removed node is nobody, and may join anew.
  if (peer !== undefined && !(peer.nodeId in cluster.blacklistedCertificates)) {
    const node = view.nodes.get(peer.nodeId)
    if (node !== undefined) {
      return { id: node.id, role: node.role, isWitness: node.witness === true, isNew: false }
    }
    throw clusterError('NotFound', `node ${peer.nodeId} not found when attempting to renew certificate`)
  }
  const role = joinTokenRole(request.token ?? '', cluster.joinTokens)
  if (role === undefined) {
    throw clusterError('InvalidArgument', 'A valid join token is necessary to join this cluster')
  }
  const isWitness = request.witness === true
  // The same request again: its answer got lost on the way.
  const asked = view.nodes.list().find(({ certificate }) => certificate?.csrPem === request.csrPem)
  if (asked?.role === role) return { id: asked.id, role, isWitness, isNew: false }
  if (isWitness) checkWitness(view, role)
  return { id: newNodeId, role, isWitness, isNew: true }
}

/** It votes like a manager; two of them could outvote the managers that have the data. */
function checkWitness(view: Pick<View, 'nodes'>, role: Role): void {
  if (role !== 'manager') {
    throw clusterError('InvalidArgument', 'a witness joins with the token of a manager, not of a worker')
  }
  const other = view.nodes.list().find(({ witness }) => witness === true)
  if (other !== undefined) {
    const name = other.description?.Hostname ?? other.id
    throw clusterError(
      'FailedPrecondition',
      `this swarm has a witness, ${name}: stop it and remove it with \`docker node rm ${other.id}\` first`,
    )
  }
}

function certificateRole({ role, isWitness }: Asker): NodeIdentity['role'] {
  return isWitness ? 'witness' : role
}

function clusterIn({ clusters }: Pick<View, 'clusters'>): Cluster {
  const [cluster] = clusters.list()
  if (cluster === undefined) throw new SwarmError('Unavailable', 'the swarm is not set up yet')
  return cluster
}

function expiryMs(cluster: Cluster): number {
  const nanos = cluster.spec.CAConfig?.NodeCertExpiry ?? 0
  return nanos > 0 ? nanos / nanosPerMs : DEFAULT_NODE_EXPIRY_MS
}
