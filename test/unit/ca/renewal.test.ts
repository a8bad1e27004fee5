import assert from 'node:assert/strict'
import { test } from 'node:test'
import { renewalDelayMs } from '../../../src/ca/renewal.js'
import { SimulatedEnv } from '../../lib/simulated-env.js'

const hourMs = 3_600_000

test('a certificate is renewed between half and four fifths of its lifetime', () => {
  const env = new SimulatedEnv(11)
  const nowMs = env.nowMs()
  const lifetime = { notBeforeMs: nowMs, notAfterMs: nowMs + 100 * hourMs }
  const delays = Array.from({ length: 2000 }, () => renewalDelayMs(env, lifetime))
  assert.ok(Math.min(...delays) >= 50 * hourMs)
  assert.ok(Math.max(...delays) < 80 * hourMs)
  // Spread over the whole window, not bunched up.
  assert.ok(Math.min(...delays) < 51 * hourMs && Math.max(...delays) > 79 * hourMs)
})

test('a renewal that is due is due now', () => {
  const env = new SimulatedEnv()
  const nowMs = env.nowMs()
  assert.equal(renewalDelayMs(env, { notBeforeMs: nowMs - 90 * hourMs, notAfterMs: nowMs + 10 * hourMs }), 0)
  assert.equal(renewalDelayMs(env, { notBeforeMs: nowMs - 9 * hourMs, notAfterMs: nowMs - hourMs }), 0)
  assert.equal(renewalDelayMs(env, { notBeforeMs: nowMs, notAfterMs: nowMs + 1000 }), 0)
})
