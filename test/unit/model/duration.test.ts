import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatDuration, parseDuration, parseDurationMs } from '../../../src/model/duration.js'

test('Go durations are read', () => {
  const cases: Readonly<Record<string, number>> = {
    '0': 0,
    '5s': 5e9,
    '1500ms': 1.5e9,
    '1.5h': 5400e9,
    '.5s': 5e8,
    '5.s': 5e9,
    '1h15m30.918273645s': 4530918273645,
    '10us': 1e4,
    '10µs': 1e4,
    '10μs': 1e4,
    '3ns': 3,
    '-2m3.4s': -123.4e9,
    '+5s': 5e9,
    '-0': 0,
  }
  for (const [text, nanos] of Object.entries(cases)) assert.equal(parseDuration(text), nanos, text)
  assert.equal(parseDurationMs('1.5s'), 1500)
})

test('and refused in Go’s words', () => {
  const cases = {
    '': 'time: invalid duration ""',
    '3': 'time: missing unit in duration "3"',
    '-': 'time: invalid duration "-"',
    s: 'time: invalid duration "s"',
    '.': 'time: invalid duration "."',
    '3days': 'time: unknown unit "days" in duration "3days"',
    '3toString': 'time: unknown unit "toString" in duration "3toString"',
    '1s ': 'time: unknown unit "s " in duration "1s "',
    '3000000h': 'time: invalid duration "3000000h"',
  }
  for (const [text, message] of Object.entries(cases))
    assert.throws(() => parseDuration(text), { message }, text)
})

test('and written as Go does', () => {
  const cases: readonly (readonly [number, string])[] = [
    [0, '0s'],
    [1, '1ns'],
    [1100, '1.1µs'],
    [2_200_000, '2.2ms'],
    [3.3e9, '3.3s'],
    [3600e9, '1h0m0s'],
    [245e9, '4m5s'],
    [-(5 * 3600e9 + 6 * 60e9 + 7.001e9), '-5h6m7.001s'],
  ]
  for (const [nanos, text] of cases) assert.equal(formatDuration(nanos), text)
})
