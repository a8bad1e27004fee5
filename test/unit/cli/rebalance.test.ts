import assert from 'node:assert/strict'
import { test } from 'node:test'
import { rebalanceText } from '../../../src/cli/rebalance/command.js'

const move = {
  serviceId: 's',
  serviceName: 'web',
  taskId: 't',
  taskName: 'web.1.t',
  fromNodeId: '1',
  fromHostname: 'a',
  toNodeId: '2',
  toHostname: 'b',
  reason: 'a runs 3 tasks of the service, b runs 1',
}

test('14.7 the moves are listed with their reasons, and so is what does not move', () => {
  const obstacles = [
    { serviceId: 'g', serviceName: 'agent', text: 'runs on every node', passes: false },
    { serviceId: 'd', serviceName: 'db', text: 'has 1 of 2 replicas running', passes: true },
  ]
  assert.equal(
    rebalanceText({ dryRun: true, moves: [move], obstacles }),
    [
      '1 task of 1 service would move:',
      '',
      'TASK      FROM   TO   WHY',
      'web.1.t   a      b    a runs 3 tasks of the service, b runs 1',
      '',
      'Not moved:',
      '  agent runs on every node',
      '  db has 1 of 2 replicas running, for now',
    ].join('\n'),
  )
  assert.match(
    rebalanceText({ dryRun: false, moves: [move, move], obstacles: [] }),
    /^2 tasks of 1 service will move:/,
  )
  assert.equal(rebalanceText({ dryRun: false, moves: [], obstacles: [] }), 'Nothing to move.')
})
