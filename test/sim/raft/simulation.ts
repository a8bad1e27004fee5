import { encodeChange } from '../../../src/raft/core/index.js'
import { emptyLogState, type LogState } from '../../../src/raft/log/log-storage.js'
import type { MemberId } from '../../../src/raft/index.js'
import { seededRandom } from '../../lib/simulated-env.js'
import { SimulatedClients } from './clients.js'
import type { SimulationContext } from './context.js'
import { SimulatedMember } from './member.js'
import { Nemesis } from './nemesis.js'
import { SimulatedNetwork } from './network.js'
import { Chance, worldOf, type SimulationOptions, type SimulationResult, type World } from './options.js'
import { Oracle, Violation } from './oracle.js'
import { emptyMachine } from './register-machine.js'
import { SimulatedClock } from './simulated-clock.js'

export type { SimulationOptions, SimulationResult } from './options.js'

/** After the faults: time in which everything must work again. */
const CONVERGE_MS = 20_000

/** Turns of the microtask queue after an event that settled promises, before time moves on. */
const DRAIN_ROUNDS = 12

/**
 * A cluster of real drivers with simulated time, network and disks. Everything that happens follows from the
 * seed.
 */
export class Simulation implements SimulationContext {
  readonly options: SimulationOptions
  readonly chance: Chance
  readonly world: World
  readonly clock = new SimulatedClock()
  readonly oracle: Oracle
  readonly network: SimulatedNetwork
  readonly clients: SimulatedClients
  readonly members = new Map<MemberId, SimulatedMember>()
  readonly proposals = new Map<Uint8Array, { readonly by: string }>()
  readonly deferred: (() => void)[] = []
  readonly #nemesis: Nemesis
  #violation: Error | undefined
  /** The event under way settled promises; most do not, and waiting for nothing is most of the time. */
  #settling = false
  #hasFaults: boolean
  #nextMember = 1

  constructor(options: SimulationOptions) {
    this.options = options
    this.#hasFaults = options.quiet !== true
    this.chance = new Chance(seededRandom(options.seed))
    this.world = worldOf(this.chance, options)
    this.oracle = new Oracle(options.verbose ?? false)
    this.network = new SimulatedNetwork(this)
    this.clients = new SimulatedClients(this)
    this.#nemesis = new Nemesis(this, (isWitness) => this.#addMember(this.#newId(), emptyLogState, isWitness))
  }

  /** @throws {Violation} if a rule was broken, or the cluster did not recover. */
  async run(): Promise<SimulationResult> {
    await this.start()
    const { chance, clients, world } = this
    this.#repeat(
      () => chance.between(10, 120),
      () => clients.writeSome(),
    )
    this.#repeat(
      () => chance.between(20, 200),
      () => clients.readSome(),
    )
    this.#repeat(
      () => chance.between(200, 900),
      () => clients.persistSome(),
    )
    this.#repeat(
      () => chance.between(world.nemesisMs / 2, world.nemesisMs * 2),
      () => {
        if (this.options.deadlyLeadership !== true) this.#nemesis.strike()
      },
    )
    await this.runUntil(this.options.faultsMs ?? 12_000)
    this.#hasFaults = false
    this.trace('heal')
    this.network.heal()
    await this.#converge()
    return { traceHash: this.oracle.traceHash, counts: this.oracle.counts }
  }

  /** Brings the first members up; nothing happens to them yet. */
  async start(): Promise<void> {
    const { servers, hasWitness } = this.world
    const ids = Array.from({ length: servers + (hasWitness ? 1 : 0) }, () => this.#newId())
    const entries = ids.map((id, i) => {
      const member = { id, kind: 'voter' as const, context: id }
      const added = i < servers ? member : { ...member, witness: true as const }
      const data = encodeChange({ type: 'add', member: added })
      return { index: i + 1, term: 1, kind: 'membership' as const, data }
    })
    const hardState = { term: 1, votedFor: undefined, commit: ids.length }
    if (hasWitness) this.oracle.counts.witnesses++
    for (const [i, id] of ids.entries())
      this.#addMember(id, { ...emptyLogState, hardState, entries }, i >= servers)
    for (const member of this.members.values()) await member.start()
  }

  get lines(): readonly string[] {
    return this.oracle.lines
  }

  // ---- What the parts share

  get hasFaults(): boolean {
    return this.#hasFaults
  }

  settling(): void {
    this.#settling = true
  }

  fail(error: unknown): void {
    this.#violation ??= error instanceof Error ? error : new Error(String(error))
  }

  watch(check: () => void): void {
    try {
      check()
    } catch (error) {
      this.fail(error)
      throw error
    }
  }

  trace(...values: readonly (string | number)[]): void {
    this.oracle.trace(this.clock.nowMs, ...values)
  }

  // ---- Time

  /** Until the faults end. */
  #repeat(delayMs: () => number, fn: () => void): void {
    this.clock.after(delayMs(), () => {
      if (!this.#hasFaults) return
      fn()
      this.#repeat(delayMs, fn)
    })
  }

  /** @throws the first violation. */
  async runUntil(untilMs: number): Promise<void> {
    while (this.clock.runNext(untilMs)) {
      this.#runDeferred()
      if (this.#settling || this.clients.readsWaiting > 0) await this.#drain()
      for (const member of this.members.values()) member.checkCommitted()
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

  #runDeferred(): void {
    for (let fn = this.deferred.shift(); fn !== undefined; fn = this.deferred.shift()) fn()
  }

  // ---- Members

  #newId(): MemberId {
    return `m${this.#nextMember++}`
  }

  #addMember(id: MemberId, log: LogState, isWitness: boolean): SimulatedMember {
    const member = new SimulatedMember(this, id, log, isWitness)
    this.members.set(id, member)
    return member
  }

  /** A leader, a write, and the same state everywhere: soon, and not only at the last moment. */
  async #converge(): Promise<void> {
    const { clock, oracle } = this
    const deadlineMs = clock.nowMs + CONVERGE_MS
    const { acknowledged } = oracle.counts
    let proposedBy: SimulatedMember | undefined
    for (;;) {
      await this.runUntil(clock.nowMs + 500)
      const leader = [...this.members.values()].find((member) => member.leads)
      if (leader !== undefined && leader !== proposedBy) {
        proposedBy = leader
        this.clients.write(leader)
      }
      const wrote = proposedBy !== undefined && oracle.counts.acknowledged > acknowledged
      const late = clock.nowMs > deadlineMs
      if (late && leader === undefined) throw new Violation('no leader after the faults ended')
      if (late && !wrote) throw new Violation('no write after the faults ended')
      if (leader?.driver === undefined || !wrote) continue
      const servers = leader.driver.membership.members.filter(({ witness }) => witness !== true)
      const states = servers.map(({ id }) => ({
        id,
        state: this.members.get(id)?.machine?.state ?? emptyMachine,
      }))
      const behind = states.some(({ state }) => state.appliedIndex < oracle.appliedTo)
      if (behind && !late) continue
      for (const { id, state } of states) oracle.onConverged(id, state)
      return
    }
  }
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
