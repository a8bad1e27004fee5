import { Ballot } from './ballot.js'
import { answerAppend } from './follower.js'
import { Leader, type LeaderContext } from './leader.js'
import { RaftLog } from './log.js'
import {
  decodeChange,
  encodeChange,
  findMember,
  mayLead,
  MembershipHistory,
  voterIds,
  type Membership,
  type MembershipChange,
} from './membership.js'
import type { CoreOptions } from './options.js'
import { Outbox } from './outbox.js'
import { raftRules, type Rules } from './rules.js'
import { Timers } from './timers.js'
import { answerToPast, grantsVote, isFromLeader } from './voting.js'
import {
  InvariantError,
  NotLeaderError,
  type Entry,
  type MemberId,
  type Message,
  type MessageBody,
  type MessageOf,
  type RaftRole,
  type Ready,
  type SnapshotMetadata,
} from './types.js'

const EMPTY = new Uint8Array(0)

/**
 * One raft member without clock, disk or network: it is given messages, ticks and proposals, and says in
 * `ready()` what to write, send and apply.
 * Behaviour: etcd-io/raft (PreVote and CheckQuorum always on, no joint consensus), Ongaro's thesis.
 */
export class RaftCore {
  readonly id: MemberId
  readonly #rules: Rules
  readonly #timers: Timers
  readonly #outbox: Outbox
  readonly #limits: LeaderContext['limits']
  readonly #log: RaftLog
  readonly #members: MembershipHistory

  #term: number
  #votedFor: MemberId | undefined
  #role: RaftRole = 'follower'
  #leaderId: MemberId | undefined
  #leader: Leader | undefined
  /** Of the election under way, own vote included. */
  #ballot = new Ballot()

  /** @throws {InvariantError} if the state does not fit together. */
  constructor(options: CoreOptions) {
    const { hardState, snapshot, entries, appliedIndex } = options.state
    this.id = options.id
    this.#rules = options.rules ?? raftRules
    this.#timers = new Timers(options.electionTicks ?? 10, options.heartbeatTicks ?? 1, options.randomInt)
    this.#limits = {
      maxMessageBytes: options.maxMessageBytes ?? 1024 * 1024,
      maxInflightMessages: options.maxInflightMessages ?? 64,
      maxInflightBytes: options.maxInflightBytes ?? 8 * 1024 * 1024,
      patienceTicks: options.electionTicks ?? 10,
    }
    this.#log = new RaftLog(snapshot, entries, hardState.commit, appliedIndex)
    this.#members = new MembershipHistory(snapshot)
    this.#term = Math.max(hardState.term, this.#log.lastTerm)
    this.#votedFor = hardState.term === this.#term ? hardState.votedFor : undefined
    this.#outbox = new Outbox(this.#log, hardState, options.maxApplyEntries ?? 512)
    this.#applyMembership(snapshot.index)
    // Nobody else can be leader, so there is nobody to wait for.
    if (this.#isOnlyVoter()) this.#campaign(false)
  }

  get term(): number {
    return this.#term
  }

  get role(): RaftRole {
    return this.#role
  }

  get leaderId(): MemberId | undefined {
    return this.#leaderId
  }

  get log(): Pick<RaftLog, 'start' | 'lastIndex' | 'lastTerm' | 'committed' | 'applied' | 'stable' | 'term'> {
    return this.#log
  }

  /** Members as of the last committed change. */
  get membership(): Membership {
    return this.#members.current
  }

  /** For a leader: the entry that opened its term. */
  get noopIndex(): number | undefined {
    return this.#leader?.noopIndex
  }

  /** For a leader: to whom it is handing over. */
  get transferee(): MemberId | undefined {
    return this.#leader?.transferee
  }

  /** For a leader: what it knows of the others. */
  get followers(): ReturnType<Leader['followers']> {
    return this.#leader?.followers() ?? []
  }

  // ---- Inputs

