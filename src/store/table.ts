import type { Meta } from '../model/objects.js'

/** Reads of one table. What comes out is immutable and shared: never change it. */
export interface ReadTable<T extends Meta, I extends string = string> {
  get(id: string): T | undefined
  /** All objects, sorted by ID. */
  list(): readonly T[]
  /** The same in any order, which takes no sorting: for those who look at everything once. */
  unsorted(): readonly T[]
  readonly size: number
  /** Objects whose ID starts with `prefix`, sorted by ID. */
  byIdPrefix(prefix: string): readonly T[]
  /** Objects under `key` of an index, sorted by ID. */
  by(index: I, key: string): readonly T[]
}

/** The keys under which an index files an object: none, one, or several. */
export type IndexKeys<T> = (object: T) => readonly string[]

/**
 * Objects by ID that can be read in order. The sorted list is made when somebody asks; from then on changes
 * are noted and worked into a new list at the next question, so that a list of 100,000 that changes in a
 * few places is not sorted again. Lists already given away never change.
 */
class SortedMap<T extends Meta> {
  readonly objects = new Map<string, T>()
  readonly #changedIds = new Set<string>()
  #list: readonly T[] | undefined

  set(object: T): void {
    this.objects.set(object.id, object)
    this.#noteChange(object.id)
  }

  delete(id: string): void {
    if (this.objects.delete(id)) this.#noteChange(id)
  }

  /** Sorted by ID. */
  list(): readonly T[] {
    if (this.#list === undefined)
      this.#list = [...this.objects.values()].sort((a, b) => (a.id < b.id ? -1 : 1))
    else if (this.#changedIds.size > 0) this.#list = this.#merge(this.#list)
    this.#changedIds.clear()
    return this.#list
  }

  unsorted(): readonly T[] {
    return this.#list !== undefined && this.#changedIds.size === 0 ? this.#list : [...this.objects.values()]
  }

  #noteChange(id: string): void {
    if (this.#list === undefined) return
    this.#changedIds.add(id)
    // With so many changes sorting anew costs no more, and the list would only keep old objects alive.
    if (this.#changedIds.size > 16 + this.#list.length / 4) {
      this.#list = undefined
      this.#changedIds.clear()
    }
  }

  #merge(list: readonly T[]): readonly T[] {
    const merged: T[] = []
    let at = 0
    for (const id of [...this.#changedIds].sort()) {
      const position = lowerBound(list, id)
      for (; at < position; at++) push(merged, list[at])
      if (list[at]?.id === id) at++
      push(merged, this.objects.get(id))
    }
    for (; at < list.length; at++) push(merged, list[at])
    return merged
  }
}

function push<T>(list: T[], object: T | undefined): void {
  if (object !== undefined) list.push(object)
}

interface Index<T extends Meta> {
  readonly keys: IndexKeys<T>
  readonly entries: Map<string, SortedMap<T>>
}

/**
 * A table in memory with secondary indexes. Two of them stand behind each table of the store: what is
 * committed, and what it will be once the entries in flight are.
 */
export class Table<T extends Meta, I extends string> implements ReadTable<T, I> {
  readonly #objects = new SortedMap<T>()
  readonly #indexes: ReadonlyMap<string, Index<T>>

  constructor(indexes: Readonly<Record<I, IndexKeys<T>>>) {
    this.#indexes = new Map(
      Object.entries<IndexKeys<T>>(indexes).map(([name, keys]) => [name, { keys, entries: new Map() }]),
    )
  }

  get size(): number {
    return this.#objects.objects.size
  }

  get(id: string): T | undefined {
    return this.#objects.objects.get(id)
  }

  list(): readonly T[] {
    return this.#objects.list()
  }

  unsorted(): readonly T[] {
    return this.#objects.unsorted()
  }

  byIdPrefix(prefix: string): readonly T[] {
    const list = this.list()
    const first = lowerBound(list, prefix)
    let end = first
    while (list[end]?.id.startsWith(prefix) === true) end++
    return list.slice(first, end)
  }

  by(index: I, key: string): readonly T[] {
    return this.#indexes.get(index)?.entries.get(key)?.list() ?? []
  }

  /** Puts `object` in the place of what has its ID; undefined removes it. */
  set(id: string, object: T | undefined): void {
    const old = this.get(id)
    if (old === object) return
    if (object === undefined) this.#objects.delete(id)
    else this.#objects.set(object)
    for (const index of this.#indexes.values()) refile(index, old, object)
  }

  clear(): void {
    for (const { id } of this.unsorted()) this.set(id, undefined)
  }
}

function refile<T extends Meta>(
  { keys, entries }: Index<T>,
  old: T | undefined,
  object: T | undefined,
): void {
  const newKeys = object === undefined ? [] : keys(object)
  for (const key of old === undefined ? [] : keys(old)) {
    if (newKeys.includes(key)) continue
    const filed = entries.get(key)
    filed?.delete(old?.id ?? '')
    if (filed?.objects.size === 0) entries.delete(key)
  }
  if (object === undefined) return
  for (const key of newKeys) {
    let filed = entries.get(key)
    if (filed === undefined) entries.set(key, (filed = new SortedMap()))
    filed.set(object)
  }
}

/** Position of the first object whose ID is not below `id`. */
function lowerBound(sorted: readonly Meta[], id: string): number {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((sorted[middle]?.id ?? '') < id) low = middle + 1
    else high = middle
  }
  return low
}
