import { quorumOf } from './membership.js'
import type { MemberId } from './types.js'

/** Answers to one candidate in one election. */
export class Ballot {
  readonly #answers = new Map<MemberId, boolean>()

  /** Counts an answer, the first of each member. Answers of those who are no voters do not matter. */
  count(from: MemberId, granted: boolean, voters: readonly MemberId[]): 'won' | 'lost' | 'open' {
    if (!this.#answers.has(from)) this.#answers.set(from, granted)
    const answers = voters.map((voter) => this.#answers.get(voter))
    const quorum = quorumOf(voters.length)
    if (answers.filter((answer) => answer === true).length >= quorum) return 'won'
    return answers.filter((answer) => answer === false).length > voters.length - quorum ? 'lost' : 'open'
  }
}
