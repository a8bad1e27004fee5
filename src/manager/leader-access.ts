import { sleep, type Env } from '../env/env.js'
import { SwarmError, clusterError } from '../model/errors.js'

export const noLeaderText =
  "The swarm does not have a leader. It's possible that too few managers are online. Make sure more than half of the managers are online."

/** How long a request waits for a leader. Behaviour: moby daemon/cluster, swarmRequestTimeout. */
const requestTimeoutMs = 20_000
/**
 * A swarm without a leader for longer than this will not have one soon: requests fail at once.
 * Behaviour: as moby/swarmkit manager/state/raft, which waits for ten of its ticks of a second.
 */
const leaderlessMs = 5000
const retryMs = 25

/**
 * Lets requests wait for a leader: what comes during an election is answered after it, and what comes when
 * there has been no leader for long fails at once.
 */
export class LeaderAccess {
  readonly #env: Env
  readonly #hasLeader: () => boolean
  #leaderSeenMs: number

  /** @param hasLeader some member leads, as far as this one knows. */
  constructor(env: Env, hasLeader: () => boolean) {
    this.#env = env
    this.#hasLeader = hasLeader
    this.#leaderSeenMs = env.monotonicMs()
  }

  /** The leader may have changed. */
  onChange(hadLeader: boolean): void {
    if (hadLeader || this.#hasLeader()) this.#leaderSeenMs = this.#env.monotonicMs()
  }

  /**
   * Tries until `attempt` gives something, again when it says that nothing has happened.
   * @throws {SwarmError} Unknown when there is no leader, DeadlineExceeded after 20 s; what `attempt` throws.
   */
  async persist<T>(attempt: () => Promise<T>, hasNotHappened: (error: unknown) => boolean): Promise<T> {
    const endMs = this.#env.monotonicMs() + requestTimeoutMs
    for (;;) {
      try {
        return await this.#until(endMs, attempt())
      } catch (error) {
        if (!hasNotHappened(error)) throw error
        this.onChange(false)
        const nowMs = this.#env.monotonicMs()
        if (nowMs - this.#leaderSeenMs > leaderlessMs) {
          throw clusterError('Unknown', noLeaderText, { cause: error })
        }
        if (nowMs >= endMs) {
          throw clusterError('DeadlineExceeded', 'context deadline exceeded', { cause: error })
        }
      }
      await sleep(this.#env, retryMs)
    }
  }

  #until<T>(endMs: number, answer: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const cancel = this.#env.after(endMs - this.#env.monotonicMs(), () =>
        reject(clusterError('DeadlineExceeded', 'context deadline exceeded')),
      )
      answer.then(resolve, reject).finally(cancel)
    })
  }
}

const unreachedCodes: readonly string[] = ['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH']

/**
 * Whether a call to the leader reached nobody, or nobody who leads. One whose connection broke, or that took
 * too long, may have been done.
 */
export function hasNotReachedLeader(error: unknown): boolean {
  if (!(error instanceof SwarmError) || error.code !== 'Unavailable') return false
  if (error.message.includes(noLeaderText) || error.message.includes('more than one redirect to leader'))
    return true
  const { code = '' } = (error.cause ?? {}) as NodeJS.ErrnoException
  return unreachedCodes.includes(code)
}
