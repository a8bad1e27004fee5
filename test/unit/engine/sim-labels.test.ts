import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseSimLabels } from '../../../src/model/sim-labels.js'

describe('labels of the simulated engine', () => {
  it('are read', () => {
    assert.deepEqual(
      parseSimLabels({
        'skep.sim.pull': '1500ms',
        'skep.sim.start': 'fail',
        'skep.sim.exit': '3@1m30s',
        'skep.sim.health': 'healthy@0s, unhealthy@2s',
        'skep.sim.stop': '2s',
        'skep.sim.log': 'user@host says hi@500ms',
        other: 'x',
      }),
      {
        pull: { delayMs: 1500 },
        start: 'fail',
        exit: { code: 3, afterMs: 90_000 },
        health: [
          { status: 'healthy', afterMs: 0 },
          { status: 'unhealthy', afterMs: 2000 },
        ],
        stopMs: 2000,
        log: { line: 'user@host says hi', intervalMs: 500 },
      },
    )
  })

  for (const [name, value] of [
    ['skep.sim.exit', '1'],
    ['skep.sim.exit', '256@1s'],
    ['skep.sim.exit', '-1@1s'],
    ['skep.sim.exit', '1@'],
    ['skep.sim.exit', '1@-1s'],
    ['skep.sim.health', 'ill@1s'],
    ['skep.sim.health', 'healthy@2s,unhealthy@1s'],
    ['skep.sim.health', ''],
    ['skep.sim.log', 'x'],
    ['skep.sim.log', 'x@0s'],
    ['skep.sim.pull', 'slow'],
    ['skep.sim.start', '5'],
    ['skep.sim.stop', 'fail'],
  ] as const) {
    it(`are refused: ${name}=${value}`, () => {
      assert.throws(() => parseSimLabels({ [name]: value }), { code: 'InvalidArgument', message: /want / })
    })
  }

  it('are refused when unknown, with those that are known', () => {
    assert.throws(
      () => parseSimLabels({ 'skep.sim.speed': '1' }),
      /unknown label skep\.sim\.speed.*skep\.sim\.exit, /,
    )
  })
})
