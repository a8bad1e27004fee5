import type { RaftLog } from './log.js'
import {
  checkChange,
  decodeChange,
  findMember,
  findWitness,
  mayLead,
  quorumOf,
  voterIds,
  type MembershipChange,
  type MembershipHistory,
} from './membership.js'
import { LAG_ENTRIES, Progress, type FlowLimits } from './progress.js'
import type { Rules } from './rules.js'
import {
  MembershipError,
  NotLeaderError,
  type Entry,
  type MemberId,
  type MessageBody,
  type MessageOf,
  type ReadState,
} from './types.js'

/** Who lives answers a new leader within so long. */
const FIRST_ANSWER_TICKS = 3

const EMPTY = new Uint8Array(0)

/** What a leader uses of its member. */
export interface LeaderContext {
  readonly id: MemberId
  readonly term: number
  readonly log: RaftLog
  readonly members: MembershipHistory
  readonly rules: Rules
  readonly limits: FlowLimits & { readonly maxMessageBytes: number }
  send(to: MemberId, body: MessageBody): void
}

interface PendingRead {
  readonly from: MemberId
  readonly context: number
  readonly index: number
  /** Confirmed once a quorum answered a heartbeat with this number or a later one. */
  readonly sequence: number
}

/** What a member is while it leads: it lives for one term. */
export class Leader {
  readonly #ctx: LeaderContext
  readonly #progress = new Map<MemberId, Progress>()
  /** The entry that opened the term. Until it is committed the leader does not know what is committed. */
  readonly noopIndex: number
  /** No further change of members before this index is committed. */
  pendingMembershipIndex: number
  #transferee: MemberId | undefined
  #witnessId: MemberId | undefined
  /** Reads that wait for the first commit of the term. */
  #earlyReads: { readonly from: MemberId; readonly context: number }[] = []
  #reads: PendingRead[] = []
  #readSequence = 0
  #readsNew = false

  constructor(ctx: LeaderContext, noopIndex: number) {
    this.#ctx = ctx
    this.noopIndex = noopIndex
    this.pendingMembershipIndex = noopIndex
    this.onMembership()
  }

  get transferee(): MemberId | undefined {
    return this.#transferee
  }

