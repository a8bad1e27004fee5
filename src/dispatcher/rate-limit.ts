import type { Env } from '../env/env.js'

const windowMs = 8000
const registrationsPerWindow = 8

/** How often a node may register: two hosts with copies of one certificate throw each other out for ever. */
export class RateLimit {
  readonly #env: Env
  readonly #counts = new Map<string, { startMs: number; count: number }>()

  constructor(env: Env) {
    this.#env = env
  }

  /** @returns false when the node has to wait. */
  take(nodeId: string): boolean {
    const nowMs = this.#env.monotonicMs()
    const window = this.#counts.get(nodeId)
    if (window === undefined || nowMs - window.startMs >= windowMs) {
      this.#counts.set(nodeId, { startMs: nowMs, count: 1 })
      return true
    }
    window.count++
    return window.count <= registrationsPerWindow
  }

  forget(nodeId: string): void {
    this.#counts.delete(nodeId)
  }
}
