import type { Meta } from '../model/objects.js'

/** Reads of one table. What comes out is immutable and shared: never change it. */
export interface ReadTable<T extends Meta, I extends string = string> {
  get(id: string): T | undefined
  /** All objects, sorted by ID. */
  list(): readonly T[]
  readonly size: number
  /** Objects whose ID starts with `prefix`, sorted by ID. */
  byIdPrefix(prefix: string): readonly T[]
  /** Objects under `key` of an index, sorted by ID. */
  by(index: I, key: string): readonly T[]
}

/** The keys under which an index files an object: none, one, or several. */
export type IndexKeys<T> = (object: T) => readonly string[]

/** Objects by ID that can be read in order; sorts only after something came or went. */
class SortedMap<T extends Meta> {
  readonly objects = new Map<string, T>()
  #ids: readonly string[] | undefined
  #list: readonly T[] | undefined

  set(object: T): void {
    if (!this.objects.has(object.id)) this.#ids = undefined
    this.#list = undefined
    this.objects.set(object.id, object)
  }

  delete(id: string): void {
    if (!this.objects.delete(id)) return
    this.#ids = undefined
    this.#list = undefined
  }

  ids(): readonly string[] {
    this.#ids ??= [...this.objects.keys()].sort()
    return this.#ids
  }

  list(): readonly T[] {
    this.#list ??= this.ids().flatMap((id) => this.objects.get(id) ?? [])
    return this.#list
  }
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

  byIdPrefix(prefix: string): readonly T[] {
    const ids = this.#objects.ids()
    const found: T[] = []
    for (let at = lowerBound(ids, prefix); ids[at]?.startsWith(prefix) === true; at++) {
      const object = this.get(ids[at] ?? '')
      if (object !== undefined) found.push(object)
    }
    return found
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
    for (const { id } of this.list()) this.set(id, undefined)
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

/** Position of the first element that is not below `value`. */
function lowerBound(sorted: readonly string[], value: string): number {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((sorted[middle] ?? '') < value) low = middle + 1
    else high = middle
  }
  return low
}
