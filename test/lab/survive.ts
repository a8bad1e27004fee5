import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { seededRandom } from '../lib/simulated-env.js'
import { faults } from './faults.js'
import { Lab } from './lab.js'
import { describeRound } from './report.js'

/** Some faults, once each, as a test: what clients saw must be right. Times are printed and prove nothing here. */
export async function surviveFaults(
  t: TestContext,
  names: readonly string[],
  options: { readonly isolated: boolean },
): Promise<void> {
  const seed = Number(process.env['SKEP_SEED'] ?? Date.now() % 100_000)
  t.diagnostic(`SKEP_SEED=${seed}`)
  const lab = await Lab.start({ ...options, random: seededRandom(seed), holdMs: 500 })
  t.after(() => lab.stop())
  for (const name of names) {
    const fault = faults.find((fault) => fault.name === name)
    assert.ok(fault, `there is no fault ${name}`)
    t.diagnostic(describeRound(await lab.round(fault)))
    assert.deepEqual(lab.history.violations, [])
  }
}
