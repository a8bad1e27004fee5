import type { Env } from '../../env/env.js'
import type { Member } from '../core/index.js'
import { PeerClose, type PeerConnection } from './connection.js'

/**
 * Connects to a member, where its context says. Rejects unless the other end has proven to be the node that
 * the context names.
 */
export type Dial = (member: Member) => Promise<PeerConnection>

/** A few round trips, also over a slow line. */
const dialTimeoutMs = 2000

/** @throws (as a rejection) what `dial` throws, or after two seconds; a connection that comes later is closed. */
export function connectTo(env: Env, dial: Dial, member: Member): Promise<PeerConnection> {
  return new Promise((resolve, reject) => {
    let isLate = false
    const cancelTimer = env.after(dialTimeoutMs, () => {
      isLate = true
      reject(new Error('no answer'))
    })
    dial(member).then(
      (connection) => {
        cancelTimer()
        if (isLate) connection.close(PeerClose.GoingAway, 'too late')
        else resolve(connection)
      },
      (error: unknown) => {
        cancelTimer()
        reject(error instanceof Error ? error : new Error(String(error)))
      },
    )
  })
}
