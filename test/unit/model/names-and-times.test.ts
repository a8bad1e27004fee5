import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkSecretOrConfigName, checkServiceOrNetworkName, randomName } from '../../../src/model/names.js'
import { formatTime, parseTime } from '../../../src/model/time.js'
import { SimulatedEnv } from '../../lib/simulated-env.js'

test('names that Docker takes', () => {
  for (const name of ['a', 'A-b_c9', 'a--_b', '0', 'a'.repeat(63)]) checkServiceOrNetworkName(name)
  for (const name of ['a', 'a.b-c_d', '9.9', 'a'.repeat(64)]) checkSecretOrConfigName(name)
})

test('names that it does not', () => {
  for (const name of ['', undefined, '-a', 'a-', 'a.b', 'a b', 'ä', 'a\n', 'a'.repeat(64)]) {
    assert.throws(() => checkServiceOrNetworkName(name), { code: 'InvalidArgument' })
  }
  for (const name of ['', undefined, '.a', 'a.', 'a/b', 'a'.repeat(65)]) {
    assert.throws(() => checkSecretOrConfigName(name), { code: 'InvalidArgument' })
  }
})

test('made-up names are valid, and there are many', () => {
  const env = new SimulatedEnv(3)
  const names = Array.from({ length: 1000 }, () => randomName(env))
  for (const name of names) checkServiceOrNetworkName(name)
  assert.ok(new Set(names).size > 900)
})

test('times lose the zeros at their end', () => {
  assert.equal(formatTime(Date.UTC(2026, 10, 21, 5, 10, 26, 120)), '2026-11-21T05:10:26.12Z')
  assert.equal(formatTime(Date.UTC(2026, 10, 21, 5, 10, 20)), '2026-11-21T05:10:20Z')
  assert.equal(formatTime(undefined), '0001-01-01T00:00:00Z')
})

test('RFC 3339 is read, and nothing else', () => {
  assert.equal(parseTime('2026-11-21T05:10:26.123456789Z'), Date.UTC(2026, 10, 21, 5, 10, 26, 123))
  assert.equal(parseTime('2026-11-21T05:10:26+02:00'), Date.UTC(2026, 10, 21, 3, 10, 26))
  for (const text of ['', '2026', '2026-11-21', '21 Nov 2026', '2026-13-01T00:00:00Z']) {
    assert.equal(parseTime(text), undefined, text)
  }
})
