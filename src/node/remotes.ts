import type { Env } from '../env/env.js'
import { defaultClusterPort, parseHostPort, type HostPort } from './addresses.js'

export interface RemoteManager {
  readonly nodeId: string
  /** `10.0.0.1:2377`. */
  readonly addr: string
}

/** The managers that this node knows of, and whom of them to ask next. */
export class Remotes {
  readonly #env: Env
  #managers: readonly RemoteManager[]
  /** The one that answered last, or that another one named as the leader. */
  #preferred: string | undefined
  #failed = new Set<string>()

  constructor(env: Env, managers: readonly RemoteManager[]) {
    this.#env = env
    this.#managers = managers
  }

  get managers(): readonly RemoteManager[] {
    return this.#managers
  }

  /** @returns whether that is news. */
  learn(managers: readonly RemoteManager[]): boolean {
    const text = (list: readonly RemoteManager[]) =>
      list.map(({ nodeId, addr }) => `${nodeId} ${addr}`).join()
    if (managers.length === 0 || text(managers) === text(this.#managers)) return false
    this.#managers = managers.map(({ nodeId, addr }) => ({ nodeId, addr }))
    return true
  }

  /**
   * The manager to ask: the one that served last, else any that has not failed since all had their turn.
   * @param except a node that shall not be asked.
   */
  pick(except?: string): HostPort | undefined {
    const all = this.#managers.filter(({ nodeId }) => nodeId !== except).map(({ addr }) => addr)
    if (this.#preferred !== undefined && all.includes(this.#preferred)) return toHostPort(this.#preferred)
    if (all.every((addr) => this.#failed.has(addr))) this.#failed.clear()
    const fresh = all.filter((addr) => !this.#failed.has(addr))
    const chosen = fresh[fresh.length === 0 ? 0 : this.#env.randomInt(fresh.length)]
    return chosen === undefined ? undefined : toHostPort(chosen)
  }

  prefer(addr: string): void {
    this.#preferred = addr
    this.#failed.delete(addr)
  }

  failed(addr: string): void {
    this.#failed.add(addr)
    if (this.#preferred === addr) this.#preferred = undefined
  }
}

function toHostPort(addr: string): HostPort | undefined {
  return parseHostPort(addr, defaultClusterPort)
}
