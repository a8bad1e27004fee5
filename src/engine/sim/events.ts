import type { Env } from '../../env/env.js'
import type { EngineEvent } from '../types.js'

export type EventListener = (event: EngineEvent) => void

/** The engine's events: the newest ones for those who ask later, all of them for who listens. */
export class SimEvents {
  readonly #env: Env
  readonly #limit: number
  readonly #listeners = new Set<EventListener>()
  #recent: EngineEvent[] = []

  /** @param limit how many events are kept; dockerd keeps 256. */
  constructor(env: Env, limit: number) {
    this.#env = env
    this.#limit = limit
  }

  emit(type: string, action: string, id: string, attributes: Readonly<Record<string, string>>): void {
    if (this.#limit === 0 && this.#listeners.size === 0) return
    const ms = this.#env.nowMs()
    const event: EngineEvent = {
      Type: type,
      Action: action,
      Actor: { ID: id, Attributes: attributes },
      scope: 'local',
      time: Math.floor(ms / 1000),
      timeNano: Math.floor(ms * 1e6),
    }
    this.#recent.push(event)
    // Cut in halves, so that an event costs nothing on average.
    if (this.#recent.length >= 2 * this.#limit) {
      this.#recent = this.#limit === 0 ? [] : this.#recent.slice(-this.#limit)
    }
    for (const listener of this.#listeners) listener(event)
  }

  recent(): readonly EngineEvent[] {
    return this.#limit === 0 ? [] : this.#recent.slice(-this.#limit)
  }

  listen(listener: EventListener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }
}
