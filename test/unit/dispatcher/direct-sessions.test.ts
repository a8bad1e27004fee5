import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Dispatcher } from '../../../src/dispatcher/index.js'
import { CloseCode } from '../../../src/wire/index.js'
import { Fixture, type FakeAgent } from './fixture.js'

/** The leader is on node n2. */
async function start(relays: { isThere: boolean }): Promise<Fixture> {
  const fixture = await Fixture.start()
  await fixture.dispatcher.stop()
  fixture.dispatcher = new Dispatcher(fixture.env, fixture.store, {
    managerId: 'n2',
    hasRelays: () => relays.isThere,
  })
  fixture.dispatcher.start()
  return fixture
}

function closeCodes(agent: FakeAgent): readonly number[] {
  const codes: number[] = []
  agent.near.onClose((code) => codes.push(code))
  return codes
}

test('a leader sends the nodes that it serves itself to other managers, once there are some', async () => {
  const relays = { isThere: false }
  const fixture = await start(relays)
  const codes = closeCodes(await fixture.open('n1'))
  const ownCodes = closeCodes(await fixture.open('n2'))
  await fixture.run(3000)
  assert.deepEqual(codes, [])
  relays.isThere = true
  await fixture.run(1100)
  assert.deepEqual(codes, [CloseCode.Elsewhere])
  // The node may come back by chance, and is the leader's concern all the time.
  const again = closeCodes(await fixture.open('n1'))
  await fixture.run(5000)
  assert.deepEqual(again, [])
  assert.equal(fixture.node('n1')?.status.state, 'ready')
  await fixture.run(7000)
  assert.deepEqual(again, [CloseCode.Elsewhere])
  // Its own node has nowhere better to go; that one only missed its heartbeats.
  assert.ok(!ownCodes.includes(CloseCode.Elsewhere))
  await fixture.dispatcher.stop()
  assert.equal(fixture.env.nextDueMs(), undefined)
})
