import type { RaftLog } from './log.js'
import type { HardState, MemberId, Message, ReadState, Ready, SnapshotMetadata } from './types.js'

/** What a member has to say, write and apply since it was last asked. */
export class Outbox {
  readonly #log: RaftLog
  readonly #maxApplyEntries: number
  #takenTerm: number
  #takenVote: MemberId | undefined
  #snapshot: SnapshotMetadata | undefined
  #messages: Message[] = []
  #messagesAfterPersist: Message[] = []
  #readStates: ReadState[] = []

  /** @param onDisk what needs not be written again. */
  constructor(log: RaftLog, onDisk: HardState, maxApplyEntries: number) {
    this.#log = log
    this.#takenTerm = onDisk.term
    this.#takenVote = onDisk.votedFor
    this.#maxApplyEntries = maxApplyEntries
  }

  /** A snapshot waits to be installed. */
  get hasSnapshot(): boolean {
    return this.#snapshot !== undefined
  }

  send(message: Message): void {
    if (maySendBeforePersist(message)) this.#messages.push(message)
    else this.#messagesAfterPersist.push(message)
  }

  install(snapshot: SnapshotMetadata): void {
    this.#snapshot = snapshot
  }

  answerReads(states: readonly ReadState[]): void {
    this.#readStates.push(...states)
  }

  /** All of it, or undefined if there is nothing. */
  take(hardState: HardState): Ready | undefined {
    const { term, votedFor } = hardState
    const entries = this.#log.takeUnsaved()
    const committedEntries = this.#log.takeCommitted(this.#maxApplyEntries)
    const voteChanged = term !== this.#takenTerm || votedFor !== this.#takenVote
    const mustPersist = voteChanged || entries.length > 0 || this.#snapshot !== undefined
    const idle =
      !mustPersist &&
      committedEntries.length === 0 &&
      this.#messages.length === 0 &&
      this.#messagesAfterPersist.length === 0 &&
      this.#readStates.length === 0
    if (idle) return undefined
    const ready: Ready = {
      mustPersist,
      hardState,
      snapshot: this.#snapshot,
      entries,
      messages: this.#messages,
      messagesAfterPersist: this.#messagesAfterPersist,
      committedEntries,
      readStates: this.#readStates,
      logEpoch: this.#log.epoch,
    }
    this.#takenTerm = term
    this.#takenVote = votedFor
    this.#snapshot = undefined
    this.#messages = []
    this.#messagesAfterPersist = []
    this.#readStates = []
    return ready
  }
}

/** Messages whose content rests on nothing that this message's turn still has to write. */
function maySendBeforePersist(message: Message): boolean {
  switch (message.type) {
    case 'append':
    case 'heartbeat':
    case 'heartbeatReply':
    case 'snapshot':
    case 'timeoutNow':
    case 'readIndex':
    case 'readIndexReply':
    case 'preVote':
    case 'preVoteReply':
      return true
    // A vote asked for with a log that is then lost could be answered by voters who trusted that log.
    case 'vote':
    case 'voteReply':
    case 'appendReply':
      return false
    default:
      return message satisfies never
  }
}
