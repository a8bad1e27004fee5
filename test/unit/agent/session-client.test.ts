import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assignment, Fixture } from './fixture.js'

test('a manager that falls silent is left for another', async () => {
  const node = new Fixture()
  const manager = await node.open()
  await node.run(30_000)
  assert.equal(node.managers.length, 1)
  assert.ok(manager.of('heartbeat').length >= 6)
  manager.link.freeze()
  await node.run(11_000)
  assert.equal(node.managers.length, 2)
  await node.stop()
})

test('a manager that does not answer the greeting is left', async () => {
  const node = new Fixture()
  await node.start()
  await node.run(4900)
  assert.equal(node.managers.length, 1)
  await node.run(400)
  assert.equal(node.managers[0]?.near.closed?.code, 4408)
  assert.equal(node.managers.length, 2)
  await node.stop()
})

test('waits between tries grow up to 8 s and shrink again after a session', async () => {
  const dialled: number[] = []
  const node = new Fixture({
    dial: () => {
      dialled.push(node.env.monotonicMs())
      return Promise.reject(new Error('connection refused'))
    },
  })
  await node.start()
  await node.run(600_000)
  const waits = dialled.slice(1).map((atMs, index) => atMs - (dialled[index] ?? 0))
  assert.ok(waits.slice(0, 3).every((ms, index) => ms < ([100, 300, 700][index] ?? 0)))
  assert.ok(Math.max(...waits) > 5000 && Math.max(...waits) <= 8000, `${Math.max(...waits)}`)
  await node.stop()
})

test('a dial that hangs is given up, and what comes of it late is closed', async () => {
  const late: ((value: never) => void)[] = []
  const node = new Fixture({ dial: () => new Promise((resolve) => late.push(resolve)) })
  await node.start()
  await node.run(20_000)
  assert.ok(late.length >= 3)
  await node.stop()
  await node.run(60_000)
  assert.equal(node.env.nextDueMs(), undefined)
})

test('what is no message of a manager ends the session; unknown types do not', async () => {
  const node = new Fixture()
  const manager = await node.open()
  manager.near.send('{"type":"endpoint-tables"}')
  await node.run(100)
  assert.ok(node.managers.length === 1)
  manager.near.send('{"type":"assignments","kind":"partial"}')
  await node.run(100)
  assert.equal(manager.near.closed?.code, 4400)
  await node.stop()
})

test('a new session starts a new chain', async () => {
  const node = new Fixture()
  const first = await node.open()
  first.assign('incremental', 1, 2, [assignment('a')])
  await node.run(10)
  first.link.cut()
  const second = await node.reconnect()
  second.open()
  second.assign('incremental', 2, 3, [assignment('b')])
  await node.run(10)
  assert.deepEqual([...node.disk.rows.keys()], ['a'], 'only a complete set begins a chain')
  second.assign('complete', 0, 1, [assignment('b')])
  await node.run(10)
  assert.deepEqual([...node.disk.rows.keys()], ['b'])
  await node.stop()
})
