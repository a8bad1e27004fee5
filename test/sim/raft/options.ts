import type { Message } from '../../../src/raft/index.js'
import type { Rules } from '../../../src/raft/core/index.js'
import type { Oracle } from './oracle.js'

export interface SimulationOptions {
  readonly seed: number
  /** How long faults happen. */
  readonly faultsMs?: number
  readonly verbose?: boolean
  /** Two servers and a witness, whatever the seed says; else some seeds have a witness. */
  readonly twoAndWitness?: boolean
  /** Nothing goes wrong by itself: what happens is up to the test. */
  readonly quiet?: boolean
  // Deliberately broken parts, for the mutation tests.
  readonly rules?: Rules
  readonly witnessRules?: Rules
  /** Whose disk says "written" before it is. */
  readonly skipFsync?: 'all' | 'witness'
  /** Changes what the witness says. */
  readonly lie?: (message: Message) => Message
  /** Leaders die young and messages carry one entry: where commit rules are put to the test. */
  readonly deadlyLeadership?: boolean
}

export interface SimulationResult {
  readonly traceHash: number
  readonly counts: Oracle['counts']
}

/** Choices that follow from the seed. */
export class Chance {
  readonly #random: () => number

  /** @param random uniform in [0, 1). */
  constructor(random: () => number) {
    this.#random = random
  }

  below(bound: number): number {
    return Math.floor(this.#random() * bound)
  }

  between(low: number, high: number): number {
    return low + this.below(high - low)
  }

  perMille(chance: number): boolean {
    return this.below(1000) < chance
  }

  pick<T>(list: readonly T[]): T {
    const value = list[this.below(list.length)]
    if (value === undefined) throw new Error('nothing to pick from')
    return value
  }
}

/** What kind of world a seed lives in. */
export interface World {
  readonly servers: number
  readonly hasWitness: boolean
  readonly lossPerMille: number
  readonly duplicatePerMille: number
  readonly delayMs: number
  readonly syncMs: number
  readonly keepEntries: number
  readonly nemesisMs: number
  readonly awkwardPerMille: number
  /** Clocks run up to so many per cent fast or slow, another rate after each start. */
  readonly skewPercent: number
}

export function worldOf(chance: Chance, options: SimulationOptions): World {
  const deadly = options.deadlyLeadership === true
  const servers = deadly ? 5 : chance.pick([1, 2, 2, 3, 3, 3, 5, 5])
  const isWitnessed = chance.perMille(servers === 2 ? 700 : 200) && !deadly
  return {
    servers: options.twoAndWitness === true ? 2 : servers,
    hasWitness: options.twoAndWitness === true || isWitnessed,
    lossPerMille: deadly ? 20 : chance.pick([0, 10, 50, 150]),
    duplicatePerMille: chance.pick([0, 20, 100]),
    delayMs: deadly ? 30 : chance.pick([2, 20, 60]),
    syncMs: chance.pick([1, 5, 40]),
    keepEntries: chance.pick([0, 3, 20]),
    nemesisMs: chance.pick([300, 800, 2000]),
    awkwardPerMille: deadly ? 0 : chance.pick([0, 0, 2, 8]),
    skewPercent: chance.pick([5, 15, 40]),
  }
}
