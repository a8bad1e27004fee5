import assert from 'node:assert/strict'
import { test } from 'node:test'
import { raftRules } from '../../../src/raft/core/index.js'
import { simulate, type SimulationOptions } from './simulation.js'

/**
 * A simulation that never complains proves nothing. Each of these breaks one rule on purpose; some seed must
 * notice. Without the mutation the same worlds must pass.
 */
const mutations: readonly [string, number, Omit<SimulationOptions, 'seed'>][] = [
  ['a disk that acknowledges before it syncs', 40, { skipFsync: true }],
  ['two votes in one term', 200, { rules: { ...raftRules, mayVote: () => true } }],
  [
    'an entry of an older term committed by counting',
    100,
    { rules: { ...raftRules, mayCommit: () => true }, deadlyLeadership: true, faultsMs: 40_000 },
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
        /two leaders|differs from others|without committed entry|is committed and would be replaced|log ends at|stale read|ended at|two different entries|a term went back/,
      )
      return
    }
    assert.fail(`none of ${seeds} seeds noticed`)
  })
}

test('without a mutation the same worlds pass', async () => {
  for (let seed = 1; seed <= 40; seed++) await simulate({ seed, deadlyLeadership: true, faultsMs: 40_000 })
})
