/** Lines on their way to a client, who may be slower than they come. */
export class LineQueue {
  readonly #limit: number
  readonly #onOverflow: () => void
  #lines: string[] = []
  #isClosed = false
  #wake: (() => void) | undefined

  /** @param onOverflow called once when more than `limit` lines wait; the queue is closed then. */
  constructor(limit: number, onOverflow: () => void) {
    this.#limit = limit
    this.#onOverflow = onOverflow
  }

  push(line: string): void {
    if (this.#isClosed) return
    this.#lines.push(line)
    if (this.#lines.length > this.#limit) {
      this.close()
      this.#onOverflow()
    }
    this.#wake?.()
  }

  /** What is in it can still be taken; nothing more comes. */
  close(): void {
    this.#isClosed = true
    this.#wake?.()
  }

  /** All lines that wait, or the next ones; undefined at the end. */
  async take(): Promise<readonly string[] | undefined> {
    while (this.#lines.length === 0) {
      if (this.#isClosed) return undefined
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
    const lines = this.#lines
    this.#lines = []
    return lines
  }
}
