import assert from 'node:assert/strict'
import { test } from 'node:test'
import { timeDigits, unixMsOf } from '../../../src/ca/der-time.js'
import { fromDer, time, timeOf, toDer } from '../../../src/ca/der.js'
import { seededRandom } from '../../lib/simulated-env.js'

test('dates agree with those of JavaScript', () => {
  const random = seededRandom(1)
  const edges = [
    '1949-12-31T23:59:59Z',
    '1950-01-01T00:00:00Z',
    '1969-12-31T23:59:59Z',
    '1970-01-01T00:00:00Z',
  ]
  edges.push('2000-02-29T12:00:00Z', '2049-12-31T23:59:59Z', '2050-01-01T00:00:00Z', '2100-02-28T23:59:59Z')
  const moments = edges.map((text) => Date.parse(text))
  for (let n = 0; n < 5000; n++) moments.push(Math.floor((random() * 400 - 100) * 31_556_952) * 1000)
  for (const unixMs of moments) {
    const expected = new Date(unixMs)
      .toISOString()
      .replace(/\.000Z$/, 'Z')
      .replace(/[-:T]/g, '')
    assert.equal(timeDigits(unixMs).digits, expected)
    assert.equal(timeOf(fromDer(toDer(time(unixMs)))), unixMs)
  }
})

test('a date that does not exist is no date', () => {
  assert.equal(unixMsOf(2026, 2, 29, 0, 0, 0), undefined)
  assert.equal(unixMsOf(2026, 13, 1, 0, 0, 0), undefined)
  assert.equal(unixMsOf(2026, 0, 1, 0, 0, 0), undefined)
  assert.equal(unixMsOf(2026, 1, 1, 24, 0, 0), undefined)
  assert.equal(unixMsOf(2024, 2, 29, 0, 0, 0), Date.UTC(2024, 1, 29))
})
