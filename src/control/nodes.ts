import { parseCertificate } from '../ca/index.js'
import { SwarmError, clusterError } from '../model/errors.js'
import type { Cluster, Node } from '../model/objects.js'
import { canonical, NodeSpecSchema, type NodeSpec } from '../model/spec/index.js'
import { TaskState } from '../model/task-state.js'
import { nanosPerMs } from '../model/duration.js'
import type { Tx } from '../store/store.js'
import { checkVersion, type ControlContext, type RaftMembers } from './context.js'
import type { Control } from './interface.js'
import { findNode } from './lookup.js'

const dayMs = 24 * 60 * 60 * 1000
/** A removed node's certificate stays refused this long after it ran out: clocks may differ. */
const expiredCertificateGraceMs = 7 * dayMs
const defaultCertificateExpiryMs = 90 * dayMs

/**
 * Replaces a node's spec. `Role` is what the node shall become; others see to it.
 * @throws {SwarmError} InvalidArgument; NotFound; FailedPrecondition for a demotion that would break raft.
 * Behaviour: moby/swarmkit manager/controlapi/node.go, UpdateNode.
 */
export async function updateNode(
  { store, members }: ControlContext,
  { id: ref, version, spec: sent }: Parameters<Control['updateNode']>[0],
): Promise<void> {
  const spec = normaliseNodeSpec(sent)
  await store.update((tx) => {
    const node = findNode(tx, ref)
    if (node.witness === true) checkWitness(node, spec)
    if (node.spec.Role === 'manager' && spec.Role === 'worker') checkDemotion(tx, members, node)
    checkVersion(node, version)
    tx.update('nodes', node.id, { spec })
  })
}

/**
 * Removes a node that is gone: its certificate is refused from now on, and its tasks count as lost.
 * @throws {SwarmError} NotFound; FailedPrecondition for a manager, or without `force` for a node that is up.
 * Behaviour: moby/swarmkit manager/controlapi/node.go, RemoveNode.
 */
export async function removeNode(
  { store, members }: ControlContext,
  { id: ref, force }: Parameters<Control['removeNode']>[0],
): Promise<void> {
  await store.update((tx) => {
    const node = findNode(tx, ref)
    const { id } = node
    if (node.witness === true) {
      // It can be nothing else, so it leaves raft along with the swarm.
      if (members.has(id) && !members.canRemove(id)) throw removalRefused()
    } else if (members.has(id)) {
      throw clusterError(
        'FailedPrecondition',
        `node ${id} is a cluster manager and is a member of the raft cluster. It must be demoted to worker before removal`,
      )
    }
    if (!force && node.status.state === 'ready') {
      throw clusterError('FailedPrecondition', `node ${id} is not down and can't be removed`)
    }
    const [cluster] = tx.clusters.list()
    if (cluster !== undefined) blacklist(tx, cluster, node)
    orphanTasks(tx, id)
    tx.remove('nodes', id)
  })
}

function normaliseNodeSpec(sent: NodeSpec): NodeSpec {
  const role = sent.Role?.toLowerCase() ?? ''
  const availability = sent.Availability?.toLowerCase() ?? ''
  if (!['worker', 'manager'].includes(role)) {
    throw new SwarmError('InvalidArgument', `invalid Role: ${JSON.stringify(sent.Role ?? '')}`)
  }
  if (!['active', 'pause', 'drain'].includes(availability)) {
    throw new SwarmError(
      'InvalidArgument',
      `invalid Availability: ${JSON.stringify(sent.Availability ?? '')}`,
    )
  }
  return canonical(NodeSpecSchema, { ...sent, Role: role, Availability: availability })
}

/** @throws {SwarmError} FailedPrecondition. */
function checkWitness({ id }: Node, spec: NodeSpec): void {
  if (spec.Role === 'worker') {
    const way = `To take it out of the swarm, stop it and use \`docker node rm ${id}\``
    throw clusterError('FailedPrecondition', `node ${id} is a witness and cannot become a worker. ${way}`)
  }
  if (spec.Availability !== 'drain') {
    throw clusterError(
      'FailedPrecondition',
      `node ${id} is a witness and runs no tasks: its availability stays drain`,
    )
  }
}

function removalRefused(): SwarmError {
  return clusterError(
    'FailedPrecondition',
    "can't remove member from the raft: this would result in a loss of quorum",
  )
}

function checkDemotion(tx: Tx, members: RaftMembers, node: Node): void {
  const managers = tx.nodes.list().filter(({ spec, witness }) => spec.Role === 'manager' && witness !== true)
  const others = managers.filter(({ id }) => id !== node.id)
  if (others.length === 0) {
    throw clusterError('FailedPrecondition', 'attempting to demote the last manager of the swarm')
  }
  if (!members.has(node.id)) throw clusterError('NotFound', "can't find manager in raft memberlist")
  if (!members.canRemove(node.id)) throw removalRefused()
}

function blacklist(tx: Tx, cluster: Cluster, node: Node): void {
  const kept = Object.entries(cluster.blacklistedCertificates).filter(([, untilMs]) => untilMs > tx.nowMs)
  const untilMs = certificateEndMs(tx.nowMs, cluster, node) + expiredCertificateGraceMs
  tx.update('clusters', cluster.id, {
    blacklistedCertificates: { ...Object.fromEntries(kept), [node.id]: untilMs },
  })
}

/** Where the certificate itself is not at hand, none that was issued until now can be valid longer. */
function certificateEndMs(nowMs: number, cluster: Cluster, { certificate }: Node): number {
  if (certificate?.certificatePem !== undefined)
    return parseCertificate(certificate.certificatePem).notAfterMs
  const expiryNanos = cluster.spec.CAConfig?.NodeCertExpiry ?? 0
  return nowMs + (expiryNanos > 0 ? expiryNanos / nanosPerMs : defaultCertificateExpiryMs)
}

function orphanTasks(tx: Tx, nodeId: string): void {
  for (const task of tx.tasks.by('node', nodeId)) {
    if (task.status.state >= TaskState.Complete) continue
    tx.update('tasks', task.id, {
      status: {
        ...task.status,
        state: TaskState.Orphaned,
        timestampMs: tx.nowMs,
        message: 'Task belonged to a node that has been deleted',
      },
    })
  }
}
