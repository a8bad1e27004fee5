import type { Env } from '../env/env.js'
import { CloseCode } from '../wire/index.js'
import type { Session } from './session.js'

const lookEveryMs = 1000
/** Of the nodes that could go elsewhere so many go at a time, so that each second costs little. */
const movesPerLook = 10
/** A node that came back by chance is asked again, but not at once. */
const askAgainMs = 10_000

/**
 * The sessions that the leader serves itself. When it dies, nobody is left who saw which of them broke, and the
 * next leader waits long for those nodes. So it keeps none while another manager could relay them.
 */
export class DirectSessions {
  readonly #env: Env
  readonly #hasRelays: () => boolean
  readonly #sessions = new Set<Session>()
  /** By node, when it was sent away; monotonic. */
  readonly #asked = new Map<string, number>()
  #cancelLook: () => void

  /** @param hasRelays whether another manager is there to take sessions. */
  constructor(env: Env, hasRelays: () => boolean) {
    this.#env = env
    this.#hasRelays = hasRelays
    this.#cancelLook = this.#lookLater()
  }

  add(session: Session): void {
    this.#sessions.add(session)
  }

  delete(session: Session): void {
    this.#sessions.delete(session)
  }

  stop(): void {
    this.#cancelLook()
  }

  #lookLater(): () => void {
    return this.#env.after(lookEveryMs, () => {
      this.#cancelLook = this.#lookLater()
      if (this.#hasRelays()) this.#sendSomeAway()
    })
  }

  #sendSomeAway(): void {
    const nowMs = this.#env.monotonicMs()
    for (const [nodeId, askedMs] of this.#asked) if (nowMs - askedMs > askAgainMs) this.#asked.delete(nodeId)
    const movable = [...this.#sessions].filter(({ nodeId, isOpen }) => isOpen && !this.#asked.has(nodeId))
    for (const session of movable.slice(0, Math.ceil(movable.length / movesPerLook))) {
      this.#asked.set(session.nodeId, nowMs)
      session.close(CloseCode.Elsewhere, 'another manager has more time for this node')
    }
  }
}
