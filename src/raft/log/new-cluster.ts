import {
  applyChange,
  decodeChange,
  encodeChange,
  type Membership,
  type MembershipChange,
} from '../core/membership.js'
import type { Entry, MemberId } from '../core/types.js'
import type { LogState, LogStorage } from './log-storage.js'
import { openLog } from './open-log.js'

/**
 * Makes the log that of a cluster whose only voter is `id`, before a member runs on it: for managers that will
 * never have a majority again. All entries stay and count as committed, also those of which nobody knows
 * whether they were: what is in no other log any more was perhaps acknowledged. Doing it twice changes nothing.
 * Behaviour: moby/swarmkit manager/state/raft, readWAL with forceNewCluster, which drops such entries.
 * @param appliedIndex of the state machine.
 * @throws {Error} when the log says that this member itself was removed for good.
 */
export async function formNewCluster(
  storage: LogStorage,
  appliedIndex: number,
  id: MemberId,
  context: string,
): Promise<void> {
  const state = await openLog(storage, appliedIndex, id, undefined)
  const membership = lastMembership(state)
  if (membership.removedIds.includes(id)) {
    throw new Error(`the log says that this manager, ${id}, was removed from the cluster`)
  }
  const changes = changesToLone(membership, id, context)
  const lastIndex = state.entries.at(-1)?.index ?? state.snapshot.index
  const term = Math.max(state.hardState.term, state.entries.at(-1)?.term ?? state.snapshot.term)
  const entries = changes.map((change, at): Entry => {
    return { index: lastIndex + 1 + at, term, kind: 'membership', data: encodeChange(change) }
  })
  await storage.save({
    hardState: { term, votedFor: undefined, commit: lastIndex + entries.length },
    entries,
  })
}

/** The members when all that is in the log has been applied. */
function lastMembership({ snapshot, entries }: LogState): Membership {
  return entries
    .filter(({ kind }) => kind === 'membership')
    .reduce((membership, { data }) => applyChange(membership, decodeChange(data)), snapshot.membership)
}

/** The member itself comes first: the last voter cannot be removed. */
function changesToLone({ members }: Membership, id: MemberId, context: string): readonly MembershipChange[] {
  const self = members.find((member) => member.id === id)
  const own: MembershipChange[] = []
  if (self === undefined) own.push({ type: 'add', member: { id, kind: 'voter', context } })
  else if (self.kind === 'learner') own.push({ type: 'promote', id })
  if (self !== undefined && self.context !== context) own.push({ type: 'update', id, context })
  const others = members.filter((member) => member.id !== id)
  return [...own, ...others.map((member): MembershipChange => ({ type: 'remove', id: member.id }))]
}
