import { encodeChange, type Entry, type MemberId } from '../core/index.js'
import { emptyLogState, type LogState, type LogStorage } from './log-storage.js'

/**
 * Loads the log and makes it fit a state machine that holds everything up to `appliedIndex`.
 * @param bootstrap given for the very first member of a cluster; ignored if the log is not empty.
 */
export async function openLog(
  storage: LogStorage,
  appliedIndex: number,
  id: MemberId,
  bootstrap: { readonly context: string } | undefined,
): Promise<LogState> {
  const state = await settleStaged(await storage.load(), storage, appliedIndex)
  if (bootstrap === undefined || !isEmpty(state)) return state
  return bootstrapLog(storage, id, bootstrap.context)
}

/** Finishes or forgets a snapshot that was being installed when the process ended. */
async function settleStaged(state: LogState, storage: LogStorage, appliedIndex: number): Promise<LogState> {
  const { staged, hardState } = state
  if (staged === undefined) return state
  if (appliedIndex < staged.index) {
    await storage.stageSnapshot(undefined)
    return { ...state, staged: undefined }
  }
  const commit = Math.max(hardState.commit, staged.index)
  const batch = { hardState: { ...hardState, commit }, snapshot: staged, entries: [] }
  await storage.save(batch)
  return { ...batch, staged: undefined }
}

function isEmpty(state: LogState): boolean {
  return state.entries.length === 0 && state.snapshot.index === 0 && state.hardState.term === 0
}

/** The first member's log begins with the entry that makes it a member. */
async function bootstrapLog(storage: LogStorage, id: MemberId, context: string): Promise<LogState> {
  const data = encodeChange({ type: 'add', member: { id, kind: 'voter', context } })
  const entries: readonly Entry[] = [{ index: 1, term: 1, kind: 'membership', data }]
  const hardState = { term: 1, votedFor: undefined, commit: 1 }
  await storage.save({ hardState, entries })
  return { ...emptyLogState, hardState, entries }
}
