import assert from 'node:assert/strict'
import { test } from 'node:test'
import { playSeeds } from '../../lib/seed-workers.js'
import type { Oracle } from './oracle.js'
import { simulate } from './simulation.js'

const SEEDS = Number(process.env['SKEP_SIM_SEEDS'] ?? 2000)
const FIRST_SEED = Number(process.env['SKEP_SIM_FIRST_SEED'] ?? 1)

type Counts = Oracle['counts']

test(`${SEEDS} seeds: no rule of raft is broken, and every cluster recovers`, async (t) => {
  const all = await playSeeds(new URL('./seed-worker.js', import.meta.url), FIRST_SEED, SEEDS)
  assert.equal(all.length, SEEDS)
  const totals: Record<string, number> = {}
  for (const { counts } of all as readonly { readonly counts: Counts }[]) {
    for (const [name, count] of Object.entries(counts)) totals[name] = (totals[name] ?? 0) + count
  }
  t.diagnostic(JSON.stringify({ firstSeed: FIRST_SEED, ...totals }))
  // A simulation in which nothing happens finds nothing.
  if (SEEDS >= 100) {
    for (const [name, count] of Object.entries(totals)) assert.ok(count > SEEDS / 10, `${name}: ${count}`)
  }
})

test('the same seed gives the same trace, another seed another one', async () => {
  for (const options of [{ seed: 4242 }, { seed: 77, twoAndWitness: true }]) {
    const first = await simulate(options)
    const second = await simulate(options)
    const other = await simulate({ ...options, seed: options.seed + 1 })
    assert.equal(first.traceHash, second.traceHash)
    assert.notEqual(first.traceHash, other.traceHash)
  }
})
