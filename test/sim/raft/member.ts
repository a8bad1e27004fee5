import {
  RaftDriver,
  startWitness,
  type LogState,
  type MemberId,
  type Message,
  type StateMachine,
  type Transport,
} from '../../../src/raft/index.js'
import type { Rules } from '../../../src/raft/core/index.js'
import type { SimulationContext } from './context.js'
import { emptyMachine, RegisterMachine } from './register-machine.js'
import { DiskLog, SimulatedDisk } from './simulated-disk.js'

/** A host: its disk stays, the process on it comes and goes. */
export class SimulatedMember {
  readonly id: MemberId
  readonly isWitness: boolean
  readonly #sim: SimulationContext
  readonly #disk: SimulatedDisk
  #driver: RaftDriver | undefined
  #machine: RegisterMachine | undefined
  #log: DiskLog | undefined
  #checkedIndex = 0
  /** Counts starts and crashes: what an earlier process left behind has no effect. */
  #generation = 0
  #isUp = false
  #isRetired = false

  constructor(sim: SimulationContext, id: MemberId, log: LogState, isWitness: boolean) {
    this.#sim = sim
    this.id = id
    this.isWitness = isWitness
    const { chance, world, options } = sim
    this.#disk = new SimulatedDisk(
      sim.clock,
      { log, machine: emptyMachine },
      {
        syncMs: () => chance.between(1, world.syncMs + 1) + (sim.hasFaults && chance.perMille(5) ? 500 : 0),
        fails: () => sim.hasFaults && chance.perMille(1),
        skipFsync: options.skipFsync === 'all' || (options.skipFsync === 'witness' && isWitness),
        onSettle: () => sim.settling(),
      },
    )
  }

  /** Undefined while no process runs, or it has not read its log yet. */
  get driver(): RaftDriver | undefined {
    return this.#driver
  }

  get machine(): RegisterMachine | undefined {
    return this.#machine
  }

  get leads(): boolean {
    return this.#driver?.leadership.isLeader === true
  }

  /** Names the process that runs now. */
  get process(): string {
    return `${this.id}/${this.#generation}`
  }

  async start(): Promise<void> {
    if (this.#isRetired || this.#isUp) return
    const sim = this.#sim
    sim.settling()
    this.#isUp = true
    const generation = ++this.#generation
    const alive = () => this.#generation === generation
    const log = new DiskLog(this.#disk, (before, after, batch) =>
      sim.watch(() => sim.oracle.onSave(before, after, batch, this.isWitness)),
    )
    this.#log = log
    this.#checkedIndex = 0
    const { skewPercent } = sim.world
    const rate = sim.chance.between(100 - skewPercent, 101 + skewPercent) / 100
    sim.trace('start', this.id, rate)
    try {
      const driver = await this.#startDriver(rate, log, alive)
      if (alive()) this.#driver = driver
      else void driver.stop()
    } catch (error) {
      this.#failed(error instanceof Error ? error : new Error(String(error)))
    }
  }

  /** A process ends when its disk fails, and for no other reason. */
  #failed(error: Error): void {
    if (!/disk failed/.test(error.message)) this.#sim.fail(error)
    this.#sim.oracle.counts.diskFailures++
    this.crash()
  }

  /** Power loss, until the next `start`. */
  powerOff(): void {
    if (!this.#isUp) return
    this.#sim.trace('crash', this.id)
    this.#sim.oracle.counts.crashes++
    this.#end()
  }

  /** Power loss; the host comes back by itself. */
  crash(): void {
    if (!this.#isUp) return
    const { chance, options, clock } = this.#sim
    this.powerOff()
    const deadly = options.deadlyLeadership === true
    const downMs = chance.between(deadly ? 1500 : 20, deadly || chance.perMille(500) ? 4000 : 200)
    clock.after(downMs, () => void this.start())
  }

  /** A crash a little later, unless something else happens to the process first. */
  crashAfter(delayMs: number): void {
    const { process } = this
    this.#sim.clock.after(delayMs, () => {
      if (this.process !== process || !this.#sim.hasFaults) return
      if (this.#sim.options.deadlyLeadership === true) this.#sim.network.heal()
      this.crash()
    })
  }

  /** Gone for good. */
  retire(): void {
    this.#isRetired = true
    this.powerOff()
  }

  /** Shows the oracle what was committed here since the last call. */
  checkCommitted(): void {
    const driver = this.#driver
    const log = this.#log
    if (driver === undefined || log === undefined || driver.appliedIndex === this.#checkedIndex) return
    const before = this.#checkedIndex
    this.#checkedIndex = driver.appliedIndex
    this.#sim.oracle.onCommitted(this.id, log.view, before, driver.appliedIndex)
  }

  /** The disk will never answer this process again. */
  #end(): void {
    this.#generation++
    this.#isUp = false
    const driver = this.#driver
    this.#driver = undefined
    this.#machine = undefined
    this.#log = undefined
    this.#disk.crash((count) => this.#sim.chance.below(count + 1))
    if (driver !== undefined) void driver.stop()
  }

  #startDriver(rate: number, log: DiskLog, alive: () => boolean): Promise<RaftDriver> {
    const sim = this.#sim
    const { options, world, clock, chance } = sim
    const env = clock.env((bound) => chance.below(bound), rate)
    const rules = this.isWitness ? (options.witnessRules ?? options.rules) : options.rules
    const common = {
      id: this.id,
      storage: log,
      transport: this.#transport(log, alive),
      onFatal: (error: Error) => this.#failed(error),
      defer: (fn: () => void) => void sim.deferred.push(fn),
      ...(options.deadlyLeadership === true ? { maxMessageBytes: 1 } : {}),
      ...(rules === undefined ? {} : { rules: this.#deadlyRules(rules) }),
    }
    if (this.isWitness) return startWitness(env, common)
    this.#machine = this.#newMachine()
    const stateMachine: StateMachine = this.#machine
    return RaftDriver.start(env, {
      ...common,
      stateMachine,
      logEntriesForSlowFollowers: world.keepEntries,
    })
  }

  #newMachine(): RegisterMachine {
    const sim = this.#sim
    const { process } = this
    return new RegisterMachine({
      initial: this.#disk.durable.machine,
      persist: (state) => this.#disk.write((disk) => ({ ...disk, machine: state })),
      onApply: (state, index, term, data) => {
        sim.trace('apply', this.id, index, term)
        sim.watch(() => sim.oracle.onApply(this.id, state, index))
        if (sim.proposals.get(data)?.by !== process) return
        sim.proposals.delete(data)
        sim.oracle.onAcknowledge(index)
      },
      chunkBytes: 64,
    })
  }

  #transport(log: DiskLog, alive: () => boolean): Transport {
    const sim = this.#sim
    const { oracle, network } = sim
    const lie = this.isWitness ? sim.options.lie : undefined
    return {
      send: (to, honest) => {
        if (!alive()) return
        const messages = lie === undefined ? honest : honest.map(lie)
        const { leaders } = oracle.counts
        for (const message of messages) sim.watch(() => oracle.onSend(message, log.view, this.isWitness))
        if (oracle.counts.leaders > leaders) this.#onLeading()
        this.#crashAwkwardly(messages)
        network.carry(this.id, to, messages)
      },
      sendSnapshot: async (to, message, content) => {
        sim.settling()
        sim.watch(() => oracle.onSend(message, log.view, this.isWitness))
        const pieces: Uint8Array[] = []
        for await (const piece of content) pieces.push(piece)
        await network.deliverSnapshot(to, message, pieces)
        if (!alive()) throw new Error('sender is gone')
      },
      updateMembers: () => undefined,
    }
  }

  /** In a deadly world a new leader reaches only some of the others, and does not live long. */
  #onLeading(): void {
    const { hasFaults, options, network, members, chance } = this.#sim
    if (!hasFaults || options.deadlyLeadership !== true) return
    network.heal()
    for (const id of members.keys()) if (chance.perMille(600)) network.block(this.id, id)
    this.crashAfter(chance.below(300))
  }

  /** Right after a promise to others is the moment to forget it. */
  #crashAwkwardly(messages: readonly Message[]): void {
    const { hasFaults, world, chance } = this.#sim
    if (!hasFaults) return
    const isVote = messages.some((message) => message.type === 'voteReply' && message.granted)
    if (chance.perMille(isVote ? world.awkwardPerMille * 20 : world.awkwardPerMille)) {
      this.crashAfter(chance.below(3))
    }
  }

  /** What a leader commits by counting may be replaced as long as nothing of its own term follows: strike. */
  #deadlyRules(rules: Rules): Rules {
    const { network, chance, members } = this.#sim
    return {
      ...rules,
      mayCommit: (entryTerm, leaderTerm) => {
        const commits = rules.mayCommit(entryTerm, leaderTerm)
        if (commits && entryTerm !== leaderTerm && this.#sim.hasFaults) {
          for (const id of members.keys()) network.block(this.id, id)
          this.crashAfter(chance.below(10))
        }
        return commits
      },
    }
  }
}
