import type { NodeRole } from '../ca/index.js'

/** Docker's words for what a node cannot do. Source: moby daemon/cluster/errors.go, swarm.go. */

const notManager = 'This node is not a swarm manager. '

export const alreadyInSwarmText =
  'This node is already part of a swarm. Use "docker swarm leave" to leave this swarm and join another one.'

export const lockedText =
  'Swarm is encrypted and needs to be unlocked before it can be used. Please use "docker swarm unlock" to unlock it.'

export const joinTimeoutText =
  'Timeout was reached before node joined. The attempt to join the swarm will continue in the background. Use the "docker info" command to see the current swarm status of your node.'

/**
 * Why this node does not answer calls for managers.
 * @param role of the certificate; a node that is about to join has none, and counts as a worker.
 */
export function noManagerText(
  state: 'inactive' | 'pending' | 'active' | 'error' | 'locked',
  role: NodeRole = 'worker',
): string {
  switch (state) {
    case 'inactive':
    case 'error':
      return `${notManager}Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.`
    case 'locked':
      return lockedText
    case 'pending':
    case 'active':
      return role === 'manager'
        ? `${notManager}Manager is being prepared or has trouble connecting to the cluster.`
        : `${notManager}Worker nodes can't be used to view or modify cluster state. Please run this command on a manager node or promote the current node to a manager.`
    default:
      return state satisfies never
  }
}

/** The managers as one that would leave sees them. */
export interface ManagerCounts {
  readonly reachable: number
  readonly unreachable: number
}

/**
 * Why a manager does not leave without force.
 * @param counts undefined when this manager cannot tell: it has trouble with the others itself.
 */
export function leaveRefusal(state: string, counts: ManagerCounts | undefined): string {
  if (state === 'locked') {
    return 'Swarm is encrypted and locked. Please unlock it first or use `--force` to ignore this message.'
  }
  const participating = 'You are attempting to leave the swarm on a node that is participating as a manager. '
  const onlyWay =
    'The only way to restore a swarm that has lost consensus is to reinitialize it with `--force-new-cluster`. Use `--force` to suppress this message.'
  if (counts === undefined)
    return `${participating}Doing so may lose the consensus of your cluster. ${onlyWay}`
  const { reachable, unreachable } = counts
  if (reachable <= 1 && unreachable === 0) {
    return `${participating}Removing the last manager erases all current state of the swarm. Use \`--force\` to ignore this message. `
  }
  if (reachable - 2 <= unreachable) {
    return `${participating}Removing this node leaves ${reachable - 1} managers out of ${reachable + unreachable}. Without a Raft quorum your swarm will be inaccessible. ${onlyWay}`
  }
  return `${participating}${onlyWay}`
}
