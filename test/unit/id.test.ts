import assert from 'node:assert/strict'
import { test } from 'node:test'
import { newId } from '../../src/env/id.js'
import { SimulatedEnv } from '../lib/simulated-env.js'

test('1.1 an ID has 25 characters of [0-9a-z], and two differ', () => {
  const env = new SimulatedEnv(7)
  const ids = Array.from({ length: 1000 }, () => newId(env))
  for (const id of ids) assert.match(id, /^[0-9a-z]{25}$/)
  assert.equal(new Set(ids).size, ids.length)
})
