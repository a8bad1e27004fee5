import assert from 'node:assert/strict'
import { test } from 'node:test'
import { playSeeds } from '../../lib/seed-workers.js'
import { runHistory } from './history.js'
import type { Share } from './seed-worker.js'

const seeds = Number(process.env['SKEP_SIM_SEEDS'] ?? 1000)
const firstSeed = Number(process.env['SKEP_SIM_FIRST_SEED'] ?? 1)

/** Plays `count` seeds, each core its share. Rejects with the first failure, which names its seed. */
async function playAll(kind: Share['kind'], count: number): Promise<void> {
  const played = await playSeeds(new URL('./seed-worker.js', import.meta.url), firstSeed, count, { kind })
  assert.equal(played.length, count)
}

const from = `from seed ${firstSeed}`

test(`2.4 ${seeds} random histories end as the specs say, and nothing goes back, ${from}`, async () => {
  await playAll('histories', seeds)
})

test(`2.7 the same with the real allocator and scheduler, ${from}`, async () => {
  await playAll('real loops', Math.ceil(seeds / 10))
})

test(`3.8 random updates and drains leave as many replicas as their settings ask for, ${from}`, async () => {
  await playAll('updates', Math.ceil(seeds / 4))
})

test('seeds that once found a bug', async () => {
  await runHistory(288, false)
  await runHistory(72, true)
})
