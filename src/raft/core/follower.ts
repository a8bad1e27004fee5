import type { RaftLog } from './log.js'
import type { MessageBody, MessageOf } from './types.js'

/** What a follower says to an append, and up to where it then knows the log to be committed. */
export interface AppendAnswer {
  readonly reply: Extract<MessageBody, { type: 'appendReply' }>
  readonly commit: number
}

/** Takes a leader's entries into the log, if they fit. @throws {InvariantError} if they replace committed ones. */
export function answerAppend(log: RaftLog, message: MessageOf<'append'>): AppendAnswer {
  const { prevIndex, prevTerm, entries } = message
  const { committed } = log
  if (prevIndex < committed) {
    // What is committed is the same everywhere, so the leader may go on from there.
    return { reply: { type: 'appendReply', refused: false, index: committed }, commit: committed }
  }
  const lastIndex = log.tryAppend(prevIndex, prevTerm, entries)
  if (lastIndex === undefined) {
    const hint = log.findAtMost(prevIndex, prevTerm)
    const hints = { hintIndex: hint.index, hintTerm: hint.term }
    return { reply: { type: 'appendReply', refused: true, index: prevIndex, ...hints }, commit: committed }
  }
  const commit = Math.min(message.commit, lastIndex)
  return { reply: { type: 'appendReply', refused: false, index: lastIndex }, commit }
}
