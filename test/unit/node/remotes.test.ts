import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Remotes, type WeightedManager } from '../../../src/node/remotes.js'
import { formatHostPort } from '../../../src/node/addresses.js'
import { SimulatedEnv } from '../../lib/simulated-env.js'

const three: readonly WeightedManager[] = [
  { nodeId: 'a', addr: '10.0.0.1:2377', weight: 10 },
  { nodeId: 'b', addr: '10.0.0.2:2377', weight: 10 },
  { nodeId: 'c', addr: '10.0.0.3:2377', weight: 1 },
]

/** How often each is picked of `times`. */
function picks(remotes: Remotes, times: number, except?: string): Record<string, number> {
  const counts: Record<string, number> = {}
  for (let index = 0; index < times; index++) {
    const picked = remotes.pick(except)
    const addr = picked === undefined ? 'nobody' : formatHostPort(picked)
    counts[addr] = (counts[addr] ?? 0) + 1
  }
  return counts
}

function between(count: number | undefined, low: number, high: number, what: string): void {
  assert.ok(count !== undefined && count >= low && count <= high, `${what}: ${count}`)
}

test('managers are picked by chance and weight', () => {
  const counts = picks(new Remotes(new SimulatedEnv(1), three), 2100)
  between(counts['10.0.0.1:2377'], 850, 1150, 'a')
  between(counts['10.0.0.2:2377'], 850, 1150, 'b')
  between(counts['10.0.0.3:2377'], 50, 160, 'c')
})

test('one that failed is rarely picked while there are others, and like them when they fail, too', () => {
  const env = new SimulatedEnv(1)
  const remotes = new Remotes(env, three.slice(0, 2))
  remotes.failed('10.0.0.1:2377')
  assert.equal(remotes.hasFailed('10.0.0.1:2377'), true)
  between(picks(remotes, 1000)['10.0.0.1:2377'] ?? 0, 0, 50, 'a after its failure')
  remotes.failed('10.0.0.2:2377')
  between(picks(remotes, 1000)['10.0.0.1:2377'], 400, 600, 'a after the failure of all')
  remotes.succeeded('10.0.0.1:2377')
  between(picks(remotes, 1000)['10.0.0.1:2377'], 950, 1000, 'a after its success')
  env.advance(31_000)
  assert.equal(remotes.hasFailed('10.0.0.2:2377'), false)
  between(picks(remotes, 1000)['10.0.0.2:2377'], 400, 600, 'b when its failure is long ago')
})

test('a node that shall not be asked is not, and nobody is where there is nobody', () => {
  const remotes = new Remotes(new SimulatedEnv(1), three)
  assert.equal(picks(remotes, 500, 'a')['10.0.0.1:2377'], undefined)
  assert.deepEqual(picks(new Remotes(new SimulatedEnv(1), []), 1), { nobody: 1 })
  assert.deepEqual(picks(new Remotes(new SimulatedEnv(1), three.slice(0, 1)), 1, 'a'), { nobody: 1 })
})

test('what sessions tell replaces what is known; an empty list does not', () => {
  const remotes = new Remotes(new SimulatedEnv(1), [{ nodeId: '', addr: '10.0.0.1:2377' }])
  assert.equal(remotes.learn([]), false)
  assert.equal(remotes.managers.length, 1)
  assert.equal(remotes.learn(three), true)
  assert.equal(remotes.learn(three), false)
  assert.deepEqual(remotes.managers[2], { nodeId: 'c', addr: '10.0.0.3:2377' })
  // Another leader is no news of the managers, but counts.
  assert.equal(remotes.learn(three.map((manager) => ({ ...manager, weight: 10 }))), false)
  between(picks(remotes, 900)['10.0.0.3:2377'], 200, 400, 'c with the weight of the others')
  assert.equal(remotes.learn([{ nodeId: 'b', addr: '10.0.0.9:2377' }]), true)
  assert.deepEqual(picks(remotes, 10), { '10.0.0.9:2377': 10 })
})
