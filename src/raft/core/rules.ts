import type { MemberId } from './types.js'

/** The end of a log: what is compared in an election. */
export interface LogEnd {
  readonly lastIndex: number
  readonly lastTerm: number
}

/**
 * The rules on which everything rests, apart so that the simulation can break them on purpose and
 * prove that it would notice. Nothing else replaces them.
 */
export interface Rules {
  /** One vote per term. Asked only for the current term, when the candidate's log is good enough. */
  mayVote(votedFor: MemberId | undefined, leaderId: MemberId | undefined, candidateId: MemberId): boolean
  /** Nobody votes for a candidate whose log lacks something that the own one has. */
  isUpToDate(candidate: LogEnd, own: LogEnd): boolean
  /**
   * A leader commits by counting only entries of its own term. An older one that is on a majority can
   * still be replaced by a later leader; it is committed by what follows it.
   */
  mayCommit(entryTerm: number, leaderTerm: number): boolean
  /** No rule of safety: without it a witness often knows more than the survivor, and nobody can lead. */
  readonly witnessWaits: boolean
}

export const raftRules: Rules = {
  mayVote(votedFor, leaderId, candidateId) {
    return votedFor === candidateId || (votedFor === undefined && leaderId === undefined)
  },
  isUpToDate(candidate, own) {
    if (candidate.lastTerm !== own.lastTerm) return candidate.lastTerm > own.lastTerm
    return candidate.lastIndex >= own.lastIndex
  },
  mayCommit(entryTerm, leaderTerm) {
    return entryTerm === leaderTerm
  },
  witnessWaits: true,
}