  /** The clock moved by one tick. */
  tick(): void {
    const timers = this.#timers
    timers.tick()
    const leader = this.#leader
    if (leader === undefined) {
      if (!timers.isElectionDue) return
      if (this.#mayCampaign()) this.#campaign(true)
      // Who cannot look for another leader must still know that there is none.
      else this.#leaderId = undefined
      return
    }
    leader.tick()
    if (!timers.isLeaseFresh) {
      timers.renewLease()
      leader.abortTransfer()
      if (!leader.checkQuorum()) {
        this.#becomeFollower(this.#term, undefined)
        return
      }
    }
    if (timers.takeHeartbeat()) leader.heartbeat()
  }

  /**
   * Adds `data` to the log; it goes out with the next `ready()`. Returns its index, under which it will be
   * applied if it is ever committed.
   * @throws {NotLeaderError} and nothing happened.
   */
  propose(data: Uint8Array): number {
    this.#requireLeader()
    return this.#append('data', data)
  }

  /**
   * One change of members; counts from its commit on. Returns its index.
   * @throws {NotLeaderError} @throws {MembershipError} if another one is under way or this makes no sense.
   */
  proposeMembership(change: MembershipChange): number {
    const leader = this.#requireLeader()
    leader.checkMayChange(change)
    const index = this.#append('membership', encodeChange(change))
    leader.pendingMembershipIndex = index
    return index
  }

  /**
   * Asks for a point in the log that makes reads linearizable; the answer comes as a read state with the
   * same context. It can get lost: ask again with another context.
   * @returns false if there is no leader to ask.
   */
  readIndex(context: number): boolean {
    if (this.#leader !== undefined) {
      this.#leader.read(this.id, context)
      return true
    }
    if (this.#leaderId === undefined) return false
    this.#send(this.#leaderId, { type: 'readIndex', context })
    return true
  }

  /**
   * Hands leadership to `id`, once it has the whole log. Proposals are refused meanwhile; given up after an
   * election timeout.
   * @throws {NotLeaderError} if this member does not lead or `id` cannot.
   */
  transferLeadership(id: MemberId): void {
    if (this.#leader === undefined) throw new NotLeaderError(this.#leaderId)
    if (id === this.id) return
    this.#timers.renewLease()
    this.#leader.startTransfer(id)
  }

  /** The transport lost messages for `id`. */
  reportUnreachable(id: MemberId): void {
    this.#leader?.reportUnreachable(id)
  }

  /**
   * The process of `id` has ended, as its host says. If it led, nobody has to wait until its silence is long
   * enough. Should that be wrong, it costs an election.
   */
  reportGone(id: MemberId): void {
    if (this.#leader !== undefined || this.#leaderId !== id) return
    this.#leaderId = undefined
    this.#timers.hurry()
  }

  /** A snapshot for `id` was delivered, or could not be. */
  reportSnapshot(id: MemberId, delivered: boolean): void {
    this.#leader?.reportSnapshot(id, delivered)
  }

  /** Forgets entries up to `index`. Returns the log's new beginning, or undefined if nothing changed. */
  compact(index: number): SnapshotMetadata | undefined {
    if (!this.#log.compact(index)) return undefined
    this.#members.compact(index)
    return { index, term: this.#log.term(index) ?? 0, membership: this.#members.at(index) }
  }

  /** Handles a message. @throws {InvariantError} if it shows that a rule was broken. */
  step(message: Message): void {
    if (message.to !== this.id) throw new InvariantError(`message for ${message.to} came to ${this.id}`)
    if (message.term > this.#term && !this.#onHigherTerm(message)) return
    if (message.term < this.#term) {
      const answer = answerToPast(message)
      if (answer !== undefined) this.#send(message.from, answer)
      return
    }
    this.#handle(message)
  }

  // ---- Outputs

  /** What there is to do, or undefined. See `Ready` for the order of things. */
  ready(): Ready | undefined {
    this.#leader?.flush()
    if (this.#leader !== undefined) this.#outbox.answerReads(this.#leader.takeReadStates())
    return this.#outbox.take({ term: this.#term, votedFor: this.#votedFor, commit: this.#log.committed })
  }

  /** The writes of `ready`, and of all before it, are on disk. */
  advance(ready: Ready): void {
    const last = ready.entries.at(-1)
    if (last !== undefined) this.#log.saved(last.index, ready.logEpoch)
    // The own vote counts once it cannot be forgotten.
    const { term, votedFor } = ready.hardState
    if (this.#role === 'candidate' && term === this.#term && votedFor === this.id) {
      this.#countVote(this.id, true)
    }
    if (this.#leader !== undefined) this.#commitTo(this.#leader.commitIndex())
  }

  // ---- Terms

  /** Returns false if the message is to be ignored. */
  #onHigherTerm(message: Message): boolean {
    if (message.type === 'vote' || message.type === 'preVote') {
      // Whoever hears from a leader does not help to depose it, unless the leader itself asked for it.
      const inLease = this.#leaderId !== undefined && this.#timers.isLeaseFresh
      if (inLease && !message.force) return false
    }
    // A pre-vote asks and answers about a term that does not exist yet.
    if (message.type === 'preVote') return true
    if (message.type === 'preVoteReply' && message.granted) return true
    this.#becomeFollower(message.term, isFromLeader(message) ? message.from : undefined)
    return true
  }

  #becomeFollower(term: number, leaderId: MemberId | undefined): void {
    if (term !== this.#term) {
      this.#term = term
      this.#votedFor = undefined
    }
    this.#role = 'follower'
    this.#leader = undefined
    this.#leaderId = leaderId
    this.#ballot = new Ballot()
    this.#timers.reset()
  }

  // ---- Elections

  #mayCampaign(): boolean {
    const self = findMember(this.membership, this.id)
    return self !== undefined && mayLead(self) && !this.#outbox.hasSnapshot
  }

  #isOnlyVoter(): boolean {
    const voters = voterIds(this.membership)
    return voters.length === 1 && voters[0] === this.id
  }

  /** @param preVote first ask whether an election could be won, without disturbing a leader. */
  #campaign(preVote: boolean, force = false): void {
    this.#leader = undefined
    this.#leaderId = undefined
    this.#ballot = new Ballot()
    this.#timers.reset()
    if (preVote && !this.#isOnlyVoter()) {
      this.#role = 'preCandidate'
      this.#requestVotes('preVote', this.#term + 1, force)
      this.#countVote(this.id, true)
      return
    }
    this.#role = 'candidate'
    this.#term++
    this.#votedFor = this.id
    this.#requestVotes('vote', this.#term, force)
  }

  #requestVotes(type: 'preVote' | 'vote', term: number, force: boolean): void {
    const { lastIndex, lastTerm } = this.#log
    for (const to of voterIds(this.membership)) {
      if (to !== this.id) this.#send(to, { type, lastIndex, lastTerm, force }, term)
    }
  }

  #countVote(from: MemberId, granted: boolean): void {
    switch (this.#ballot.count(from, granted, voterIds(this.membership))) {
      case 'won':
        if (this.#role === 'preCandidate') this.#campaign(false)
        else this.#becomeLeader()
        return
      case 'lost':
        this.#becomeFollower(this.#term, undefined)
        return
      case 'open':
    }
  }

  #becomeLeader(): void {
    this.#role = 'leader'
    this.#leaderId = this.id
    this.#ballot = new Ballot()
    this.#timers.reset()
    const context: LeaderContext = {
      id: this.id,
      term: this.#term,
      log: this.#log,
      members: this.#members,
      rules: this.#rules,
      limits: this.#limits,
      send: (to, body) => this.#send(to, body),
    }
    this.#leader = new Leader(context, this.#log.lastIndex + 1)
    this.#append('noop', EMPTY)
  }

  #onVoteRequest(message: MessageOf<'vote' | 'preVote'>): void {
    const isPreVote = message.type === 'preVote'
    const type = isPreVote ? 'preVoteReply' : 'voteReply'
    const granted = grantsVote(
      {
        term: this.#term,
        votedFor: this.#votedFor,
        leaderId: this.#leaderId,
        log: this.#log,
        rules: this.#rules,
      },
      message,
    )
    // The answer to a pre-vote is about the term that it asks for.
    this.#send(message.from, { type, granted }, granted ? message.term : this.#term)
    if (!granted || isPreVote) return
    this.#votedFor = message.from
    this.#timers.renewLease()
  }

  // ---- Messages of the current term (or pre-votes for the next)

  #handle(message: Message): void {
    switch (message.type) {
      case 'vote':
      case 'preVote':
        this.#onVoteRequest(message)
        return
      case 'preVoteReply':
        if (this.#role !== 'preCandidate') return
        if (!message.granted || message.term === this.#term + 1) {
          this.#countVote(message.from, message.granted)
        }
        return
      case 'voteReply':
        if (this.#role === 'candidate') this.#countVote(message.from, message.granted)
        return
      case 'append':
        this.#followLeader(message.from)
        this.#onAppend(message)
        return
      case 'heartbeat':
        this.#followLeader(message.from)
        this.#commitTo(message.commit)
        this.#send(message.from, { type: 'heartbeatReply', readSequence: message.readSequence })
        return
      case 'snapshot':
        this.#followLeader(message.from)
        this.#onSnapshot(message)
        return
      case 'appendReply':
        this.#leader?.onAppendReply(message)
        if (this.#leader !== undefined) this.#commitTo(this.#leader.commitIndex())
        return
      case 'heartbeatReply':
        this.#leader?.onHeartbeatReply(message)
        return
      case 'timeoutNow':
        if (this.#leader === undefined && this.#mayCampaign()) this.#campaign(false, true)
        return
      case 'readIndex':
        this.#leader?.read(message.from, message.context)
        return
      case 'readIndexReply':
        this.#outbox.answerReads([{ context: message.context, index: message.index }])
        return
      default:
        message satisfies never
    }
  }

  #followLeader(leaderId: MemberId): void {
    if (this.#leader !== undefined || (this.#leaderId !== undefined && this.#leaderId !== leaderId)) {
      throw new InvariantError(`two leaders in term ${this.#term}: ${this.#leaderId ?? '?'} and ${leaderId}`)
    }
    if (this.#role !== 'follower') this.#becomeFollower(this.#term, leaderId)
    this.#leaderId = leaderId
    this.#timers.renewLease()
  }

  #onAppend(message: MessageOf<'append'>): void {
    const { reply, commit } = answerAppend(this.#log, message)
    this.#commitTo(commit)
    this.#send(message.from, reply)
  }

  #onSnapshot(message: MessageOf<'snapshot'>): void {
    const { snapshot, from } = message
    if (snapshot.index > this.#log.committed) {
      if (this.#log.term(snapshot.index) === snapshot.term) {
        this.#commitTo(snapshot.index)
      } else {
        this.#log.restore(snapshot)
        this.#members.reset(snapshot)
        this.#outbox.install(snapshot)
      }
    }
    this.#send(from, { type: 'appendReply', refused: false, index: this.#log.committed })
  }

  // ---- The log

  #requireLeader(): Leader {
    if (this.#leader === undefined) throw new NotLeaderError(this.#leaderId)
    if (this.#leader.transferee !== undefined) {
      throw new NotLeaderError(this.#leader.transferee, 'leadership is being handed over')
    }
    return this.#leader
  }

  #append(kind: Entry['kind'], data: Uint8Array): number {
    const index = this.#log.lastIndex + 1
    this.#log.append({ index, term: this.#term, kind, data })
    return index
  }

  #commitTo(index: number): void {
    const before = this.#log.committed
    if (index <= before) return
    this.#log.commitTo(index)
    this.#applyMembership(before)
    this.#leader?.onCommit()
  }

  /** A change counts as soon as it is known to be committed. */
  #applyMembership(after: number): void {
    for (const entry of this.#log.range(after, this.#log.committed)) {
      if (entry.kind !== 'membership') continue
      this.#members.apply(entry.index, decodeChange(entry.data))
      this.#onMembership()
    }
    // With fewer voters more may be on a majority.
    if (this.#leader !== undefined) this.#commitTo(this.#leader.commitIndex())
  }

  #onMembership(): void {
    const leader = this.#leader
    if (leader === undefined) return
    const self = findMember(this.membership, this.id)
    if (self !== undefined && mayLead(self)) {
      leader.onMembership()
      return
    }
    // This member was removed: say what is committed, name a successor, and be quiet.
    leader.flush()
    leader.nominateSuccessor()
    this.#becomeFollower(this.#term, undefined)
  }

  #send(to: MemberId, body: MessageBody, term = this.#term): void {
    this.#outbox.send({ from: this.id, to, term, ...body })
  }
}
