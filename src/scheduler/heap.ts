/** A binary heap: `pop` gives the least element by `less`. */
export class Heap<T> {
  readonly #items: T[]
  readonly #less: (a: T, b: T) => boolean

  constructor(items: Iterable<T>, less: (a: T, b: T) => boolean) {
    this.#items = [...items]
    this.#less = less
    for (let at = (this.#items.length >>> 1) - 1; at >= 0; at--) this.#sink(at)
  }

  push(item: T): void {
    this.#items.push(item)
    this.#rise(this.#items.length - 1)
  }

  pop(): T | undefined {
    const top = this.#items[0]
    const last = this.#items.pop()
    if (this.#items.length > 0 && last !== undefined) {
      this.#items[0] = last
      this.#sink(0)
    }
    return top
  }

  #rise(from: number): void {
    const items = this.#items
    for (let at = from; at > 0;) {
      const parent = (at - 1) >>> 1
      if (!this.#swapIfLess(items, at, parent)) return
      at = parent
    }
  }

  #sink(from: number): void {
    const items = this.#items
    for (let at = from; ;) {
      const left = 2 * at + 1
      const right = left + 1
      const child = this.#isLess(items, right, left) ? right : left
      if (!this.#swapIfLess(items, child, at)) return
      at = child
    }
  }

  #isLess(items: readonly T[], a: number, b: number): boolean {
    const x = items[a]
    const y = items[b]
    return x !== undefined && y !== undefined && this.#less(x, y)
  }

  #swapIfLess(items: T[], a: number, b: number): boolean {
    const x = items[a]
    const y = items[b]
    if (x === undefined || y === undefined || !this.#less(x, y)) return false
    items[a] = y
    items[b] = x
    return true
  }
}
