import type { Env } from '../env/env.js'
import type { RaftDriverOptions } from './driver-options.js'
import { RaftDriver } from './driver.js'
import type { StagedState, StateMachine } from './interfaces.js'

/** Entries after which the log is cut off; what stays shows a leader where the logs agree. */
const COMPACT_EVERY = 64
const KEPT_ENTRIES = 16

/** What a witness has in place of a state machine: nothing. It holds the log to its promise to be empty. */
class WitnessMachine implements StateMachine {
  readonly appliedIndex: number
  readonly #onApplied: (index: number) => void

  constructor(appliedIndex: number, onApplied: (index: number) => void) {
    this.appliedIndex = appliedIndex
    this.#onApplied = onApplied
  }

  /** @throws {Error} if there is anything to apply. */
  apply(index: number, _term: number, data: Uint8Array): void {
    if (data.byteLength > 0) throw new Error('a witness takes no payloads')
    this.#onApplied(index)
  }

  snapshot(): AsyncIterable<Uint8Array> {
    throw new Error('a witness has nothing to send')
  }

  async restore(_snapshot: unknown, content: AsyncIterable<Uint8Array>): Promise<StagedState> {
    for await (const piece of content) {
      if (piece.byteLength > 0) throw new Error('a witness takes no state')
    }
    return { install: () => Promise.resolve(), discard: () => undefined }
  }
}

/**
 * A member that votes and acknowledges, and never leads: of the log it keeps where its end is. The others must
 * have added it with `addWitness`.
 * @throws as `RaftDriver.start`.
 */
export async function startWitness(
  env: Env,
  options: Omit<RaftDriverOptions, 'stateMachine' | 'bootstrap' | 'logEntriesForSlowFollowers'>,
): Promise<RaftDriver> {
  const { snapshot } = await options.storage.load()
  const running: { driver?: RaftDriver } = {}
  let applied = 0
  const onApplied = (index: number) => {
    applied++
    // A failed write ends the member, which `onFatal` tells.
    if (applied % COMPACT_EVERY === 0) void running.driver?.compactTo(index)
  }
  running.driver = await RaftDriver.start(env, {
    ...options,
    stateMachine: new WitnessMachine(snapshot.index, onApplied),
    logEntriesForSlowFollowers: KEPT_ENTRIES,
  })
  return running.driver
}
