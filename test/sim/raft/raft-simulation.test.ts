import assert from 'node:assert/strict'
import { test } from 'node:test'
import { simulate } from './simulation.js'

const SEEDS = Number(process.env['SKEP_SIM_SEEDS'] ?? 300)
const FIRST_SEED = Number(process.env['SKEP_SIM_FIRST_SEED'] ?? 1)

test(`${SEEDS} seeds: no rule of raft is broken, and every cluster recovers`, async (t) => {
  const totals: Record<string, number> = {}
  for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed++) {
    const { counts } = await simulate({ seed })
    for (const [name, count] of Object.entries(counts)) totals[name] = (totals[name] ?? 0) + count
  }
  t.diagnostic(JSON.stringify(totals))
  // A simulation in which nothing happens finds nothing.
  if (SEEDS >= 100) {
    for (const [name, count] of Object.entries(totals)) assert.ok(count > SEEDS / 10, `${name}: ${count}`)
  }
})

test('the same seed gives the same trace, another seed another one', async () => {
  const first = await simulate({ seed: 4242 })
  const second = await simulate({ seed: 4242 })
  const other = await simulate({ seed: 4243 })
  assert.equal(first.traceHash, second.traceHash)
  assert.notEqual(first.traceHash, other.traceHash)
})
