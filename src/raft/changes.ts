import { NotLeaderError, type Entry } from './core/index.js'

interface PendingChange {
  readonly index: number
  readonly term: number
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

/** Changes of members that were proposed here and wait for their commit. */
export class PendingChanges {
  #changes: PendingChange[] = []

  add(index: number, term: number): Promise<void> {
    return new Promise((resolve, reject) => this.#changes.push({ index, term, resolve, reject }))
  }

  /** `entry` was applied: it is the change of that index, or took its place. */
  onApplied(entry: Entry): void {
    const change = this.#changes.find(({ index }) => index === entry.index)
    if (change === undefined) return
    this.#changes = this.#changes.filter((other) => other !== change)
    if (change.term === entry.term) change.resolve()
    else change.reject(new NotLeaderError(undefined, 'another change took its place'))
  }

  /** Whoever does not lead any more does not learn in time what became of its changes. */
  onLeadershipLost(): void {
    this.fail(new NotLeaderError(undefined, 'leadership was lost; the change may or may not happen'))
  }

  fail(error: Error): void {
    const changes = this.#changes
    this.#changes = []
    for (const change of changes) change.reject(error)
  }
}
