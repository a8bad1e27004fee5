import { SwarmError } from '../model/errors.js'
import type { Certificate } from './certificate.js'

/** A witness votes in raft and does nothing else: it may do neither what managers may, nor what workers may. */
export type NodeRole = 'manager' | 'worker' | 'witness'

/** Who a node certificate speaks for: CN, OU and O of its subject. */
export interface NodeIdentity {
  readonly nodeId: string
  readonly role: NodeRole
  readonly clusterId: string
}

/** OU of a manager's certificate; also the TLS server name under which every node calls a manager. */
export const MANAGER_OU = 'swarm-manager'
export const WORKER_OU = 'swarm-worker'
export const WITNESS_OU = 'swarm-witness'
/** CN of the root; also the TLS server name of the join calls. */
export const CA_NAME = 'swarm-ca'

const units: Readonly<Record<NodeRole, string>> = {
  manager: MANAGER_OU,
  worker: WORKER_OU,
  witness: WITNESS_OU,
}

export function organizationalUnit(role: NodeRole): string {
  return units[role]
}

/** The names that a node's certificate is valid for: role and node, and for managers that of the CA. */
export function dnsNamesOf({ nodeId, role }: Pick<NodeIdentity, 'nodeId' | 'role'>): readonly string[] {
  const unit = organizationalUnit(role)
  return role === 'manager' ? [unit, nodeId, CA_NAME] : [unit, nodeId]
}

/**
 * The identity in a node certificate. It says nothing about trust: verify the chain first.
 * @throws {SwarmError} Unauthenticated when a field is missing or the role is unknown.
 */
export function certificateIdentity(certificate: Certificate): NodeIdentity {
  const { commonName: nodeId, organization: clusterId, organizationalUnit: unit } = certificate.subject
  const role = (['manager', 'worker', 'witness'] as const).find((known) => units[known] === unit)
  if (!nodeId || !clusterId || role === undefined) {
    throw new SwarmError('Unauthenticated', 'the certificate names no node, role and cluster')
  }
  return { nodeId, role, clusterId }
}
