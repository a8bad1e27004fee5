import type { LogBatch, LogState, LogStorage, SnapshotMetadata } from '../../../src/raft/index.js'
import { applyBatch, compactState } from '../../../src/raft/log/memory-log.js'
import type { MachineState } from './register-machine.js'
import type { SimulatedClock } from './simulated-clock.js'

/** The log and the state machine's objects: one database, so one order of writes. */
export interface DiskState {
  readonly log: LogState
  readonly machine: MachineState
}

interface PendingWrite {
  readonly change: (state: DiskState) => DiskState
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

export interface DiskOptions {
  /** Time of the next sync. */
  readonly syncMs: () => number
  /** Whether the next sync fails, for good until a restart. */
  readonly fails: () => boolean
  /** The broken disk of a mutation test: says "written" before it is. */
  readonly skipFsync: boolean
  /** Promises are about to settle. */
  readonly onSettle: () => void
}

/** A disk that forgets on a crash what was not synced; writes during a sync share the next one. */
export class SimulatedDisk {
  readonly #clock: SimulatedClock
  readonly #options: DiskOptions
  #durable: DiskState
  #pending: PendingWrite[] = []
  #syncing = 0
  #generation = 0
  #failed = false

  constructor(clock: SimulatedClock, initial: DiskState, options: DiskOptions) {
    this.#clock = clock
    this.#durable = initial
    this.#options = options
  }

  get durable(): DiskState {
    return this.#durable
  }

  write(change: (state: DiskState) => DiskState): Promise<void> {
    const generation = this.#generation
    return new Promise((resolve, reject) => {
      if (this.#failed) {
        this.#options.onSettle()
        reject(new Error('disk failed'))
        return
      }
      const alive = (fn: () => void) => () => {
        if (generation === this.#generation) fn()
      }
      this.#pending.push({ change, resolve: alive(resolve), reject: (error) => alive(() => reject(error))() })
      if (this.#options.skipFsync) {
        this.#options.onSettle()
        resolve()
      }
      if (this.#syncing === 0) this.#sync()
    })
  }

  #sync(): void {
    this.#syncing = this.#pending.length
    if (this.#syncing === 0) return
    const generation = this.#generation
    this.#clock.after(this.#options.syncMs(), () => {
      if (generation !== this.#generation) return
      this.#options.onSettle()
      if (this.#options.fails()) {
        this.#failed = true
        for (const write of this.#pending.splice(0)) write.reject(new Error('disk failed'))
        return
      }
      const group = this.#pending.splice(0, this.#syncing)
      for (const write of group) this.#durable = write.change(this.#durable)
      this.#sync()
      for (const write of group) write.resolve()
    })
  }

  /** Power loss. @param survive how many of `count` unsynced writes reached the disk nevertheless. */
  crash(survive: (count: number) => number): void {
    const kept = this.#options.skipFsync ? 0 : survive(this.#pending.length)
    for (const write of this.#pending.slice(0, kept)) this.#durable = write.change(this.#durable)
    this.#pending = []
    this.#syncing = 0
    this.#failed = false
    this.#generation++
  }
}

/** The log's part of a simulated disk, and what the log is meant to be once everything is synced. */
export class DiskLog implements LogStorage {
  readonly #disk: SimulatedDisk
  readonly #onSave: (before: LogState, after: LogState, batch: LogBatch) => void
  #view: LogState

  constructor(disk: SimulatedDisk, onSave: (before: LogState, after: LogState, batch: LogBatch) => void) {
    this.#disk = disk
    this.#onSave = onSave
    this.#view = disk.durable.log
  }

  get view(): LogState {
    return this.#view
  }

  load(): Promise<LogState> {
    return Promise.resolve(this.#disk.durable.log)
  }

  save(batch: LogBatch): Promise<void> {
    const before = this.#view
    return this.#write(
      (log) => applyBatch(log, batch),
      () => this.#onSave(before, this.#view, batch),
    )
  }

  stageSnapshot(snapshot: SnapshotMetadata | undefined): Promise<void> {
    return this.#write((log) => ({ ...log, staged: snapshot }))
  }

  compact(snapshot: SnapshotMetadata): Promise<void> {
    return this.#write((log) => compactState(log, snapshot))
  }

  #write(change: (log: LogState) => LogState, check: () => void = () => undefined): Promise<void> {
    this.#view = change(this.#view)
    check()
    return this.#disk.write((state) => ({ ...state, log: change(state.log) }))
  }
}
