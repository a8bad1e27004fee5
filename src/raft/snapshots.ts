import type { MessageOf, Ready, SnapshotMetadata } from './core/index.js'
import type { StagedState, StateMachine } from './interfaces.js'
import type { LogStorage } from './log/log-storage.js'

/** Takes snapshots of other members: first all of the content, then, in one stretch, state and log. */
export class Snapshots {
  readonly #storage: LogStorage
  readonly #stateMachine: StateMachine
  #staged: StagedState | undefined
  #isReceiving = false

  constructor(storage: LogStorage, stateMachine: StateMachine) {
    this.#storage = storage
    this.#stateMachine = stateMachine
  }

  /** @throws (as a rejection) if another one is under way, or the content is broken. */
  async receive(message: MessageOf<'snapshot'>, content: AsyncIterable<Uint8Array>): Promise<void> {
    if (this.#isReceiving) throw new Error('a snapshot is being received already')
    this.#isReceiving = true
    try {
      this.#staged = await this.#stateMachine.restore(message.snapshot, content)
    } finally {
      this.#isReceiving = false
    }
  }

  /** What was received becomes the state, and its place the beginning of the log. */
  async install(ready: Ready, snapshot: SnapshotMetadata): Promise<void> {
    const staged = this.#staged
    this.#staged = undefined
    if (staged === undefined) throw new Error('there is no content for it')
    await this.#storage.stageSnapshot(snapshot)
    await staged.install()
    await this.#storage.save({ hardState: ready.hardState, snapshot, entries: ready.entries })
  }

  /** The log may have caught up meanwhile. */
  discardUnused(): void {
    this.#staged?.discard()
    this.#staged = undefined
  }
}
