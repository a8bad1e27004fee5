import type { RaftLog } from './log.js'
import type { Rules } from './rules.js'
import type { MemberId, Message, MessageBody, MessageOf } from './types.js'

/** What a member knows when it is asked for its vote. */
export interface Voter {
  readonly term: number
  readonly votedFor: MemberId | undefined
  readonly leaderId: MemberId | undefined
  readonly log: RaftLog
  readonly rules: Rules
}

/** Whether the candidate gets the vote of this term, or would get that of the next. */
export function grantsVote(voter: Voter, message: MessageOf<'vote' | 'preVote'>): boolean {
  const free =
    message.type === 'preVote'
      ? message.term > voter.term
      : voter.rules.mayVote(voter.votedFor, voter.leaderId, message.from)
  return free && voter.rules.isUpToDate(message, voter.log)
}

/** What a message of a past term is answered with, if anything. */
export function answerToPast({ type }: Message): MessageBody | undefined {
  switch (type) {
    case 'append':
    case 'heartbeat':
    case 'snapshot':
      // A leader that was left behind, or a member whose term ran ahead while it was cut off: the answer
      // carries the newer term, on which that leader steps down and an election makes them meet.
      return { type: 'appendReply', refused: false, index: 0 }
    case 'preVote':
      return { type: 'preVoteReply', granted: false }
    default:
      return undefined
  }
}

/** Only a leader says this, so whoever does leads its term. */
export function isFromLeader({ type }: Message): boolean {
  return type === 'append' || type === 'heartbeat' || type === 'snapshot'
}
