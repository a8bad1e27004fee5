import type { Ready } from './core/index.js'
import type { LogStorage } from './log/log-storage.js'

interface PendingSave {
  readonly ready: Ready
  saved: boolean
}

export interface SavesHost {
  /** A write is on disk: `takeDone` may have more. */
  readonly onSaved: () => void
  readonly onFailed: (error: unknown) => void
}

/** Writes under way, oldest first; they are reported in their order. */
export class Saves {
  readonly #storage: LogStorage
  readonly #host: SavesHost
  readonly #saves: PendingSave[] = []
  #idle: (() => void)[] = []

  constructor(storage: LogStorage, host: SavesHost) {
    this.#storage = storage
    this.#host = host
  }

  /** Writes what `ready` asks for. What has nothing to write is done when all before it is. */
  add(ready: Ready): void {
    const save: PendingSave = { ready, saved: !ready.mustPersist }
    this.#saves.push(save)
    if (save.saved) return
    const { hardState, entries } = ready
    const settled = (report: () => void) => {
      save.saved = true
      report()
      this.#settleIdle()
    }
    this.#storage.save({ hardState, entries }).then(
      () => settled(this.#host.onSaved),
      (error: unknown) => settled(() => this.#host.onFailed(error)),
    )
  }

  /** It is on disk already, and so is all before it. */
  addDone(ready: Ready): void {
    this.#saves.push({ ready, saved: true })
  }

  /** The next one that is done with all before it; undefined if there is none. */
  takeDone(): Ready | undefined {
    return this.#saves[0]?.saved === true ? this.#saves.shift()?.ready : undefined
  }

  /** Resolves when no write is under way. */
  async idle(): Promise<void> {
    if (this.#saves.every((save) => save.saved)) return
    await new Promise<void>((resolve) => this.#idle.push(resolve))
  }

  #settleIdle(): void {
    if (this.#saves.some((save) => !save.saved)) return
    for (const resolve of this.#idle.splice(0)) resolve()
  }
}
