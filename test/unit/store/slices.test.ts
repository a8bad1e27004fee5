import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inSlices } from '../../../src/store/slices.js'
import { SimulatedEnv } from '../../lib/simulated-env.js'

test('long work gives way to other work every few milliseconds, and loses nothing', async () => {
  const env = new SimulatedEnv()
  const done: number[] = []
  let turns = 0
  const other = () => {
    turns++
    if (done.length < 10) setImmediate(other)
  }
  setImmediate(other)
  const items = Array.from({ length: 10 }, (_, at) => at)
  const work = inSlices(
    env,
    items,
    (item) => {
      done.push(item)
      env.advance(1)
    },
    new AbortController().signal,
  )
  assert.deepEqual(done, [0, 1, 2, 3])
  await work
  assert.deepEqual(done, items)
  assert.ok(turns >= 2)
})

test('aborted work stops', async () => {
  const abort = new AbortController()
  const done: number[] = []
  await inSlices(
    new SimulatedEnv(),
    [1, 2, 3],
    (item) => {
      done.push(item)
      if (item === 2) abort.abort()
    },
    abort.signal,
  )
  assert.deepEqual(done, [1, 2])
})
