import type { Env } from '../../env/env.js'
import { SwarmError } from '../../model/errors.js'
import type { SimEvents } from './events.js'

export interface SimVolume {
  readonly name: string
  readonly driver: string
  readonly labels: Readonly<Record<string, string>>
  readonly options: Readonly<Record<string, string>>
  readonly createdAtMs: number
  /** Made for a container without a name; goes with it. */
  readonly anonymous: boolean
}

const namePattern = /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/

/** The volumes of one simulated engine. They hold nothing. */
export class SimVolumes {
  readonly #env: Env
  readonly #events: SimEvents
  readonly #byName = new Map<string, SimVolume>()

  constructor(env: Env, events: SimEvents) {
    this.#env = env
    this.#events = events
  }

  list(): readonly SimVolume[] {
    return [...this.#byName.values()].sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  /** Puts back a volume of an earlier run. */
  restore(volume: SimVolume): void {
    this.#byName.set(volume.name, volume)
  }

  forget(name: string): void {
    this.#byName.delete(name)
  }

  get(name: string): SimVolume | undefined {
    return this.#byName.get(name)
  }

  /**
   * Makes a volume, or gives the one that has the name.
   * @param name "" for an anonymous one.
   * @throws {SwarmError} InvalidArgument for a name that Docker does not allow, or an unknown driver.
   */
  ensure(
    name: string,
    options: {
      driver?: string | undefined
      labels?: Readonly<Record<string, string>> | null | undefined
      options?: Readonly<Record<string, string>> | null | undefined
    } = {},
  ): SimVolume {
    const present = this.#byName.get(name)
    if (present !== undefined) return present
    if (name.length === 1) {
      throw new SwarmError(
        'InvalidArgument',
        'volume name is too short, names should be at least two alphanumeric characters',
      )
    }
    if (name !== '' && !namePattern.test(name)) {
      throw new SwarmError(
        'InvalidArgument',
        `create ${name}: "${name}" includes invalid characters for a local volume name, only ` +
          `"[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path`,
      )
    }
    const volume: SimVolume = {
      name: name === '' ? this.#env.randomBytes(32).toString('hex') : name,
      driver: options.driver === undefined || options.driver === '' ? 'local' : options.driver,
      labels: options.labels ?? {},
      options: options.options ?? {},
      createdAtMs: this.#env.nowMs(),
      anonymous: name === '',
    }
    this.#byName.set(volume.name, volume)
    this.#events.emit('volume', 'create', volume.name, { driver: volume.driver })
    return volume
  }

  remove(volume: SimVolume): void {
    if (this.#byName.delete(volume.name)) {
      this.#events.emit('volume', 'destroy', volume.name, { driver: volume.driver })
    }
  }
}
