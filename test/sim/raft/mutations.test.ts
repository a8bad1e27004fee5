import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Message } from '../../../src/raft/index.js'
import { raftRules } from '../../../src/raft/core/index.js'
import { simulate, type SimulationOptions } from './simulation.js'

/** Says that it has what it was sent, though its log does not fit. */
function acknowledgesAnything(message: Message): Message {
  if (message.type !== 'appendReply' || !message.refused) return message
  const { from, to, term, index } = message
  return { from, to, term, type: 'appendReply', refused: false, index }
}

/**
 * A simulation that never complains proves nothing. Each of these breaks one rule on purpose; some seed must
 * notice. Without the mutation the same worlds must pass.
 */
const mutations: readonly [string, number, Omit<SimulationOptions, 'seed'>][] = [
  ['a disk that acknowledges before it syncs', 40, { skipFsync: 'all' }],
  ['two votes in one term', 300, { rules: { ...raftRules, mayVote: () => true } }],
  [
    'an entry of an older term committed by counting',
    100,
    { rules: { ...raftRules, mayCommit: () => true }, deadlyLeadership: true, faultsMs: 40_000 },
  ],
  ['a witness that acknowledges before it syncs', 100, { skipFsync: 'witness', twoAndWitness: true }],
  ['a witness that acknowledges entries it lacks', 100, { lie: acknowledgesAnything, twoAndWitness: true }],
  [
    'a witness that votes for a server that lacks what it has',
    100,
    { witnessRules: { ...raftRules, isUpToDate: () => true }, twoAndWitness: true },
  ],
]

for (const [name, seeds, mutation] of mutations) {
  test(`caught: ${name}`, async (t) => {
    for (let seed = 1; seed <= seeds; seed++) {
      const failure = await simulate({ ...mutation, seed }).then(
        () => undefined,
        (error: unknown) => error,
      )
      if (failure === undefined) continue
      assert.ok(failure instanceof Error)
      t.diagnostic(failure.message.split('\n')[0] ?? '')
      assert.match(
        failure.message,
        /two leaders|differs from others|without committed entry|is committed and would be replaced|log ends at|stale read|ended at|two different entries|a term went back|has a gap/,
      )
      return
    }
    assert.fail(`none of ${seeds} seeds noticed`)
  })
}

test('without a mutation the same worlds pass', async () => {
  for (let seed = 1; seed <= 40; seed++) {
    await simulate({ seed, deadlyLeadership: true, faultsMs: 40_000 })
    await simulate({ seed, twoAndWitness: true })
  }
})
