import type { Env } from '../../env/env.js'
import type { EventListener, EventQuery } from '../../events/event-log.js'
import type { SwarmEvent } from '../../events/event.js'
import type { EventSource, SwarmBackend } from '../backend.js'

/** While someone listens, how often to look whether this node has become a manager. */
const attachPeriodMs = 500

/** The events of whatever manager this node has, which comes and goes with init, leave and the node's role. */
export class EventHub {
  readonly #env: Env
  readonly #swarm: SwarmBackend
  readonly #listeners = new Set<EventListener>()
  #source: EventSource | undefined
  #unlisten: (() => void) | undefined
  #cancelTimer: (() => void) | undefined

  constructor(env: Env, swarm: SwarmBackend) {
    this.#env = env
    this.#swarm = swarm
  }

  /** What happened before the call, oldest first; nothing on a node that is no manager. */
  async past(query: EventQuery): Promise<readonly SwarmEvent[]> {
    this.attach()
    return (await this.#source?.range(query)) ?? []
  }

  /** Calls `listener` with every event from now on. */
  listen(listener: EventListener): () => void {
    this.#listeners.add(listener)
    this.#look()
    return () => {
      this.#listeners.delete(listener)
      if (this.#listeners.size === 0) this.close()
    }
  }

  close(): void {
    this.#cancelTimer?.()
    this.#cancelTimer = undefined
    this.#unlisten?.()
    this.#unlisten = undefined
    this.#source = undefined
    this.#listeners.clear()
  }

  /** To be called when the node may have become a manager, or ceased to be one. */
  attach(): void {
    const source = this.#swarm.localManager()?.events
    if (source === this.#source) return
    this.#unlisten?.()
    this.#source = source
    this.#unlisten = source?.listen((event) => {
      for (const listener of this.#listeners) listener(event)
    })
  }

  #look(): void {
    this.attach()
    this.#cancelTimer ??= this.#env.after(attachPeriodMs, () => {
      this.#cancelTimer = undefined
      if (this.#listeners.size > 0) this.#look()
    })
  }
}
