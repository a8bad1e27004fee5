import { mayLead, type MemberId, type RaftCore } from './core/index.js'
import type { RaftStatus } from './interfaces.js'

export function statusOf(core: RaftCore, driver: Pick<RaftStatus, 'appliedIndex' | 'isLeader'>): RaftStatus {
  const followers = new Map(core.followers)
  return {
    id: core.id,
    role: core.role,
    isLeader: driver.isLeader,
    leaderId: core.leaderId,
    term: core.term,
    commitIndex: core.log.committed,
    appliedIndex: driver.appliedIndex,
    lastIndex: core.log.lastIndex,
    startIndex: core.log.start,
    members: core.membership.members.map(({ id, kind, witness, context }) => ({
      id,
      kind,
      isWitness: witness === true,
      context,
      matchIndex: id === core.id ? core.log.stable : followers.get(id)?.match,
      active: id === core.id ? true : followers.get(id)?.isActive,
    })),
    removedIds: core.membership.removedIds,
  }
}

/** For a leader: the other that has most of the log, of those that answer if there are any. */
export function bestSuccessor(core: RaftCore): MemberId | undefined {
  const followers = new Map(core.followers)
  const candidates = core.membership.members.filter(mayLead).flatMap(({ id }) => {
    const follower = followers.get(id)
    return follower === undefined ? [] : [{ id, score: follower.isActive ? follower.match : -1 }]
  })
  candidates.sort((a, b) => b.score - a.score)
  return candidates[0]?.id
}
