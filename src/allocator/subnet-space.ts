import { lastAddress, overlap, subnetOf, type Subnet } from '../model/ipv4.js'

/** The subnets in use, sorted by base; no two overlap. */
export class SubnetSpace {
  readonly #taken: Subnet[] = []

  /** Takes a given subnet. @returns false where it overlaps with one that is taken. */
  take(subnet: Subnet): boolean {
    const at = this.#position(subnet.base)
    const before = this.#taken[at - 1]
    const after = this.#taken[at]
    if ((before && overlap(before, subnet)) || (after && overlap(after, subnet))) return false
    this.#taken.splice(at, 0, subnet)
    return true
  }

  /** Takes the lowest free subnet of that length out of the first pool that has one. */
  next(pools: readonly Subnet[], prefixLength: number): Subnet | undefined {
    for (const pool of pools) {
      const subnet = prefixLength < pool.prefixLength ? undefined : this.#firstGap(pool, prefixLength)
      if (subnet !== undefined && this.take(subnet)) return subnet
    }
    return undefined
  }

  free(subnet: Subnet): void {
    const at = this.#position(subnet.base)
    const found = this.#taken[at]
    if (found?.base === subnet.base && found.prefixLength === subnet.prefixLength) this.#taken.splice(at, 1)
  }

  #firstGap(pool: Subnet, prefixLength: number): Subnet | undefined {
    const size = 2 ** (32 - prefixLength)
    let candidate = subnetOf(pool.base, prefixLength)
    for (const taken of this.#taken) {
      if (taken.base > lastAddress(candidate)) break
      if (!overlap(taken, candidate)) continue
      // The first aligned base behind the one in the way.
      candidate = subnetOf(lastAddress(taken) + size, prefixLength)
    }
    return candidate.base <= lastAddress(pool) ? candidate : undefined
  }

  /** Position of the first subnet that does not start before `base`. */
  #position(base: number): number {
    let low = 0
    let high = this.#taken.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#taken[middle]?.base ?? base) < base) low = middle + 1
      else high = middle
    }
    return low
  }
}
