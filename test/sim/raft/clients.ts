import { NotLeaderError } from '../../../src/raft/index.js'
import type { SimulationContext } from './context.js'
import type { SimulatedMember } from './member.js'

/** Writes and reads anywhere, and states that are persisted now and then. */
export class SimulatedClients {
  readonly #sim: SimulationContext
  #nextValue = 1
  #readsWaiting = 0

  constructor(sim: SimulationContext) {
    this.#sim = sim
  }

  get readsWaiting(): number {
    return this.#readsWaiting
  }

  writeSome(): void {
    const { chance } = this.#sim
    for (const member of this.#servers()) {
      if (!member.leads && !chance.perMille(50)) continue
      for (let i = chance.below(4); i > 0; i--) this.write(member)
    }
  }

  /** One write there, if that member leads. */
  write(member: SimulatedMember): void {
    const value = `v${this.#nextValue++}`
    const data = Buffer.from(JSON.stringify({ register: `r${this.#sim.chance.below(5)}`, value }))
    try {
      const index = member.driver?.propose(data)
      if (index === undefined) return
      this.#sim.trace('propose', member.id, index)
      this.#sim.proposals.set(data, { by: member.process })
    } catch (error) {
      if (!(error instanceof NotLeaderError)) throw error
    }
  }

  readSome(): void {
    const servers = this.#servers()
    if (servers.length === 0) return
    const { chance, oracle } = this.#sim
    const member = chance.pick(servers)
    const { driver, process } = member
    const floor = oracle.observedIndex
    this.#readsWaiting++
    driver?.readIndex().then(
      () => {
        this.#readsWaiting--
        if (member.process !== process) return
        this.#sim.trace('read', member.id, driver.appliedIndex)
        this.#sim.watch(() => oracle.onRead(member.id, driver.appliedIndex, floor))
      },
      () => {
        this.#readsWaiting--
        this.#sim.trace('read failed', member.id)
      },
    )
  }

  persistSome(): void {
    const { chance, oracle } = this.#sim
    for (const member of this.#servers()) {
      const { driver, machine } = member
      if (chance.perMille(500)) continue
      machine
        ?.persist()
        .then((index) => {
          const start = driver?.status().startIndex
          const compacted = driver?.compactTo(index)
          if (driver?.status().startIndex !== start) oracle.counts.compactions++
          return compacted
        })
        .catch((error: unknown) => this.#sim.trace('persist failed', member.id, String(error)))
    }
  }

  /** Nobody asks a witness. */
  #servers(): SimulatedMember[] {
    return [...this.#sim.members.values()].filter(
      (member) => member.driver !== undefined && !member.isWitness,
    )
  }
}
