import { contains, lastAddress, type Subnet } from '../model/ipv4.js'

/**
 * The addresses of one subnet. They are handed out serially: the search goes on after the last one, so that
 * a freed address comes back late, when nobody has it in a cache any more. The subnet's first and last
 * address are never handed out.
 * Behaviour: moby daemon/libnetwork/ipams/defaultipam.
 */
export class AddressPool {
  readonly subnet: Subnet
  readonly #first: number
  readonly #last: number
  readonly #taken = new Set<number>()
  #cursor: number

  /** @param range the part of the subnet that addresses are handed out from; all of it where absent. */
  constructor(subnet: Subnet, range: Subnet = subnet) {
    this.subnet = subnet
    const hasEnds = subnet.prefixLength < 31
    this.#first = Math.max(range.base, subnet.base + (hasEnds ? 1 : 0))
    this.#last = Math.min(lastAddress(range), lastAddress(subnet) - (hasEnds ? 1 : 0))
    this.#cursor = this.#first
  }

  /** How many are left to hand out. */
  get freeCount(): number {
    return Math.max(0, this.#last - this.#first + 1 - this.#taken.size)
  }

  get size(): number {
    return Math.max(0, this.#last - this.#first + 1)
  }

  /** Takes the next free address, or undefined where none is left. */
  next(): number | undefined {
    const count = this.freeCount === 0 ? 0 : this.size
    for (let tried = 0; tried < count; tried++) {
      const address = this.#cursor
      this.#cursor = address >= this.#last ? this.#first : address + 1
      if (this.#taken.has(address)) continue
      this.#taken.add(address)
      return address
    }
    return undefined
  }

  /** Takes a given address. @returns false where it is taken, or cannot be handed out. */
  take(address: number): boolean {
    if (!contains(this.subnet, address) || this.#taken.has(address)) return false
    // A gateway outside of the range is nobody else's business: it is never handed out anyway.
    if (address < this.#first || address > this.#last) return true
    this.#taken.add(address)
    return true
  }

  /** Takes an address of before a restart, and goes on behind it. */
  restore(address: number): void {
    if (this.take(address) && address >= this.#cursor && address <= this.#last)
      this.#cursor = address === this.#last ? this.#first : address + 1
  }

  free(address: number): void {
    this.#taken.delete(address)
  }
}
