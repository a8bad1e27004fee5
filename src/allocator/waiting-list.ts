interface Entry {
  /** Networks or services; empty where it waits for something else, such as a port. */
  readonly causeIds: readonly string[]
  readonly reason: string
}

/** What cannot be had now, with the reason, by what it waits for. */
export class WaitingList {
  readonly #entries = new Map<string, Entry>()
  readonly #byCause = new Map<string, Set<string>>()

  get size(): number {
    return this.#entries.size
  }

  add(id: string, reason: string, causeIds: readonly string[]): void {
    this.delete(id)
    this.#entries.set(id, { causeIds, reason })
    for (const causeId of causeIds) {
      const ids = this.#byCause.get(causeId)
      if (ids === undefined) this.#byCause.set(causeId, new Set([id]))
      else ids.add(id)
    }
  }

  reasonOf(id: string): string | undefined {
    return this.#entries.get(id)?.reason
  }

  delete(id: string): void {
    const entry = this.#entries.get(id)
    if (entry === undefined) return
    this.#entries.delete(id)
    for (const causeId of entry.causeIds) {
      const ids = this.#byCause.get(causeId)
      ids?.delete(id)
      if (ids?.size === 0) this.#byCause.delete(causeId)
    }
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
    const ids = [...this.#entries.keys()]
    for (const id of ids) this.delete(id)
    return ids
  }
}
