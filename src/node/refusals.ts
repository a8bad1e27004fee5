/** Docker's words for what a node cannot do. Source: moby daemon/cluster/errors.go, swarm.go. */

const notManager = 'This node is not a swarm manager. '

/** Why this node does not answer calls for managers. */
export function noManagerText(state: 'inactive' | 'pending' | 'active' | 'error' | 'locked'): string {
  switch (state) {
    case 'inactive':
    case 'error':
      return `${notManager}Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.`
    case 'locked':
      return 'Swarm is encrypted and needs to be unlocked before it can be used. Please use "docker swarm unlock" to unlock it.'
    case 'pending':
      return `${notManager}Manager is being prepared or has trouble connecting to the cluster.`
    case 'active':
      return `${notManager}Worker nodes can't be used to view or modify cluster state. Please run this command on a manager node or promote the current node to a manager.`
    default:
      return state satisfies never
  }
}

/** Why a manager does not leave without force: it is the last one, or it is locked. */
export function leaveRefusal(state: string): string {
  if (state === 'locked') {
    return 'Swarm is encrypted and locked. Please unlock it first or use `--force` to ignore this message.'
  }
  return (
    'You are attempting to leave the swarm on a node that is participating as a manager. ' +
    'Removing the last manager erases all current state of the swarm. Use `--force` to ignore this message. '
  )
}
