import { createHash } from 'node:crypto'
import type { Env } from '../../env/env.js'
import { SwarmError } from '../../model/errors.js'
import type { SimEvents } from './events.js'

export interface SimNetwork {
  readonly id: string
  readonly name: string
  readonly driver: string
  readonly internal: boolean
  readonly attachable: boolean
  readonly labels: Readonly<Record<string, string>>
  readonly options: Readonly<Record<string, string>>
  readonly ipam: object
  readonly createdAtMs: number
  readonly builtin: boolean
}

/** The local networks of one simulated engine. They carry nothing. */
export class SimNetworks {
  readonly #env: Env
  readonly #events: SimEvents
  readonly #byId = new Map<string, SimNetwork>()

  constructor(env: Env, events: SimEvents, hostname: string) {
    this.#env = env
    this.#events = events
    const builtin: readonly (readonly [string, string, string?])[] = [
      ['bridge', 'bridge', '172.17.0.0/16'],
      ['host', 'host'],
      ['none', 'null'],
    ]
    for (const [name, driver, subnet] of builtin) {
      const id = createHash('sha256').update(`${hostname} ${name}`).digest('hex')
      this.#byId.set(id, {
        id,
        name,
        driver,
        internal: false,
        attachable: false,
        labels: {},
        options: {},
        ipam: { Driver: 'default', Options: null, Config: subnet === undefined ? [] : [{ Subnet: subnet }] },
        createdAtMs: env.nowMs(),
        builtin: true,
      })
    }
  }

  list(): readonly SimNetwork[] {
    return [...this.#byId.values()]
  }

  /** Puts back a network of an earlier run. */
  restore(network: SimNetwork): void {
    this.#byId.set(network.id, network)
  }

  forget(id: string): void {
    this.#byId.delete(id)
  }

  /** By ID, name or ID prefix. */
  find(text: string): SimNetwork | undefined {
    const all = this.list()
    const exact = this.#byId.get(text) ?? all.find(({ name }) => name === text)
    if (exact !== undefined || text === '') return exact
    const matches = all.filter(({ id }) => id.startsWith(text))
    return matches.length === 1 ? matches[0] : undefined
  }

  /** @throws {SwarmError} AlreadyExists for a taken name, NotFound for a driver that is not there. */
  create(make: Omit<SimNetwork, 'id' | 'createdAtMs' | 'builtin'>): SimNetwork {
    if (this.list().some(({ name }) => name === make.name)) {
      throw new SwarmError('AlreadyExists', `network with name ${make.name} already exists`)
    }
    if (!['bridge', 'ipvlan', 'macvlan'].includes(make.driver)) {
      throw new SwarmError('NotFound', `plugin "${make.driver}" not found`)
    }
    const id = this.#env.randomBytes(32).toString('hex')
    const network = { ...make, id, createdAtMs: this.#env.nowMs(), builtin: false }
    this.#byId.set(id, network)
    this.#events.emit('network', 'create', id, { name: make.name, type: make.driver })
    return network
  }

  /** @throws {SwarmError} PermissionDenied for the predefined ones. */
  remove(network: SimNetwork): void {
    if (network.builtin) {
      throw new SwarmError(
        'PermissionDenied',
        `${network.name} is a pre-defined network and cannot be removed`,
      )
    }
    this.#byId.delete(network.id)
    this.#events.emit('network', 'destroy', network.id, { name: network.name, type: network.driver })
  }
}
