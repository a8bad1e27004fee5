import type { MemberId, Message, MessageOf } from '../../../src/raft/index.js'
import type { SimulationContext } from './context.js'

/** Loses, delays, repeats and reorders what members say to each other, and parts them. */
export class SimulatedNetwork {
  readonly #sim: SimulationContext
  /** `a>b` when nothing of `a` comes to `b`. */
  readonly #blocked = new Set<string>()

  constructor(sim: SimulationContext) {
    this.#sim = sim
  }

  carry(from: MemberId, to: MemberId, messages: readonly Message[]): void {
    this.#carryOnce(from, to, messages)
    const { hasFaults, chance, world } = this.#sim
    if (hasFaults && chance.perMille(world.duplicatePerMille)) this.#carryOnce(from, to, messages)
  }

  deliverSnapshot(
    to: MemberId,
    message: MessageOf<'snapshot'>,
    pieces: readonly Uint8Array[],
  ): Promise<void> {
    const sim = this.#sim
    return new Promise((resolve, reject) => {
      const lost = this.#isLost(message.from, to)
      sim.clock.after(this.#latencyMs() * 3, () => {
        sim.settling()
        const driver = sim.members.get(to)?.driver
        if (driver === undefined || lost) {
          reject(new Error('connection lost'))
          return
        }
        sim.trace('snapshot', message.from, to, message.snapshot.index)
        sim.oracle.counts.snapshots++
        driver.receiveSnapshot(message, stream(pieces)).then(resolve, reject)
      })
    })
  }

  // ---- Faults

  block(from: MemberId, to: MemberId): void {
    this.#blocked.add(`${from}>${to}`)
  }

  heal(): void {
    this.#blocked.clear()
  }

  /** Cuts `id` off from all others, in both directions. */
  isolate(id: MemberId): void {
    for (const other of this.#sim.members.keys()) {
      this.block(other, id)
      this.block(id, other)
    }
    this.#sim.trace('isolate', id)
  }

  /** Two sides that do not hear each other, or of which only one hears the other. */
  part(): void {
    const { members, chance } = this.#sim
    this.heal()
    const ids = [...members.keys()]
    const side = new Map(ids.map((id) => [id, chance.below(2)]))
    const oneWay = chance.perMille(300)
    for (const a of ids) {
      for (const b of ids) {
        const apart = side.get(a) !== side.get(b)
        if (apart && (!oneWay || side.get(a) === 0)) this.block(a, b)
      }
    }
    this.#sim.trace('partition', [...this.#blocked].join())
  }

  #carryOnce(from: MemberId, to: MemberId, messages: readonly Message[]): void {
    if (this.#isLost(from, to)) return
    const sim = this.#sim
    sim.clock.after(this.#latencyMs(), () => {
      const driver = sim.members.get(to)?.driver
      if (driver === undefined) return
      for (const message of messages) sim.trace('deliver', from, to, message.type, message.term)
      driver.receive(messages)
    })
  }

  #isLost(from: MemberId, to: MemberId): boolean {
    const { hasFaults, chance, world } = this.#sim
    return this.#blocked.has(`${from}>${to}`) || (hasFaults && chance.perMille(world.lossPerMille))
  }

  #latencyMs(): number {
    const { hasFaults, chance, world } = this.#sim
    const slow = hasFaults && chance.perMille(20) ? chance.below(1500) : 0
    return 1 + chance.below(world.delayMs) + slow
  }
}

async function* stream(pieces: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  for (const piece of pieces) yield await Promise.resolve(piece)
}
