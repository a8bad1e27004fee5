import type { Env } from '../env/env.js'
import { clusterError, isPassing, type SwarmError } from '../model/errors.js'
import { defaultClusterPort, formatHostPort, parseHostPort, type HostPort } from './addresses.js'

export interface RemoteManager {
  readonly nodeId: string
  /** `10.0.0.1:2377`. */
  readonly addr: string
}

/** A manager as a session tells of it: of two, the one with twice the weight gets twice the sessions. */
export interface WeightedManager extends RemoteManager {
  readonly weight?: number
}

const defaultWeight = 10
/** A manager that failed is asked that much less often, for so long: others should get the sessions. */
const failedDivisor = 64
const failedForMs = 30_000

/**
 * The managers that this node knows of, and whom of them to ask next: any, so that the nodes spread over them.
 * Behaviour: moby/swarmkit remotes/remotes.go, with failures that are forgotten after a while.
 */
export class Remotes {
  readonly #env: Env
  #managers: readonly RemoteManager[] = []
  #weights: ReadonlyMap<string, number> = new Map()
  /** By address, until when. Monotonic. */
  readonly #failed = new Map<string, number>()

  constructor(env: Env, managers: readonly WeightedManager[]) {
    this.#env = env
    this.learn(managers)
  }

  get managers(): readonly RemoteManager[] {
    return this.#managers
  }

  /** @returns whether there are other managers, or other addresses, than before. */
  learn(managers: readonly WeightedManager[]): boolean {
    if (managers.length === 0) return false
    this.#weights = new Map(managers.map(({ addr, weight }) => [addr, weight ?? defaultWeight]))
    const text = (list: readonly RemoteManager[]) =>
      list.map(({ nodeId, addr }) => `${nodeId} ${addr}`).join()
    if (text(managers) === text(this.#managers)) return false
    this.#managers = managers.map(({ nodeId, addr }) => ({ nodeId, addr }))
    return true
  }

  /**
   * The manager to ask, by chance and weight.
   * @param except a node that shall not be asked.
   */
  pick(except?: string): HostPort | undefined {
    const choices = this.#managers
      .filter(({ nodeId }) => nodeId !== except)
      .map(({ addr }) => ({ addr, weight: this.#weightOf(addr) }))
    const total = choices.reduce((sum, { weight }) => sum + weight, 0)
    let at = this.#env.randomInt(Math.max(1, total))
    const chosen = choices.find(({ weight }) => (at -= weight) < 0) ?? choices[0]
    return chosen === undefined ? undefined : parseHostPort(chosen.addr, defaultClusterPort)
  }

  /**
   * Calls one manager after another, as `pick` names them, until one answers.
   * @throws {SwarmError} what the answer was; Unavailable when there was none.
   */
  async ask<T>(call: (address: HostPort) => Promise<T>, pick = () => this.pick()): Promise<T> {
    let last: SwarmError | undefined
    for (let left = Math.max(1, this.#managers.length); left > 0; left--) {
      const address = pick()
      if (address === undefined) break
      try {
        return await call(address)
      } catch (error) {
        if (!isPassing(error)) throw error
        this.failed(formatHostPort(address))
        last = error
      }
    }
    throw last ?? clusterError('Unavailable', 'no manager is known')
  }

  hasFailed(addr: string): boolean {
    return (this.#failed.get(addr) ?? 0) > this.#env.monotonicMs()
  }

  succeeded(addr: string): void {
    this.#failed.delete(addr)
  }

  failed(addr: string): void {
    this.#failed.set(addr, this.#env.monotonicMs() + failedForMs)
  }

  /** A whole number above zero. */
  #weightOf(addr: string): number {
    const weight = Math.max(1, Math.round((this.#weights.get(addr) ?? defaultWeight) * failedDivisor))
    return this.hasFailed(addr) ? Math.max(1, Math.round(weight / failedDivisor)) : weight
  }
}