  /** Followers in the order of their ids, so that equal runs send equal messages. */
  followers(): readonly (readonly [MemberId, Progress])[] {
    return [...this.#progress]
  }

  /** Members were added or removed. */
  onMembership(): void {
    const { members, id, log, limits } = this.#ctx
    // The former leader may be dead: what it has is waited for only a little, until it says something.
    const silentTicks = Math.max(0, limits.patienceTicks - FIRST_ANSWER_TICKS)
    const known = new Map(this.#progress)
    this.#progress.clear()
    this.#witnessId = findWitness(members.current)?.id
    for (const member of members.current.members) {
      if (member.id === id) continue
      this.#progress.set(
        member.id,
        known.get(member.id) ?? new Progress(log.lastIndex + 1, limits, silentTicks),
      )
    }
    if (this.#transferee !== undefined && !this.#progress.has(this.#transferee)) this.#transferee = undefined
    this.#confirmReads()
  }

  /** @throws {MembershipError} if the change may not be made now, or makes no sense. */
  checkMayChange(change: MembershipChange): void {
    const { members, log, id } = this.#ctx
    if (this.pendingMembershipIndex > log.committed) {
      throw new MembershipError('another change of members is under way')
    }
    checkChange(members.current, change)
    if (change.type === 'remove' && change.id === id && this.#witnessId !== undefined) {
      // Committed with the witness, it would leave nobody who has the log and may vote for himself.
      throw new MembershipError('a leader beside a witness cannot be removed before another one leads')
    }
    if (change.type !== 'promote') return
    const progress = this.#progress.get(change.id)
    // While the log is short, one that never answered would seem to have caught up.
    if (progress === undefined || progress.match === 0 || !progress.isActive) {
      throw new MembershipError(`${change.id} does not answer yet`)
    }
    if (progress.match + LAG_ENTRIES < log.lastIndex) {
      throw new MembershipError(`${change.id} has not caught up with the log yet`)
    }
  }

  /** The highest index that a majority of voters has on disk and that may be committed by counting. */
  commitIndex(): number {
    const { members, id, log, rules, term } = this.#ctx
    const matches = voterIds(members.current).map((voter) =>
      voter === id ? log.stable : (this.#progress.get(voter)?.match ?? 0),
    )
    matches.sort((a, b) => b - a)
    const index = matches[quorumOf(matches.length) - 1] ?? 0
    const entryTerm = log.term(index)
    if (index <= log.committed || entryTerm === undefined) return log.committed
    return rules.mayCommit(entryTerm, term) ? this.#beforeOwnRemoval(index) : log.committed
  }

  /**
   * With a witness a leader's own removal, which a former leader may have begun, waits for somebody who has all
   * that the witness was told: else nobody would be left for whom it can vote.
   */
  #beforeOwnRemoval(index: number): number {
    const { members, id, log } = this.#ctx
    const witness = this.#progress.get(this.#witnessId ?? '')
    if (witness === undefined) return index
    const removal = log.range(log.committed, index).find((entry) => isRemovalOf(id, entry))
    if (removal === undefined) return index
    const needed = Math.max(index, witness.toldIndex)
    const others = members.current.members.filter((member) => mayLead(member) && member.id !== id)
    const hasSuccessor = others.some((member) => (this.#progress.get(member.id)?.match ?? 0) >= needed)
    return hasSuccessor ? index : removal.index - 1
  }

  /** True if a majority of voters was heard from since the last call. */
  checkQuorum(): boolean {
    const { members, id } = this.#ctx
    const voters = voterIds(members.current)
    const active = voters.filter((voter) => voter === id || this.#progress.get(voter)?.wasHeard === true)
    for (const progress of this.#progress.values()) progress.wasHeard = false
    return active.length >= quorumOf(voters.length)
  }

  tick(): void {
    for (const progress of this.#progress.values()) progress.tick(this.#ctx.log.lastIndex)
  }

  /** Puts everything that is due into messages. */
  flush(): void {
    if (this.#readsNew) {
      this.#readsNew = false
      this.#readSequence++
      this.heartbeat()
      this.#confirmReads()
    }
    for (const [to, progress] of this.#progress) this.#sendAppends(to, progress)
  }

  heartbeat(): void {
    for (const [to, progress] of this.#progress) {
      // A follower may have less than what is committed; it must not believe more than it has.
      const commit = Math.min(progress.match, this.#ctx.log.committed)
      this.#ctx.send(to, { type: 'heartbeat', commit, readSequence: this.#readSequence })
    }
  }

  #sendAppends(to: MemberId, progress: Progress): void {
    const { log, limits } = this.#ctx
    const isWitness = to === this.#witnessId
    const lastIndex = isWitness ? this.#witnessLimit() : log.lastIndex
    while (!progress.paused) {
      const hasEntries = progress.next <= lastIndex
      const commitIsNew = progress.state === 'replicate' && progress.sentCommit < log.committed
      if (!hasEntries && !commitIsNew && !progress.poke) return
      const prevIndex = progress.next - 1
      const prevTerm = log.term(prevIndex)
      if (prevTerm === undefined) {
        this.#sendSnapshot(to, progress)
        return
      }
      const due = log.from(progress.next, lastIndex, limits.maxMessageBytes)
      const entries = isWitness ? due.map(withoutPayload) : due
      this.#ctx.send(to, { type: 'append', prevIndex, prevTerm, entries, commit: log.committed })
      progress.sentCommit = log.committed
      progress.sentAppend(
        entries.length,
        entries.reduce((bytes, entry) => bytes + entry.data.byteLength, 0),
      )
    }
  }

  /**
   * Up to where the witness is told of the log: no further than this leader's disk has it, and those that keep
   * up. A witness that knows more than those who are left cannot vote for them, and has nothing to give them.
   */
  #witnessLimit(): number {
    const { log, members, rules } = this.#ctx
    if (!rules.witnessWaits) return log.lastIndex
    let limit = log.stable
    for (const { id } of members.current.members.filter(mayLead)) {
      const progress = this.#progress.get(id)
      if (progress?.keepsUp(log.lastIndex) === true) limit = Math.min(limit, progress.match)
    }
    return limit
  }

  #sendSnapshot(to: MemberId, progress: Progress): void {
    const { log, members } = this.#ctx
    // A follower that is silent would only hold the content in memory.
    if (!progress.isActive) return
    const index = log.applied
    const term = log.term(index)
    if (term === undefined) return
    progress.sentSnapshot(index)
    this.#ctx.send(to, { type: 'snapshot', snapshot: { index, term, membership: members.at(index) } })
  }

  onAppendReply(message: MessageOf<'appendReply'>): void {
    const progress = this.#progress.get(message.from)
    if (progress === undefined) return
    progress.heard()
    if (message.refused) {
      // One term at a time instead of one entry at a time: skip own entries the follower cannot have.
      const hint = this.#ctx.log.findAtMost(message.hintIndex, message.hintTerm)
      progress.refused(message.index, hint.index)
      return
    }
    // A follower may have more than this leader knows of, but not more of what this leader wrote.
    if (message.index > this.#ctx.log.lastIndex) return
    progress.acknowledged(message.index, this.#ctx.log.start)
    this.#completeTransfer(message.from, progress)
  }

  onHeartbeatReply(message: MessageOf<'heartbeatReply'>): void {
    const progress = this.#progress.get(message.from)
    if (progress === undefined) return
    progress.heard()
    progress.heartbeatAnswered(this.#ctx.log.lastIndex)
    if (message.readSequence > progress.readSequence) {
      progress.readSequence = message.readSequence
      this.#confirmReads()
    }
  }

  /** The transport could not deliver: something may be lost. */
  reportUnreachable(id: MemberId): void {
    this.#progress.get(id)?.unreachable()
  }

  reportSnapshot(id: MemberId, delivered: boolean): void {
    this.#progress.get(id)?.snapshotSent(delivered)
  }

  read(from: MemberId, context: number): void {
    const { log, term } = this.#ctx
    if (log.term(log.committed) !== term) {
      this.#earlyReads.push({ from, context })
      return
    }
    this.#reads.push({ from, context, index: log.committed, sequence: this.#readSequence + 1 })
    this.#readsNew = true
  }

  /** The commit index moved. */
  onCommit(): void {
    const { log, term } = this.#ctx
    if (this.#earlyReads.length === 0 || log.term(log.committed) !== term) return
    const reads = this.#earlyReads
    this.#earlyReads = []
    for (const read of reads) this.read(read.from, read.context)
  }

  #confirmed: ReadState[] = []

  /** Own reads whose leadership was confirmed. */
  takeReadStates(): ReadState[] {
    const states = this.#confirmed
    this.#confirmed = []
    return states
  }

  #confirmReads(): void {
    const { members, id } = this.#ctx
    const sequences = voterIds(members.current).map((voter) =>
      voter === id ? this.#readSequence : (this.#progress.get(voter)?.readSequence ?? 0),
    )
    sequences.sort((a, b) => b - a)
    const confirmed = sequences[quorumOf(sequences.length) - 1] ?? 0
    const waiting: PendingRead[] = []
    for (const read of this.#reads) {
      if (read.sequence > confirmed) waiting.push(read)
      else if (read.from === id) this.#confirmed.push({ context: read.context, index: read.index })
      else this.#ctx.send(read.from, { type: 'readIndexReply', context: read.context, index: read.index })
    }
    this.#reads = waiting
  }

  /** @throws {NotLeaderError} if `id` cannot take over. */
  startTransfer(id: MemberId): void {
    const member = findMember(this.#ctx.members.current, id)
    const progress = this.#progress.get(id)
    if (member === undefined || !mayLead(member) || progress === undefined) {
      throw new NotLeaderError(this.#ctx.id, `leadership cannot be handed to ${id}: it is no other voter`)
    }
    this.#transferee = id
    this.#completeTransfer(id, progress)
  }

  abortTransfer(): void {
    this.#transferee = undefined
  }

  #completeTransfer(id: MemberId, progress: Progress): void {
    if (id !== this.#transferee || progress.match !== this.#ctx.log.lastIndex) return
    this.#ctx.send(id, { type: 'timeoutNow' })
  }

  /** On the way out: lets the voter with the longest log take over without waiting for its timer. */
  nominateSuccessor(): void {
    let best: { id: MemberId; match: number } | undefined
    for (const { id } of this.#ctx.members.current.members.filter(mayLead)) {
      const match = this.#progress.get(id)?.match
      if (match !== undefined && (best === undefined || match > best.match)) best = { id, match }
    }
    if (best !== undefined) this.#ctx.send(best.id, { type: 'timeoutNow' })
  }
}

function isRemovalOf(id: MemberId, { kind, data }: Entry): boolean {
  if (kind !== 'membership') return false
  const change = decodeChange(data)
  return change.type === 'remove' && change.id === id
}

/** Members must be known to the witness; what the state machine gets is none of its business. */
function withoutPayload(entry: Entry): Entry {
  return entry.kind === 'data' ? { ...entry, data: EMPTY } : entry
}
