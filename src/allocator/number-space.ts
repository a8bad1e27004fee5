/** Numbers that are handed out one after the other, from `first` to `last` and then from `first` again. */
export class NumberSpace {
  readonly #first: number
  readonly #last: number
  readonly #taken = new Set<number>()
  #cursor: number

  constructor(first: number, last: number) {
    this.#first = first
    this.#last = last
    this.#cursor = first
  }

  /** Takes the next free number, or undefined where none is left. */
  next(): number | undefined {
    const count = this.#last - this.#first + 1
    for (let tried = 0; tried < count; tried++) {
      const number = this.#cursor
      this.#cursor = number === this.#last ? this.#first : number + 1
      if (this.take(number)) return number
    }
    return undefined
  }

  /** Takes a number, which may lie outside of the range. @returns false when it is taken already. */
  take(number: number): boolean {
    if (this.#taken.has(number)) return false
    this.#taken.add(number)
    return true
  }

  free(number: number): void {
    this.#taken.delete(number)
  }
}
