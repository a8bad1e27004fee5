/** What cannot be had now, with the reason, by the network or service that it waits for. */
export class WaitingList {
  readonly #reasons = new Map<string, { readonly causeId: string; readonly reason: string }>()
  readonly #byCause = new Map<string, Set<string>>()

  get size(): number {
    return this.#reasons.size
  }

  /** @param causeId empty where it waits for something else, such as a port. */
  add(id: string, reason: string, causeId = ''): void {
    this.delete(id)
    this.#reasons.set(id, { causeId, reason })
    const ids = this.#byCause.get(causeId)
    if (ids === undefined) this.#byCause.set(causeId, new Set([id]))
    else ids.add(id)
  }

  reasonOf(id: string): string | undefined {
    return this.#reasons.get(id)?.reason
  }

  delete(id: string): void {
    const entry = this.#reasons.get(id)
    if (entry === undefined) return
    this.#reasons.delete(id)
    const ids = this.#byCause.get(entry.causeId)
    ids?.delete(id)
    if (ids?.size === 0) this.#byCause.delete(entry.causeId)
  }

  /** Takes off the list whatever waits for `causeId`, oldest first, `limit` at most. */
  take(causeId: string, limit: number): readonly string[] {
    const ids: string[] = []
    for (const id of this.#byCause.get(causeId) ?? []) {
      if (ids.length >= limit) break
      ids.push(id)
    }
    for (const id of ids) this.delete(id)
    return ids
  }

  takeAll(): readonly string[] {
    const ids = [...this.#reasons.keys()]
    for (const id of ids) this.delete(id)
    return ids
  }
}
