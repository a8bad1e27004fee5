import type { Env } from '../env/env.js'
import { brakeDelayMs } from '../model/brake.js'
import type { View } from '../store/store.js'

/** So few nodes vanish by themselves, however small the cluster: their tasks move at once. */
const leastNodes = 3

/**
 * When many nodes vanish at once, the fault is more likely between them and the managers than in them: a
 * switch, a power line, the managers themselves. Moving all their tasks would then do more harm than waiting.
 */
export class Brake {
  readonly #env: Env
  readonly #view: View
  readonly #onRelease: () => void
  /** Nodes that vanished lately; monotonic times. */
  readonly #vanished = new Map<string, number>()
  #untilMs: number | undefined
  #cancelTimer: () => void = () => undefined

  /** @param onRelease the time is over: the tasks may move. */
  constructor(env: Env, view: View, onRelease: () => void) {
    this.#env = env
    this.#view = view
    this.#onRelease = onRelease
  }

  /**
   * A node has vanished, and perhaps others with it.
   * @param suspects nodes of which nothing is heard, though their time is not up yet.
   * @param present nodes that are there.
   * @param periodMs what counts as "at once".
   * @returns until when its tasks are to stay where they are, Unix ms; undefined when they may move.
   */
  vanished(
    nodeId: string,
    suspects: readonly string[],
    present: number,
    periodMs: number,
  ): number | undefined {
    const nowMs = this.#env.monotonicMs()
    for (const [id, atMs] of this.#vanished) if (nowMs - atMs > periodMs) this.#vanished.delete(id)
    this.#vanished.set(nodeId, nowMs)
    const gone = new Set([...this.#vanished.keys(), ...suspects]).size
    const delayMs = brakeDelayMs(this.#view)
    const isMany = gone >= leastNodes && 3 * gone > gone + present
    if (isMany && this.#untilMs === undefined && delayMs > 0) {
      this.#env.log.error(
        { nodes: gone, of: gone + present, delayMs },
        'many nodes vanished at once; their tasks stay where they are for now',
      )
      this.hold(this.#env.nowMs() + delayMs)
    }
    return this.#untilMs
  }

  /** A node is there again. */
  returned(nodeId: string): void {
    this.#vanished.delete(nodeId)
  }

  /** Keeps tasks where they are until then, Unix ms: also what another leader began. */
  hold(untilMs: number): void {
    this.#untilMs = Math.max(untilMs, this.#untilMs ?? 0)
    this.#cancelTimer()
    this.#cancelTimer = this.#env.after(this.#untilMs - this.#env.nowMs(), () => {
      this.#untilMs = undefined
      this.#vanished.clear()
      this.#onRelease()
    })
  }

  stop(): void {
    this.#cancelTimer()
  }
}
