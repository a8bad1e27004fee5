import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkSkepLabels, checkSwarmLabels } from '../../../src/model/skep-labels.js'

test('labels that are not Skep’s, and known ones', () => {
  checkSkepLabels({ a: 'b', skep: '1', 'skeptic.x': '1' }, { 'skep.sim.exit': '1@2s', 'com.example': '' })
})

test('unknown, misplaced and malformed ones are refused, with the list', () => {
  const unknown =
    /^unknown label skep\.sim\.exitt; known labels of services: .*of containers: .*skep\.sim\.exit, /
  assert.throws(() => checkSkepLabels({}, { 'skep.sim.exitt': '1@2s' }), {
    code: 'InvalidArgument',
    message: unknown,
  })
  assert.throws(() => checkSkepLabels({ 'skep.sim.exit': '1@2s' }, {}), {
    message: /^skep\.sim\.exit is a label of containers; known labels/,
  })
  assert.throws(() => checkSkepLabels({}, { 'skep.sim.exit': 'never' }), { code: 'InvalidArgument' })
})

test('14.3 labels about placement: grammar and defaults of the swarm', () => {
  checkSkepLabels(
    {
      'skep.affinity': 'cache, prefer tier=data,com.example.x=*',
      'skep.anti-affinity': 'prefer web',
      'skep.placement.strategy': 'binpack',
      'skep.rebalance': 'auto',
    },
    {},
  )
  checkSwarmLabels({
    'skep.placement.strategy': 'random',
    'skep.rebalance': 'off',
    'skep.brake.delay': '5m',
    other: 'x',
  })
  assert.throws(() => checkSwarmLabels({ 'skep.brake.delay': 'soon' }), { code: 'InvalidArgument' })
  for (const value of ['', 'a b', 'a,', '=x', 'x=', 'not/a/name', 'prefer']) {
    if (value === 'prefer') checkSkepLabels({ 'skep.affinity': value }, {})
    else
      assert.throws(() => checkSkepLabels({ 'skep.affinity': value }, {}), { code: 'InvalidArgument' }, value)
  }
  assert.throws(() => checkSkepLabels({ 'skep.placement.strategy': 'tight' }, {}), {
    message: 'invalid label skep.placement.strategy=tight: want spread, binpack, random',
  })
  assert.throws(() => checkSwarmLabels({ 'skep.affinity': 'web' }), {
    message:
      /^unknown label skep\.affinity; known labels of the swarm: skep\.brake\.delay, skep\.placement\.strategy, skep\.rebalance$/,
  })
})
