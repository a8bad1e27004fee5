import type { MemberId } from './types.js'

/**
 * The two rules on which everything rests, apart so that the simulation can break them on purpose and
 * prove that it would notice. Nothing else replaces them.
 */
export interface Rules {
  /** One vote per term. Asked only for the current term, when the candidate's log is good enough. */
  mayVote(votedFor: MemberId | undefined, leaderId: MemberId | undefined, candidateId: MemberId): boolean
  /**
   * A leader commits by counting only entries of its own term. An older one that is on a majority can
   * still be replaced by a later leader; it is committed by what follows it.
   */
  mayCommit(entryTerm: number, leaderTerm: number): boolean
}

export const raftRules: Rules = {
  mayVote(votedFor, leaderId, candidateId) {
    return votedFor === candidateId || (votedFor === undefined && leaderId === undefined)
  },
  mayCommit(entryTerm, leaderTerm) {
    return entryTerm === leaderTerm
  },
}
