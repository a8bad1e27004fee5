import {
  NotLeaderError,
  RaftDriver,
  type MemberId,
  type Message,
  type MessageOf,
  type Transport,
} from '../../../src/raft/index.js'
import { encodeChange, type Rules } from '../../../src/raft/core/index.js'
import { emptyLogState, type LogState } from '../../../src/raft/log/log-storage.js'
import { seededRandom } from '../../lib/simulated-env.js'
import { Oracle, Violation } from './oracle.js'
import { emptyMachine, RegisterMachine } from './register-machine.js'
import { SimulatedClock } from './simulated-clock.js'
import { DiskLog, SimulatedDisk } from './simulated-disk.js'

export interface SimulationOptions {
  readonly seed: number
  /** How long faults happen. */
  readonly faultsMs?: number
  readonly verbose?: boolean
  /** Deliberately broken parts, for the mutation tests. */
  readonly rules?: Rules
  readonly skipFsync?: boolean
  /** Leaders die young and messages carry one entry: where commit rules are put to the test. */
  readonly deadlyLeadership?: boolean
}

export interface SimulationResult {
  readonly traceHash: number
  readonly counts: Oracle['counts']
}

/** After the faults: time in which everything must work again. */
const CONVERGE_MS = 20_000

/** Turns of the microtask queue after an event that settled promises, before time moves on. */
const DRAIN_ROUNDS = 12

interface Member {
  readonly id: MemberId
  readonly disk: SimulatedDisk
  readonly clockRate: number
  driver: RaftDriver | undefined
  machine: RegisterMachine | undefined
  log: DiskLog | undefined
  checkedIndex: number
  /** Counts starts and crashes: what an earlier process left behind has no effect. */
  generation: number
  /** Was taken out of the cluster for good. */
  retired: boolean
}

/**
 * A cluster of real drivers with simulated time, network and disks. Everything that happens follows from the
 * seed.
 */
export class Simulation {
  readonly #options: SimulationOptions
  readonly #random: () => number
  readonly #clock = new SimulatedClock()
  readonly #oracle: Oracle
  readonly #members = new Map<MemberId, Member>()
  readonly #blocked = new Set<string>()
  readonly #proposals = new Map<Uint8Array, { readonly by: string }>()
  readonly #deferred: (() => void)[] = []
  #violation: Error | undefined
  /** The event under way settled promises; most do not, and waiting for nothing is most of the time. */
  #settling = false
  #readsWaiting = 0
  #faults = true
  #nextValue = 1
  #nextMember = 1

  // What kind of world this seed lives in.
  readonly #lossPerMille: number
  readonly #duplicatePerMille: number
  readonly #delayMs: number
  readonly #syncMs: number
  readonly #keepEntries: number
  readonly #nemesisMs: number
  readonly #awkwardPerMille: number

  constructor(options: SimulationOptions) {
    this.#options = options
    this.#random = seededRandom(options.seed)
    this.#oracle = new Oracle(options.verbose ?? false)
    const deadly = options.deadlyLeadership === true
    this.#lossPerMille = deadly ? 20 : this.#pick([0, 10, 50, 150])
    this.#duplicatePerMille = this.#pick([0, 20, 100])
    this.#delayMs = deadly ? 30 : this.#pick([2, 20, 60])
    this.#syncMs = this.#pick([1, 5, 40])
    this.#keepEntries = this.#pick([0, 3, 20])
    this.#nemesisMs = this.#pick([300, 800, 2000])
    this.#awkwardPerMille = deadly ? 0 : this.#pick([0, 0, 2, 8])
  }

