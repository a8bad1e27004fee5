import type { TaskSpec } from '../model/spec/index.js'

/** A spec and the name of its row. */
export interface SpecRow {
  readonly id: string
  readonly spec: TaskSpec
}

/**
 * Which specs of tasks have a row of their own on disk. Rows of tasks name it instead of carrying the spec, as
 * thousands of them have the same.
 */
export class SpecRows {
  #idOf = new WeakMap<TaskSpec, string>()
  readonly #onDisk = new Set<string>()
  #newCount = 0

  /** How many were added since the last cleaning. */
  get newCount(): number {
    return this.#newCount
  }

  /** What a flush adds counts from `keep` on: if the flush fails, its rows are gone. */
  draft(flush: number): SpecDraft {
    return new SpecDraft(flush, (spec) => this.#find(spec))
  }

  keep(draft: SpecDraft): void {
    for (const [spec, id] of draft.added) {
      this.#idOf.set(spec, id)
      this.#onDisk.add(id)
    }
    this.#newCount += draft.added.size
  }

  /** These rows are gone, since no task names them. */
  forget(ids: Iterable<string>): void {
    for (const id of ids) this.#onDisk.delete(id)
    this.#newCount = 0
  }

  /** All rows of before are gone. */
  forgetAll(): void {
    this.#onDisk.clear()
  }

  #find(spec: TaskSpec): string | undefined {
    const id = this.#idOf.get(spec)
    return id !== undefined && this.#onDisk.has(id) ? id : undefined
  }
}

/** The specs that one flush adds. */
export class SpecDraft {
  readonly added = new Map<TaskSpec, string>()
  readonly #flush: number
  readonly #find: (spec: TaskSpec) => string | undefined

  constructor(flush: number, find: (spec: TaskSpec) => string | undefined) {
    this.#flush = flush
    this.#find = find
  }

  /** The name of a spec's row; `row` is to be written if it is not there yet. */
  idOf(spec: TaskSpec): { readonly id: string; readonly row?: SpecRow } {
    const known = this.#find(spec) ?? this.added.get(spec)
    if (known !== undefined) return { id: known }
    // Flushes have each number once, so this name was never used before.
    const id = `${this.#flush}.${this.added.size}`
    this.added.set(spec, id)
    return { id, row: { id, spec } }
  }
}
