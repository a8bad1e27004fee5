import type { Env } from '../env/env.js'
import type { Logger } from '../env/log.js'
import { PendingChanges } from './changes.js'
import {
  findMember,
  InvariantError,
  NotLeaderError,
  RaftCore,
  type Entry,
  type MemberId,
  type MemberKind,
  type Membership,
  type MembershipChange,
  type Message,
  type MessageOf,
  type Ready,
  type SnapshotMetadata,
} from './core/index.js'
import { LOG_ENTRIES_FOR_SLOW_FOLLOWERS, type RaftDriverOptions } from './driver-options.js'
import type { Leadership, RaftStatus } from './interfaces.js'
import type { LogState } from './log/log-storage.js'
import { openLog } from './log/open-log.js'
import { PendingReads } from './reads.js'
import { Saves } from './saves.js'
import { Snapshots } from './snapshots.js'
import { bestSuccessor, statusOf } from './status.js'

/** The numbers of reads fit into 53 bits for ever. */
const MAX_FIRST_CONTEXT = 2 ** 47

/** Compactions worth a write. */
const MIN_COMPACTION_ENTRIES = 100

/**
 * Runs a `RaftCore` with a clock, a disk, a network and a state machine.
 *
 * Everything asked for in one turn of the event loop becomes one write; the next one may be asked for while
 * the disk works. A leader sends before its own disk is done, and the commit index is what a majority has.
 */
export class RaftDriver {
  readonly #env: Env
  readonly #log: Logger
  readonly #options: RaftDriverOptions
  readonly #core: RaftCore
  readonly #tickMs: number
  readonly #electionTicks: number
  readonly #defer: (fn: () => void) => void
  readonly #reads: PendingReads
  readonly #listeners = new Set<(leadership: Leadership) => void>()
  readonly #saves: Saves
  readonly #snapshots: Snapshots
  #installing = false
  readonly #changes = new PendingChanges()
  #leadership: Leadership = { isLeader: false, leaderId: undefined, term: 0 }
  #membership: Membership
  #appliedIndex: number
  #deferred = false
  #compacting: Promise<void> | undefined
  #cancelTick: (() => void) | undefined
  #stopped = false

  /**
   * Loads the log and takes part from then on.
   * @throws if the log cannot be read, or does not fit the state machine's state.
   */
  static async start(env: Env, options: RaftDriverOptions): Promise<RaftDriver> {
    const { storage, stateMachine, id, bootstrap } = options
    const state = await openLog(storage, stateMachine.appliedIndex, id, bootstrap)
    return new RaftDriver(env, options, state)
  }