  /** @throws {Violation} if a rule was broken, or the cluster did not recover. */
  async run(): Promise<SimulationResult> {
    const count = this.#options.deadlyLeadership === true ? 5 : this.#pick([1, 2, 3, 3, 3, 5, 5])
    await this.#startCluster(count)
    this.#repeat(
      () => this.#between(10, 120),
      () => this.#writeSome(),
    )
    this.#repeat(
      () => this.#between(20, 200),
      () => this.#readSome(),
    )
    this.#repeat(
      () => this.#between(200, 900),
      () => this.#persistSome(),
    )
    this.#repeat(
      () => this.#between(this.#nemesisMs / 2, this.#nemesisMs * 2),
      () => this.#nemesis(),
    )
    await this.#runUntil(this.#options.faultsMs ?? 12_000)
    this.#faults = false
    this.#heal()
    await this.#converge()
    return { traceHash: this.#oracle.traceHash, counts: this.#oracle.counts }
  }

  get lines(): readonly string[] {
    return this.#oracle.lines
  }

  // ---- Chance

  #below(bound: number): number {
    return Math.floor(this.#random() * bound)
  }

  #between(low: number, high: number): number {
    return low + this.#below(high - low)
  }

  #chance(perMille: number): boolean {
    return this.#below(1000) < perMille
  }

  #pick<T>(list: readonly T[]): T {
    const value = list[this.#below(list.length)]
    if (value === undefined) throw new Error('nothing to pick from')
    return value
  }

  // ---- Time

  #repeat(delayMs: () => number, fn: () => void): void {
    this.#clock.after(delayMs(), () => {
      if (!this.#faults) return
      fn()
      this.#repeat(delayMs, fn)
    })
  }

  async #runUntil(untilMs: number): Promise<void> {
    while (this.#clock.runNext(untilMs)) {
      this.#runDeferred()
      if (this.#settling || this.#readsWaiting > 0) await this.#drain()
      this.#checkCommitted()
      if (this.#violation !== undefined) throw this.#violation
    }
  }

  /** Lets everything happen that follows at once from the last event. */
  async #drain(): Promise<void> {
    this.#settling = false
    for (let round = 0; round < DRAIN_ROUNDS; round++) {
      await Promise.resolve()
      this.#runDeferred()
    }
  }

  #checkCommitted(): void {
    for (const member of this.#members.values()) {
      const { driver, log, checkedIndex } = member
      if (driver === undefined || log === undefined || driver.appliedIndex === checkedIndex) continue
      member.checkedIndex = driver.appliedIndex
      this.#oracle.onCommitted(member.id, log.view, checkedIndex, driver.appliedIndex)
    }
  }

  #runDeferred(): void {
    for (let fn = this.#deferred.shift(); fn !== undefined; fn = this.#deferred.shift()) fn()
  }

  #fail(error: unknown): void {
    this.#violation ??= error instanceof Error ? error : new Error(String(error))
  }

  #watch(fn: () => void): void {
    try {
      fn()
    } catch (error) {
      this.#fail(error)
      throw error
    }
  }

  // ---- Members

  async #startCluster(count: number): Promise<void> {
    const ids = Array.from({ length: count }, () => this.#newId())
    const entries = ids.map((id, i) => ({
      index: i + 1,
      term: 1,
      kind: 'membership' as const,
      data: encodeChange({ type: 'add', member: { id, kind: 'voter', context: id } }),
    }))
    const hardState = { term: 1, votedFor: undefined, commit: count }
    for (const id of ids) this.#addMember(id, { ...emptyLogState, hardState, entries })
    for (const id of ids) await this.#start(this.#member(id))
  }

  #newId(): MemberId {
    return `m${this.#nextMember++}`
  }

  #addMember(id: MemberId, log: LogState): Member {
    const disk = new SimulatedDisk(
      this.#clock,
      { log, machine: emptyMachine },
      {
        syncMs: () => this.#between(1, this.#syncMs + 1) + (this.#faults && this.#chance(5) ? 500 : 0),
        fails: () => this.#faults && this.#chance(1),
        skipFsync: this.#options.skipFsync ?? false,
        onSettle: () => (this.#settling = true),
      },
    )
    const member: Member = {
      id,
      disk,
      clockRate: this.#between(85, 116) / 100,
      driver: undefined,
      machine: undefined,
      log: undefined,
      checkedIndex: 0,
      generation: 0,
      retired: false,
    }
    this.#members.set(id, member)
    return member
  }

  #member(id: MemberId): Member {
    const member = this.#members.get(id)
    if (member === undefined) throw new Error(`no member ${id}`)
    return member
  }

  async #start(member: Member): Promise<void> {
    if (member.retired || member.machine !== undefined) return
    this.#settling = true
    const generation = ++member.generation
    const alive = () => member.generation === generation
    const log = new DiskLog(member.disk, (before, after, batch) =>
      this.#watch(() => this.#oracle.onSave(before, after, batch)),
    )
    const machine = new RegisterMachine({
      initial: member.disk.durable.machine,
      persist: (state) => member.disk.write((disk) => ({ ...disk, machine: state })),
      onApply: (state, index, term, data) => {
        this.#trace('apply', member.id, index, term)
        this.#watch(() => this.#oracle.onApply(member.id, state, index))
        if (this.#proposals.get(data)?.by !== `${member.id}/${generation}`) return
        this.#proposals.delete(data)
        this.#oracle.onAcknowledge(index)
      },
      chunkBytes: 64,
    })
    member.machine = machine
    member.log = log
    member.checkedIndex = 0
    const options = {
      id: member.id,
      storage: log,
      stateMachine: machine,
      transport: this.#transport(member, log, alive),
      onFatal: (error: Error) => {
        if (!/disk failed/.test(error.message)) this.#fail(error)
        this.#oracle.counts.diskFailures++
        this.#crash(member)
      },
      logEntriesForSlowFollowers: this.#keepEntries,
      defer: (fn: () => void) => void this.#deferred.push(fn),
      ...(this.#options.deadlyLeadership === true ? { maxMessageBytes: 1 } : {}),
      ...(this.#options.rules === undefined ? {} : { rules: this.#deadlyRules(member, this.#options.rules) }),
    }
    const env = this.#clock.env((bound) => this.#below(bound), member.clockRate)
    this.#trace('start', member.id)
    try {
      const driver = await RaftDriver.start(env, options)
      if (alive()) member.driver = driver
      else await this.#abandon(driver)
    } catch (error) {
      this.#fail(error)
    }
  }

  /** Stops the process without waiting for its disk, which will never answer it again. */
  #abandon(driver: RaftDriver): Promise<void> {
    void driver.stop()
    return Promise.resolve()
  }

  #crash(member: Member): void {
    if (member.machine === undefined) return
    this.#trace('crash', member.id)
    this.#oracle.counts.crashes++
    member.generation++
    const { driver } = member
    member.driver = undefined
    member.machine = undefined
    member.log = undefined
    member.disk.crash((count) => this.#below(count + 1))
    if (driver !== undefined) void this.#abandon(driver)
    const deadly = this.#options.deadlyLeadership === true
    const downMs = this.#between(deadly ? 1500 : 20, deadly || this.#chance(500) ? 4000 : 200)
    this.#clock.after(downMs, () => void this.#start(member))
  }

  /** In a deadly world a new leader reaches only some of the others, and does not live long. */
  #onNewLeader(member: Member): void {
    if (!this.#faults || this.#options.deadlyLeadership !== true) return
    this.#blocked.clear()
    for (const id of this.#members.keys()) if (this.#chance(600)) this.#blocked.add(`${member.id}>${id}`)
    this.#crashAfter(member, this.#below(300))
  }

  /** Right after a promise to others is the moment to forget it. */
  #crashAwkwardly(member: Member, messages: readonly Message[]): void {
    if (!this.#faults) return
    const isVote = messages.some((message) => message.type === 'voteReply' && message.granted)
    if (this.#chance(isVote ? this.#awkwardPerMille * 20 : this.#awkwardPerMille)) {
      this.#crashAfter(member, this.#below(3))
    }
  }

  /** What a leader commits by counting may be replaced as long as nothing of its own term follows: strike. */
  #deadlyRules(member: Member, rules: Rules): Rules {
    return {
      ...rules,
      mayCommit: (entryTerm, leaderTerm) => {
        const commits = rules.mayCommit(entryTerm, leaderTerm)
        if (commits && entryTerm !== leaderTerm && this.#faults) {
          for (const id of this.#members.keys()) this.#blocked.add(`${member.id}>${id}`)
          this.#crashAfter(member, this.#below(10))
        }
        return commits
      },
    }
  }

  #crashAfter(member: Member, delayMs: number): void {
    const { generation } = member
    this.#clock.after(delayMs, () => {
      if (member.generation !== generation || !this.#faults) return
      if (this.#options.deadlyLeadership === true) this.#blocked.clear()
      this.#crash(member)
    })
  }

  // ---- Network

  #transport(member: Member, log: DiskLog, alive: () => boolean): Transport {
    return {
      send: (to, messages) => {
        if (!alive()) return
        const leaders = this.#oracle.counts.leaders
        for (const message of messages) this.#watch(() => this.#oracle.onSend(message, log.view))
        if (this.#oracle.counts.leaders > leaders) this.#onNewLeader(member)
        this.#crashAwkwardly(member, messages)
        this.#carry(member.id, to, messages)
        if (this.#faults && this.#chance(this.#duplicatePerMille)) this.#carry(member.id, to, messages)
      },
      sendSnapshot: async (to, message, content) => {
        this.#settling = true
        this.#watch(() => this.#oracle.onSend(message, log.view))
        const pieces: Uint8Array[] = []
        for await (const piece of content) pieces.push(piece)
        await this.#deliverSnapshot(to, message, pieces)
        if (!alive()) throw new Error('sender is gone')
      },
      updateMembers: () => undefined,
    }
  }

  #isLost(from: MemberId, to: MemberId): boolean {
    return this.#faults && (this.#blocked.has(`${from}>${to}`) || this.#chance(this.#lossPerMille))
  }

  #latencyMs(): number {
    const slow = this.#faults && this.#chance(20) ? this.#below(1500) : 0
    return 1 + this.#below(this.#delayMs) + slow
  }

  #carry(from: MemberId, to: MemberId, messages: readonly Message[]): void {
    if (this.#isLost(from, to)) return
    this.#clock.after(this.#latencyMs(), () => {
      const { driver } = this.#member(to)
      if (driver === undefined) return
      for (const message of messages) this.#trace('deliver', from, to, message.type, message.term)
      driver.receive(messages)
    })
  }

  #deliverSnapshot(
    to: MemberId,
    message: MessageOf<'snapshot'>,
    pieces: readonly Uint8Array[],
  ): Promise<void> {
    return new Promise((resolve, reject) => {
      const lost = this.#isLost(message.from, to)
      this.#clock.after(this.#latencyMs() * 3, () => {
        this.#settling = true
        const { driver } = this.#member(to)
        if (driver === undefined || lost) {
          reject(new Error('connection lost'))
          return
        }
        this.#trace('snapshot', message.from, to, message.snapshot.index)
        this.#oracle.counts.snapshots++
        driver.receiveSnapshot(message, stream(pieces)).then(resolve, reject)
      })
    })
  }

  // ---- Clients

  #running(): Member[] {
    return [...this.#members.values()].filter((member) => member.driver !== undefined)
  }

  #writeSome(): void {
    for (const member of this.#running()) {
      if (member.driver?.leadership.isLeader !== true && !this.#chance(50)) continue
      for (let i = this.#below(4); i > 0; i--) this.#write(member)
    }
  }

  #write(member: Member): void {
    const value = `v${this.#nextValue++}`
    const data = Buffer.from(JSON.stringify({ register: `r${this.#below(5)}`, value }))
    try {
      const index = member.driver?.propose(data)
      if (index === undefined) return
      this.#trace('propose', member.id, index)
      this.#proposals.set(data, { by: `${member.id}/${member.generation}` })
    } catch (error) {
      if (!(error instanceof NotLeaderError)) throw error
    }
  }

  #readSome(): void {
    const members = this.#running()
    if (members.length === 0) return
    const member = this.#pick(members)
    const { driver, generation } = member
    const floor = this.#oracle.observedIndex
    this.#readsWaiting++
    driver?.readIndex().then(
      () => {
        this.#readsWaiting--
        if (member.generation !== generation) return
        this.#trace('read', member.id, driver.appliedIndex)
        this.#watch(() => this.#oracle.onRead(member.id, driver.appliedIndex, floor))
      },
      () => {
        this.#readsWaiting--
        this.#trace('read failed', member.id)
      },
    )
  }

  #persistSome(): void {
    for (const member of this.#running()) {
      const { driver, machine } = member
      if (this.#chance(500)) continue
      machine
        ?.persist()
        .then((index) => {
          const start = driver?.status().startIndex
          const compacted = driver?.compactTo(index)
          if (driver?.status().startIndex !== start) this.#oracle.counts.compactions++
          return compacted
        })
        .catch((error: unknown) => this.#trace('persist failed', member.id, String(error)))
    }
  }

  // ---- Faults

  #nemesis(): void {
    if (this.#options.deadlyLeadership === true) return
    const running = this.#running()
    const leader = running.find((member) => member.driver?.leadership.isLeader === true)
    switch (this.#below(10)) {
      case 0:
      case 1:
        if (running.length > 0) this.#crash(this.#pick(running))
        return
      case 2:
        if (leader !== undefined) this.#crash(leader)
        return
      case 3:
        if (this.#chance(300)) for (const member of running) this.#crash(member)
        return
      case 4:
        this.#partition()
        return
      case 5:
        this.#blocked.clear()
        return
      case 6:
        if (leader !== undefined) this.#isolate(leader)
        return
      case 7:
        if (leader?.driver !== undefined) this.#transfer(leader.driver)
        return
      default:
        if (leader?.driver === undefined) return
        this.#changeMembers(leader.driver)
        // A second change before the first is committed must be refused.
        if (this.#chance(300)) this.#changeMembers(leader.driver)
    }
  }

  #partition(): void {
    this.#blocked.clear()
    const ids = [...this.#members.keys()]
    const side = new Map(ids.map((id) => [id, this.#below(2)]))
    const oneWay = this.#chance(300)
    for (const a of ids) {
      for (const b of ids) {
        const apart = side.get(a) !== side.get(b)
        if (apart && (!oneWay || side.get(a) === 0)) this.#blocked.add(`${a}>${b}`)
      }
    }
    this.#trace('partition', [...this.#blocked].join())
  }

  #isolate(member: Member): void {
    for (const id of this.#members.keys()) {
      this.#blocked.add(`${id}>${member.id}`)
      this.#blocked.add(`${member.id}>${id}`)
    }
    this.#trace('isolate', member.id)
  }

  #transfer(driver: RaftDriver): void {
    const voters = driver.membership.members.filter((member) => member.kind === 'voter')
    const target = this.#chance(500) ? this.#pick(voters).id : undefined
    driver.transferLeadership(target).then(
      () => this.#oracle.counts.transfers++,
      () => undefined,
    )
  }

  #changeMembers(driver: RaftDriver): void {
    const { members } = driver.membership
    const learner = members.find((member) => member.kind === 'learner')
    const voters = members.filter((member) => member.kind === 'voter')
    const done = (what: string, id: MemberId) => {
      this.#trace(what, id)
      this.#oracle.counts.changes++
    }
    if (learner !== undefined && this.#chance(700)) {
      driver.promoteMember(learner.id).then(
        () => done('promoted', learner.id),
        () => undefined,
      )
    } else if (members.length < 6 && this.#chance(voters.length < 4 ? 700 : 300)) {
      const added = this.#addMember(this.#newId(), emptyLogState)
      driver.addMember(added.id, added.id).then(
        () => done('added', added.id),
        () => undefined,
      )
      this.#clock.after(this.#below(500), () => void this.#start(added))
    } else if (voters.length > 2) {
      const { id } = this.#pick(members)
      driver.removeMember(id).then(
        () => {
          done('removed', id)
          this.#clock.after(this.#below(3000), () => this.#retire(this.#member(id)))
        },
        () => undefined,
      )
    }
  }

  #retire(member: Member): void {
    member.retired = true
    this.#crash(member)
  }

  // ---- The end

  #heal(): void {
    this.#trace('heal')
    this.#blocked.clear()
  }

  /** A leader, a write, and the same state everywhere: soon, and not only at the last moment. */
  async #converge(): Promise<void> {
    const deadlineMs = this.#clock.nowMs + CONVERGE_MS
    const acknowledged = this.#oracle.counts.acknowledged
    let proposedBy: Member | undefined
    for (;;) {
      await this.#runUntil(this.#clock.nowMs + 500)
      const leader = this.#running().find((member) => member.driver?.leadership.isLeader === true)
      if (leader !== undefined && leader !== proposedBy) {
        proposedBy = leader
        this.#write(leader)
      }
      const wrote = proposedBy !== undefined && this.#oracle.counts.acknowledged > acknowledged
      const late = this.#clock.nowMs > deadlineMs
      if (late && leader === undefined) throw new Violation('no leader after the faults ended')
      if (late && !wrote) throw new Violation('no write after the faults ended')
      if (leader?.driver === undefined || !wrote) continue
      const { members } = leader.driver.membership
      const machines = members.map(({ id }) => this.#member(id).machine)
      const behind = machines.some((machine) => (machine?.state.appliedIndex ?? 0) < this.#oracle.appliedTo)
      if (behind && !late) continue
      for (const [i, { id }] of members.entries()) {
        this.#oracle.onConverged(id, machines[i]?.state ?? emptyMachine)
      }
      return
    }
  }

  #trace(...values: readonly (string | number)[]): void {
    this.#oracle.trace(this.#clock.nowMs, ...values)
  }
}

async function* stream(pieces: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  for (const piece of pieces) yield await Promise.resolve(piece)
}

/** Runs a seed; on a failure runs it once more to show what led to it. */
export async function simulate(options: SimulationOptions): Promise<SimulationResult> {
  try {
    return await new Simulation(options).run()
  } catch (error) {
    const again = new Simulation({ ...options, verbose: true })
    const lines = await again.run().then(
      () => ['(the second run of the seed did not fail: the simulation is not deterministic)'],
      () => again.lines.slice(-80),
    )
    const reason = error instanceof Error ? error.message : String(error)
    throw new Violation(`seed ${options.seed}: ${reason}\n${lines.join('\n')}`, { cause: error })
  }
}
