import Value from 'typebox/value'
import Type from 'typebox'
import { sleep, type Env } from '../env/env.js'
import { errorText } from '../model/errors.js'
import { memberRemovedText } from '../manager/manager-members.js'

/** A manager becomes a member of raft, or says where it is now. */
export const joinRaftCall = 'join-raft'
/** Whose manager answers at an address. */
export const probeCall = 'probe'

const AnswerSchema = Type.Object({ addr: Type.String() })

const firstRetryMs = 100
const maxRetryMs = 5000

/**
 * Makes a manager known to the leader as a member of raft, under its present address, however long that takes.
 * @param isMember whether the log shows it so already.
 * @returns the address under which the others know this manager; `removed` when its member was taken out for
 *   good, and another one has to be made.
 */
export async function joinRaft(
  env: Env,
  options: {
    readonly memberId: string
    readonly addr: string
    readonly isMember: () => boolean
    /** A log that is not empty may say so when it has been read. */
    readonly firstDelayMs: number
    readonly callManagers: (name: string, args: unknown) => Promise<unknown>
  },
  signal: AbortSignal,
): Promise<{ readonly addr: string } | 'removed' | 'stopped'> {
  const { memberId, addr, isMember, firstDelayMs, callManagers } = options
  if (firstDelayMs > 0) await sleep(env, firstDelayMs, signal).catch(() => undefined)
  for (let delayMs = firstRetryMs; !signal.aborted; delayMs = Math.min(2 * delayMs, maxRetryMs)) {
    if (isMember()) return { addr }
    try {
      const answer = await callManagers(joinRaftCall, { memberId, addr })
      if (Value.Check(AnswerSchema, answer)) return answer
    } catch (error) {
      const text = errorText(error)
      if (text.includes(memberRemovedText)) return 'removed'
      env.log.info({ err: text }, 'this manager is no member of raft yet; asking again')
    }
    await sleep(env, delayMs, signal).catch(() => undefined)
  }
  return 'stopped'
}
