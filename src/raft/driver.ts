import type { Env } from '../env/env.js'
import type { Logger } from '../env/log.js'
import { PendingChanges } from './changes.js'
import {
  InvariantError,
  mayLead,
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
  type Rules,
} from './core/index.js'
import type { Leadership, RaftStatus, StagedState, StateMachine, Transport } from './interfaces.js'
import type { LogState, LogStorage } from './log/log-storage.js'
import { openLog } from './log/open-log.js'
import { PendingReads } from './reads.js'

/** Entries kept behind the compacted index, so that a follower that is a little slow needs no snapshot. */
export const LOG_ENTRIES_FOR_SLOW_FOLLOWERS = 500

/** Compactions worth a write. */
const MIN_COMPACTION_ENTRIES = 100

export interface RaftDriverOptions {
  readonly id: MemberId
  readonly storage: LogStorage
  readonly stateMachine: StateMachine
  readonly transport: Transport
  /** Given for the very first member of a cluster; ignored if the log is not empty. */
  readonly bootstrap?: { readonly context: string }
  /**
   * The member stopped because it could not go on without risk: a write failed, apply threw, or the log is
   * damaged. Nothing that is not on disk was acknowledged. Called once.
   */
  readonly onFatal: (error: Error) => void
  /** Default 100. Heartbeats go out every tick; a follower campaigns after 10 to 20. */
  readonly tickMs?: number
  readonly electionTicks?: number
  /** Default 1 MiB. A single larger entry still goes out whole. */
  readonly maxMessageBytes?: number
  readonly logEntriesForSlowFollowers?: number
  /** Runs `fn` at the end of the turn. Default `setImmediate`. */
  readonly defer?: (fn: () => void) => void
  /** Replaced only by tests that break them on purpose. */
  readonly rules?: Rules
}

