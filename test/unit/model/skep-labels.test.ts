import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkSkepLabels } from '../../../src/model/skep-labels.js'

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
