import type { Entry, SnapshotMetadata } from '../core/index.js'
import { emptyLogState, type LogBatch, type LogState, type LogStorage } from './log-storage.js'

/** A log that a restart of the process forgets. For tests and simulations. */
export class MemoryLog implements LogStorage {
  #state: LogState

  constructor(state: LogState = emptyLogState) {
    this.#state = state
  }

  /** As it would be found by `load()`; never changed in place. */
  get state(): LogState {
    return this.#state
  }

  load(): Promise<LogState> {
    return Promise.resolve(this.#state)
  }

  save(batch: LogBatch): Promise<void> {
    this.#state = applyBatch(this.#state, batch)
    return Promise.resolve()
  }

  stageSnapshot(snapshot: SnapshotMetadata | undefined): Promise<void> {
    this.#state = { ...this.#state, staged: snapshot }
    return Promise.resolve()
  }

  compact(snapshot: SnapshotMetadata): Promise<void> {
    this.#state = compactState(this.#state, snapshot)
    return Promise.resolve()
  }
}

export function applyBatch(state: LogState, batch: LogBatch): LogState {
  const { hardState } = batch
  if (batch.snapshot !== undefined) {
    return { hardState, snapshot: batch.snapshot, staged: undefined, entries: batch.entries }
  }
  const first = batch.entries[0]
  if (first === undefined) return { ...state, hardState }
  const kept: readonly Entry[] = state.entries.slice(0, Math.max(0, first.index - state.snapshot.index - 1))
  return { ...state, hardState, entries: [...kept, ...batch.entries] }
}

export function compactState(state: LogState, snapshot: SnapshotMetadata): LogState {
  if (snapshot.index <= state.snapshot.index) return state
  return { ...state, snapshot, entries: state.entries.filter((entry) => entry.index > snapshot.index) }
}
