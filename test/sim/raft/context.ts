import type { MemberId } from '../../../src/raft/index.js'
import type { SimulatedMember } from './member.js'
import type { SimulatedNetwork } from './network.js'
import type { Chance, SimulationOptions, World } from './options.js'
import type { Oracle } from './oracle.js'
import type { SimulatedClock } from './simulated-clock.js'

/** What the parts of a simulated cluster share. */
export interface SimulationContext {
  readonly options: SimulationOptions
  readonly world: World
  readonly chance: Chance
  readonly clock: SimulatedClock
  readonly oracle: Oracle
  readonly network: SimulatedNetwork
  readonly members: ReadonlyMap<MemberId, SimulatedMember>
  /** Proposals that wait for their acknowledgement, and the process that made them. */
  readonly proposals: Map<Uint8Array, { readonly by: string }>
  readonly deferred: (() => void)[]
  /** False once everything is to work again. */
  readonly hasFaults: boolean
  /** Promises settle because of the event under way. */
  settling(): void
  /** Ends the run with this error. */
  fail(error: unknown): void
  /** Runs a check; what it throws also ends the run. */
  watch(check: () => void): void
  trace(...values: readonly (string | number)[]): void
}
