import type { Env } from '../../env/env.js'
import type { Commit } from '../../store/store.js'
import type { ManagerBackend, SwarmBackend } from '../backend.js'
import { toEvent, type SwarmEvent } from './event.js'

/** Events that are kept for those who ask for the past. Docker keeps as many. */
const keptEvents = 256
/** While someone listens, how often to look whether this node has become a manager. */
const attachPeriodMs = 500

export type EventListener = (event: SwarmEvent) => void

/** Turns commits of this node's manager into events, keeps the last of them, and hands them on. */
export class EventHub {
  readonly #env: Env
  readonly #swarm: SwarmBackend
  readonly #listeners = new Set<EventListener>()
  readonly #kept: SwarmEvent[] = []
  #manager: ManagerBackend | undefined
  #unwatch: (() => void) | undefined
  #cancelTimer: (() => void) | undefined

  constructor(env: Env, swarm: SwarmBackend) {
    this.#env = env
    this.#swarm = swarm
    this.attach()
  }

  /** Follows the manager that this node has now; it comes and goes with init, leave and the node's role. */
  attach(): void {
    const manager = this.#swarm.localManager()
    if (manager === this.#manager) return
    this.#unwatch?.()
    this.#manager = manager
    this.#unwatch = manager?.watch((commit) => this.#onCommit(commit))
  }

  /** The last events, oldest first. */
  recent(): readonly SwarmEvent[] {
    return [...this.#kept]
  }

  /** Calls `listener` with every event from now on. */
  listen(listener: EventListener): () => void {
    this.attach()
    this.#listeners.add(listener)
    this.#look()
    return () => {
      this.#listeners.delete(listener)
      if (this.#listeners.size === 0) this.#stopLooking()
    }
  }

  close(): void {
    this.#unwatch?.()
    this.#stopLooking()
    this.#listeners.clear()
  }

  #look(): void {
    this.#cancelTimer ??= this.#env.after(attachPeriodMs, () => {
      this.#cancelTimer = undefined
      this.attach()
      if (this.#listeners.size > 0) this.#look()
    })
  }

  #stopLooking(): void {
    this.#cancelTimer?.()
    this.#cancelTimer = undefined
  }

  #onCommit({ changes }: Commit): void {
    for (const change of changes) {
      const event = toEvent(change, this.#env.nowMs())
      if (event === undefined) continue
      this.#kept.push(event)
      if (this.#kept.length > keptEvents) this.#kept.shift()
      for (const listener of this.#listeners) listener(event)
    }
  }
}