interface PendingSave {
  readonly ready: Ready
  saved: boolean
}

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
  /** Writes under way, oldest first. */
  readonly #saves: PendingSave[] = []
  readonly #changes = new PendingChanges()
  #leadership: Leadership = { isLeader: false, leaderId: undefined, term: 0 }
  #membership: Membership
  #appliedIndex: number
  #deferred = false
  #staged: StagedState | undefined
  #receivingSnapshot = false
  #installing = false
  #compacting: Promise<void> | undefined
  #cancelTick: (() => void) | undefined
  #stopped = false
  #idle: (() => void)[] = []

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
    })
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
    const core = this.#core
    const followers = new Map(core.followers)
    return {
      id: core.id,
      role: core.role,
      isLeader: this.#isLeader(),
      leaderId: core.leaderId,
      term: core.term,
      commitIndex: core.log.committed,
      appliedIndex: this.#appliedIndex,
      lastIndex: core.log.lastIndex,
      startIndex: core.log.start,
      members: core.membership.members.map(({ id, kind, context }) => ({
        id,
        kind,
        context,
        matchIndex: id === core.id ? core.log.stable : followers.get(id)?.match,
        active: id === core.id ? true : followers.get(id)?.recentActive,
      })),
      removedIds: core.membership.removedIds,
    }
  }

  /** Adds a member that receives the log but has no vote yet. Resolves once that is committed. */
  addMember(id: MemberId, context: string, kind: MemberKind = 'learner'): Promise<void> {
    return this.#change({ type: 'add', member: { id, kind, context } })
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
    const target = id ?? this.#bestSuccessor()
    return new Promise((resolve, reject) => {
      if (target === undefined || this.#stopped) {
        reject(new NotLeaderError(this.#core.leaderId, 'there is no other voter to lead'))
        return
      }
      const { term } = this.#core
      try {
        this.#core.transferLeadership(target)
      } catch (error) {
        reject(asError(error))
        return
      }
      const finish = (error?: Error) => {
        cancelTimer()
        unsubscribe()
        if (error === undefined) resolve()
        else reject(error)
      }
      const unsubscribe = this.onLeadershipChange((leadership) => {
        if (leadership.term > term && leadership.leaderId !== undefined) finish()
      })
      const cancelTimer = this.#env.after(this.#electionTicks * 2 * this.#tickMs, () =>
        finish(new NotLeaderError(this.#core.leaderId, `${target} did not take over`)),
      )
      this.#wake()
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
      (error: unknown) =>
        this.#fatal(new Error(`cannot compact the raft log: ${asError(error).message}`, { cause: error })),
    )
    return this.#compacting
  }

  /** Stops taking part; resolves when the disk is quiet. What was proposed and not applied is unknown. */
  async stop(): Promise<void> {
    this.#halt(new Error('this raft member was stopped'))
    if (this.#saves.some((save) => !save.saved)) {
      await new Promise<void>((resolve) => this.#idle.push(resolve))
    }
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
    if (this.#receivingSnapshot || this.#installing) throw new Error('a snapshot is being received already')
    const isUseful = message.term >= this.#core.term && message.snapshot.index > this.#core.log.committed
    if (!isUseful) {
      this.receive([message])
      return
    }
    this.#receivingSnapshot = true
    try {
      this.#staged = await this.#options.stateMachine.restore(message.snapshot, content)
    } finally {
      this.#receivingSnapshot = false
    }
    if (!this.#stopped) {
      this.#guard(() => this.#core.step(message))
      this.#process()
    }
    // The log may have caught up meanwhile.
    if (!this.#installing) {
      this.#staged.discard()
      this.#staged = undefined
    }
  }

  /** The transport could not deliver messages to `id`. */
  reportUnreachable(id: MemberId): void {
    this.#core.reportUnreachable(id)
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
    const save: PendingSave = { ready, saved: !ready.mustPersist }
    this.#saves.push(save)
    if (ready.mustPersist) this.#save(save)
    this.#afterSaves()
    // A leader that was deposed says so before it applies what others wrote.
    if (this.#leadership.isLeader && !this.#isLeader()) this.#updateLeadership()
    this.#apply(ready)
    this.#updateLeadership()
  }

  #save(save: PendingSave): void {
    const { hardState, entries } = save.ready
    this.#options.storage.save({ hardState, entries }).then(
      () => {
        save.saved = true
        if (this.#stopped) {
          this.#settleIdle()
          return
        }
        this.#guard(() => this.#afterSaves())
        this.#process()
      },
      (error: unknown) => {
        save.saved = true
        this.#settleIdle()
        this.#fatal(new Error(`cannot write the raft log: ${asError(error).message}`, { cause: error }))
      },
    )
  }

  /** Reports finished writes to the core in their order. */
  #afterSaves(): void {
    for (let save = this.#saves[0]; save?.saved === true && !this.#stopped; save = this.#saves[0]) {
      this.#saves.shift()
      this.#send(save.ready.messagesAfterPersist)
      this.#core.advance(save.ready)
    }
  }

  #settleIdle(): void {
    if (this.#saves.some((save) => !save.saved)) return
    for (const resolve of this.#idle.splice(0)) resolve()
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
  async #install(ready: Ready, snapshot: NonNullable<Ready['snapshot']>): Promise<void> {
    const { storage } = this.#options
    const staged = this.#staged
    this.#staged = undefined
    this.#installing = true
    try {
      if (staged === undefined) throw new Error('there is no content for it')
      await storage.stageSnapshot(snapshot)
      await staged.install()
      await storage.save({ hardState: ready.hardState, snapshot, entries: ready.entries })
    } catch (error) {
      this.#installing = false
      this.#fatal(
        new Error(`cannot install snapshot ${snapshot.index}: ${asError(error).message}`, { cause: error }),
      )
      return
    }
    this.#installing = false
    if (this.#stopped) return
    this.#appliedIndex = snapshot.index
    this.#guard(() => {
      this.#membershipChanged()
      this.#saves.push({ ready, saved: true })
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
    this.#options.transport.sendSnapshot(to, message, this.#options.stateMachine.snapshot()).then(
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

  #bestSuccessor(): MemberId | undefined {
    const followers = new Map(this.#core.followers)
    const candidates = this.#core.membership.members.filter(mayLead).flatMap(({ id }) => {
      const follower = followers.get(id)
      return follower === undefined ? [] : [{ id, score: follower.recentActive ? follower.match : -1 }]
    })
    candidates.sort((a, b) => b.score - a.score)
    return candidates[0]?.id
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

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error))
}