  private constructor(env: Env, options: RaftDriverOptions, state: LogState) {
    this.#env = env
    this.#options = options
    this.#log = env.log.child({ raftMember: options.id })
    this.#tickMs = options.tickMs ?? 100
    this.#electionTicks = options.electionTicks ?? 10
    this.#defer = options.defer ?? setImmediate
    this.#reads = new PendingReads({
      retryTicks: Math.ceil(this.#electionTicks / 2),
      leaderlessTicks: this.#electionTicks,
      firstContext: env.randomInt(MAX_FIRST_CONTEXT),
    })
    this.#saves = new Saves(options.storage, {
      onSaved: () => this.#saved(),
      onFailed: (error) => this.#failed('cannot write the raft log', error),
    })
    this.#snapshots = new Snapshots(options.storage, options.stateMachine)
    this.#appliedIndex = options.stateMachine.appliedIndex
    this.#core = new RaftCore({
      id: options.id,
      state: { ...state, appliedIndex: this.#appliedIndex },
      randomInt: (bound) => env.randomInt(bound),
      electionTicks: this.#electionTicks,
      ...(options.maxMessageBytes === undefined ? {} : { maxMessageBytes: options.maxMessageBytes }),
      ...(options.rules === undefined ? {} : { rules: options.rules }),
    })
    this.#membership = this.#core.membership
    options.transport.updateMembers(this.#membership)
    this.#scheduleTick()
    this.#wake()
  }

  // ---- What the node asks

  get leadership(): Leadership {
    return this.#leadership
  }

  get membership(): Membership {
    return this.#core.membership
  }

  /** Last index that the state machine has applied. */
  get appliedIndex(): number {
    return this.#appliedIndex
  }

  /**
   * Puts `data` into the log, at the index returned. It is written and sent at the end of the turn together
   * with all other proposals of the turn, and comes back through `apply` with this index, this term and this
   * very object; if another object comes under this index, the proposal was lost.
   * @throws {NotLeaderError} and nothing happened, unless this member leads and has applied its log.
   */
  propose(data: Uint8Array): number {
    if (!this.#isLeader()) throw new NotLeaderError(this.#core.leaderId)
    const index = this.#core.propose(data)
    this.#wake()
    return index
  }

  /**
   * Resolves when the state machine holds every write that was acknowledged anywhere before this call.
   * @throws {NoLeaderError} (as a rejection) after an election timeout without a leader.
   */
  readIndex(): Promise<void> {
    if (this.#stopped) return Promise.reject(new Error('this raft member is stopped'))
    if (this.#isSoleLeader() && this.#appliedIndex === this.#core.log.committed) return Promise.resolve()
    const read = this.#reads.add()
    this.#wake()
    return read
  }

  /** Calls `listener` after each change of leader, term or readiness. Returns a function that ends it. */
  onLeadershipChange(listener: (leadership: Leadership) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  status(): RaftStatus {
    return statusOf(this.#core, { appliedIndex: this.#appliedIndex, isLeader: this.#isLeader() })
  }

  /** Adds a member that receives the log but has no vote yet. Resolves once that is committed. */
  addMember(id: MemberId, context: string, kind: MemberKind = 'learner'): Promise<void> {
    return this.#change({ type: 'add', member: { id, kind, context } })
  }

  /**
   * Adds a member that gets no payloads and never leads; a learner at first, like any other.
   * @throws {MembershipError} (as a rejection) if there is a witness already.
   */
  addWitness(id: MemberId, context: string): Promise<void> {
    return this.#change({ type: 'add', member: { id, kind: 'learner', witness: true, context } })
  }

  /** Gives a learner that has caught up its vote. @throws {MembershipError} if it has not (yet). */
  promoteMember(id: MemberId): Promise<void> {
    return this.#change({ type: 'promote', id })
  }

  /** Changes what the others know about a member, such as its address. */
  updateMember(id: MemberId, context: string): Promise<void> {
    return this.#change({ type: 'update', id, context })
  }

  /** A leader that removes itself names a successor and stops leading. */
  removeMember(id: MemberId): Promise<void> {
    return this.#change({ type: 'remove', id })
  }

  /**
   * Hands leadership over; without `id` to the voter that has most of the log. Resolves when it is done.
   * @throws {NotLeaderError} (as a rejection) if this member does not lead, or still does after an election
   * timeout.
   */
  transferLeadership(id?: MemberId): Promise<void> {
    const target = id ?? bestSuccessor(this.#core)
    if (target === undefined || this.#stopped) {
      return Promise.reject(new NotLeaderError(this.#core.leaderId, 'there is no other voter to lead'))
    }
    const { term } = this.#core
    try {
      this.#core.transferLeadership(target)
    } catch (error) {
      return Promise.reject(asError(error))
    }
    this.#wake()
    return new Promise((resolve, reject) => {
      const unsubscribe = this.onLeadershipChange((leadership) => {
        if (leadership.term <= term || leadership.leaderId === undefined) return
        cancelTimer()
        unsubscribe()
        resolve()
      })
      const cancelTimer = this.#env.after(this.#electionTicks * 2 * this.#tickMs, () => {
        unsubscribe()
        reject(new NotLeaderError(this.#core.leaderId, `${target} did not take over`))
      })
    })
  }

  /**
   * The state up to `index` is on disk: the log may forget what is before, except for some entries that
   * spare slow followers a snapshot. Cheap to call often.
   */
  compactTo(index: number): Promise<void> {
    const keep = this.#options.logEntriesForSlowFollowers ?? LOG_ENTRIES_FOR_SLOW_FOLLOWERS
    const upTo = Math.min(index, this.#appliedIndex, this.#core.log.stable) - keep
    if (this.#stopped || this.#compacting !== undefined) return Promise.resolve()
    if (upTo - this.#core.log.start < Math.min(MIN_COMPACTION_ENTRIES, keep + 1)) return Promise.resolve()
    const snapshot = this.#core.compact(upTo)
    if (snapshot === undefined) return Promise.resolve()
    this.#compacting = this.#options.storage.compact(snapshot).then(
      () => (this.#compacting = undefined),
      (error: unknown) => this.#failed('cannot compact the raft log', error),
    )
    return this.#compacting
  }

  /** Stops taking part; resolves when the disk is quiet. What was proposed and not applied is unknown. */
  async stop(): Promise<void> {
    this.#halt(new Error('this raft member was stopped'))
    await this.#saves.idle()
    await this.#compacting
  }

  // ---- What the network brings

  /** Messages from another member, in any order; snapshots come through `receiveSnapshot`. */
  receive(messages: readonly Message[]): void {
    if (this.#stopped) return
    this.#guard(() => {
      for (const message of messages) this.#core.step(message)
    })
    this.#wake()
  }

  /**
   * A snapshot and its content. Resolves when it was taken, or was not needed.
   * @throws (as a rejection) if another one is being received or the content is broken; the leader tries again.
   */
  async receiveSnapshot(message: MessageOf<'snapshot'>, content: AsyncIterable<Uint8Array>): Promise<void> {
    if (this.#stopped) throw new Error('this raft member is stopped')
    const isUseful = message.term >= this.#core.term && message.snapshot.index > this.#core.log.committed
    if (!isUseful) {
      this.receive([message])
      return
    }
    if (this.#installing) throw new Error('a snapshot is being installed')
    await this.#snapshots.receive(message, content)
    if (!this.#stopped) {
      this.#guard(() => this.#core.step(message))
      this.#process()
    }
    if (!this.#installing) this.#snapshots.discardUnused()
  }

  /** The transport could not deliver messages to `id`. */
  reportUnreachable(id: MemberId): void {
    this.#core.reportUnreachable(id)
    this.#wake()
  }

  /** The process of `id` has ended, as its host says. */
  reportGone(id: MemberId): void {
    this.#core.reportGone(id)
    this.#wake()
  }

  // ---- The turn

  #scheduleTick(): void {
    this.#cancelTick = this.#env.after(this.#tickMs, () => {
      // A late timer is one tick: the messages that came meanwhile have not been seen yet.
      this.#scheduleTick()
      this.#guard(() => this.#core.tick())
      this.#reads.onTick(this.#core)
      this.#wake()
    })
  }

  #wake(): void {
    if (this.#deferred || this.#stopped) return
    this.#deferred = true
    this.#defer(() => {
      this.#deferred = false
      this.#process()
    })
  }

  #process(): void {
    if (this.#stopped || this.#installing) return
    this.#guard(() => {
      this.#reads.ask(this.#core)
      const ready = this.#core.ready()
      if (ready === undefined) {
        this.#updateLeadership()
        return
      }
      this.#handle(ready)
      // There may be more to do; the loop gets a turn in between so that a long replay blocks nobody.
      this.#wake()
    })
  }

  #handle(ready: Ready): void {
    this.#send(ready.messages)
    if (ready.snapshot !== undefined) {
      void this.#install(ready, ready.snapshot)
      return
    }
    this.#saves.add(ready)
    this.#afterSaves()
    // A leader that was deposed says so before it applies what others wrote.
    if (this.#leadership.isLeader && !this.#isLeader()) this.#updateLeadership()
    this.#apply(ready)
    this.#updateLeadership()
  }

  #saved(): void {
    if (this.#stopped) return
    this.#guard(() => this.#afterSaves())
    this.#process()
  }

  /** Reports finished writes to the core in their order. */
  #afterSaves(): void {
    for (let ready = this.#takeSaved(); ready !== undefined; ready = this.#takeSaved()) {
      this.#send(ready.messagesAfterPersist)
      this.#core.advance(ready)
    }
  }

  #takeSaved(): Ready | undefined {
    return this.#stopped ? undefined : this.#saves.takeDone()
  }

  #apply(ready: Ready): void {
    for (const entry of ready.committedEntries) {
      if (entry.kind === 'data') this.#applyData(entry)
      this.#appliedIndex = entry.index
      if (entry.kind !== 'membership') continue
      this.#membershipChanged()
      this.#changes.onApplied(entry)
    }
    for (const state of ready.readStates) this.#reads.onReadState(state)
    this.#reads.onApplied(this.#appliedIndex)
  }

  #applyData(entry: Entry): void {
    try {
      this.#options.stateMachine.apply(entry.index, entry.term, entry.data)
    } catch (error) {
      throw new Error(`cannot apply raft entry ${entry.index}: ${asError(error).message}`, { cause: error })
    }
  }

  /** Until the state machine holds the snapshot, nothing else is written, sent or applied. */
  async #install(ready: Ready, snapshot: SnapshotMetadata): Promise<void> {
    this.#installing = true
    try {
      await this.#snapshots.install(ready, snapshot)
    } catch (error) {
      this.#installing = false
      this.#failed(`cannot install snapshot ${snapshot.index}`, error)
      return
    }
    this.#installing = false
    if (this.#stopped) return
    this.#appliedIndex = snapshot.index
    this.#guard(() => {
      this.#membershipChanged()
      this.#saves.addDone(ready)
      this.#afterSaves()
      this.#apply(ready)
      this.#updateLeadership()
    })
    this.#process()
  }

  #send(messages: readonly Message[]): void {
    const byMember = new Map<MemberId, Message[]>()
    for (const message of messages) {
      if (message.type === 'snapshot') {
        this.#sendSnapshot(message)
        continue
      }
      const queue = byMember.get(message.to)
      if (queue === undefined) byMember.set(message.to, [message])
      else queue.push(message)
    }
    for (const [to, queue] of byMember) this.#options.transport.send(to, queue)
  }

  #sendSnapshot(message: MessageOf<'snapshot'>): void {
    const { to } = message
    if (message.snapshot.index !== this.#appliedIndex) {
      throw new InvariantError(`snapshot ${message.snapshot.index} of a state at ${this.#appliedIndex}`)
    }
    const report = (delivered: boolean) => {
      if (this.#stopped) return
      this.#core.reportSnapshot(to, delivered)
      this.#wake()
    }
    this.#log.info({ to, index: message.snapshot.index }, 'sending a snapshot')
    const { transport, stateMachine } = this.#options
    const isWitness = findMember(this.#core.membership, to)?.witness === true
    transport.sendSnapshot(to, message, isWitness ? nothing() : stateMachine.snapshot()).then(
      () => report(true),
      (error: unknown) => {
        this.#log.warn({ to, error: asError(error).message }, 'snapshot was not delivered')
        report(false)
      },
    )
  }

  // ---- Leadership and members

  #isLeader(): boolean {
    const { noopIndex, transferee } = this.#core
    return (
      !this.#stopped && noopIndex !== undefined && this.#appliedIndex >= noopIndex && transferee === undefined
    )
  }

  /** Nobody else can have acknowledged anything. */
  #isSoleLeader(): boolean {
    return this.#isLeader() && this.#core.membership.members.length === 1
  }

  #updateLeadership(): void {
    const before = this.#leadership
    const { leaderId, term } = this.#core
    const isLeader = this.#isLeader()
    if (before.isLeader === isLeader && before.leaderId === leaderId && before.term === term) return
    this.#leadership = { isLeader, leaderId, term }
    this.#log.info({ ...this.#leadership }, 'raft leadership changed')
    if (before.leaderId !== leaderId || before.term !== term) {
      this.#reads.onLeaderChange()
      if (this.#core.role !== 'leader' || before.term !== term) this.#changes.onLeadershipLost()
      this.#wake()
    }
    for (const listener of this.#listeners) listener(this.#leadership)
  }

  #change(change: MembershipChange): Promise<void> {
    if (!this.#isLeader()) return Promise.reject(new NotLeaderError(this.#core.leaderId))
    try {
      const committed = this.#changes.add(this.#core.proposeMembership(change), this.#core.term)
      this.#wake()
      return committed
    } catch (error) {
      return Promise.reject(asError(error))
    }
  }

  #membershipChanged(): void {
    if (this.#membership === this.#core.membership) return
    this.#membership = this.#core.membership
    this.#options.transport.updateMembers(this.#membership)
  }

  // ---- The end

  /** A broken invariant or a failed apply ends the member instead of spreading. */
  #guard(fn: () => void): void {
    try {
      fn()
    } catch (error) {
      this.#fatal(asError(error))
    }
  }

  #failed(what: string, error: unknown): void {
    this.#fatal(new Error(`${what}: ${asError(error).message}`, { cause: error }))
  }

  #fatal(error: Error): void {
    if (this.#stopped) return
    this.#log.error({ error: error.message }, 'raft member stops')
    this.#halt(error)
    this.#options.onFatal(error)
  }

  #halt(reason: Error): void {
    if (this.#stopped) return
    this.#stopped = true
    this.#cancelTick?.()
    this.#reads.fail(reason)
    this.#changes.fail(reason)
    if (!this.#leadership.isLeader && this.#leadership.leaderId === undefined) return
    this.#leadership = { isLeader: false, leaderId: undefined, term: this.#core.term }
    for (const listener of this.#listeners) listener(this.#leadership)
  }
}

/** What a witness gets of the state: where it is, which the message says. */
async function* nothing(): AsyncGenerator<Uint8Array> {}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error))
}
