import type { Env } from '../env/env.js'
import { newId } from '../env/id.js'
import { predefinedNetworkLabel, type Cluster, type NodeCertificate } from '../model/objects.js'
import type { NodeSpec } from '../model/spec/index.js'
import type { Store, Tx } from '../store/store.js'

/** What the first leader of a cluster brings along. */
export interface NewCluster {
  readonly cluster: Omit<Cluster, 'version' | 'createdAtMs' | 'updatedAtMs'>
}

/** The node that a leader runs on. */
export interface LeaderNode {
  readonly id: string
  readonly availability: NodeSpec['Availability'] & string
  readonly managerAddr: string
  readonly certificate: NodeCertificate
}

/**
 * What every new leader makes sure of, in one transaction: the cluster object, its own node with, if that
 * is new, the ingress network, and the swarm's twins of the engine's `bridge` and `host` networks. Where managers
 * are not found any more, since a cluster was formed anew without them, nobody looks for them.
 * @param isMember whether a node's manager is a member of raft.
 * Behaviour: moby/swarmkit manager/manager.go, becomeLeader.
 */
export async function bootstrap(
  env: Env,
  store: Store,
  newCluster: NewCluster | undefined,
  node: LeaderNode,
  isMember: (nodeId: string) => boolean,
): Promise<void> {
  await store.update((tx) => {
    if (newCluster !== undefined && tx.clusters.size === 0) tx.create('clusters', newCluster.cluster)
    const isNewNode = ensureNode(tx, node)
    if (isNewNode) ensureIngress(env, tx)
    for (const name of ['bridge', 'host']) ensurePredefined(env, tx, name)
    for (const { id, managerAddr } of tx.nodes.list()) {
      if (managerAddr !== undefined && !isMember(id)) tx.update('nodes', id, { managerAddr: undefined })
    }
  })
}

/** @returns whether the node was not known before. */
function ensureNode(tx: Tx, node: LeaderNode): boolean {
  const known = tx.nodes.get(node.id)
  if (known !== undefined) {
    if (known.managerAddr !== node.managerAddr) tx.update('nodes', node.id, { managerAddr: node.managerAddr })
    return false
  }
  tx.create('nodes', {
    id: node.id,
    spec: { Labels: {}, Role: 'manager', Availability: node.availability },
    role: 'manager',
    status: { state: 'unknown', message: '', addr: '' },
    certificate: node.certificate,
    managerAddr: node.managerAddr,
  })
  return true
}

function ensureIngress(env: Env, tx: Tx): void {
  if (tx.networks.list().some(({ spec }) => spec.Ingress === true)) return
  tx.create('networks', {
    id: newId(env),
    spec: { Name: 'ingress', Driver: 'overlay', Ingress: true, Labels: {}, IPAM: {} },
  })
}

function ensurePredefined(env: Env, tx: Tx, name: string): void {
  const isThere = tx.networks
    .by('name', name)
    .some(({ spec }) => spec.Labels?.[predefinedNetworkLabel] === 'true')
  if (isThere) return
  tx.create('networks', {
    id: newId(env),
    spec: { Name: name, Driver: name, Labels: { [predefinedNetworkLabel]: 'true' } },
  })
}
