/** How many nodes of a crowd connect at a time. */
const dialsAtATime = 64

/**
 * Lets few nodes of one process connect at a time. Real nodes have a processor each; those of a crowd, all at once,
 * would be so slow together that each of them gives up. Who does not get through tries again after its wait.
 */
export class DialGate {
  #dialling = 0

  /** @throws {Error} when enough others are connecting; what `dial` throws. */
  async pass<T>(dial: () => Promise<T>): Promise<T> {
    if (this.#dialling >= dialsAtATime) throw new Error('other nodes of this process are connecting')
    this.#dialling++
    try {
      return await dial()
    } finally {
      this.#dialling--
    }
  }
}
