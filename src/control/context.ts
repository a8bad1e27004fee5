import type { NodeCredentials } from '../ca/index.js'
import type { Env } from '../env/env.js'
import { clusterError } from '../model/errors.js'
import type { Meta, Node } from '../model/objects.js'
import type { Store } from '../store/store.js'

/** What the checked writes need of the rest. */
export interface ControlContext {
  readonly env: Env
  readonly store: Store
  /**
   * The name of a network of this host's engine that is called `nameOrId`, if there is one: so that a
   * service which names it hears why it cannot have it.
   */
  readonly findLocalNetwork: (nameOrId: string) => Promise<string | undefined>
  readonly members: RaftMembers
  /** This manager's own: external CAs want to see them. Without them, none can be asked. */
  readonly credentials?: () => NodeCredentials
}

/** The managers as raft knows them. */
export interface RaftMembers {
  /** Whether the node takes part in raft. */
  has(nodeId: string): boolean
  /** Whether enough members that can be reached would remain without it. */
  canRemove(nodeId: string): boolean
}

/**
 * Refuses a write that was made from an older version of the spec. Docker checks this last, and refuses also
 * what only the managers' own writes have overtaken.
 * @throws {SwarmError} Unknown, which clients see as HTTP 500; they match on the text.
 */
export function checkVersion(object: Meta, version: number): void {
  const isSameSpec = object.version === version || object.sameSpecVersions?.includes(version) === true
  if (!isSameSpec) throw clusterError('Unknown', 'update out of sequence')
}

/** Members by what the store says; whether they can be reached it cannot tell. */
export function membersInStore({ view }: Store): RaftMembers {
  const isMember = (node: Node | undefined) => node?.role === 'manager'
  return {
    has: (nodeId) => isMember(view.nodes.get(nodeId)),
    canRemove: (nodeId) => view.nodes.list().some((node) => node.id !== nodeId && isMember(node)),
  }
}
