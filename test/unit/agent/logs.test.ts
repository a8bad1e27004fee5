import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { LogOptions } from '../../../src/model/logs.js'
import { decodeLogFrame, logWindowBytes } from '../../../src/wire/index.js'
import { assignment, Fixture, type FakeManager } from './fixture.js'

const once: LogOptions = { follow: false, stdout: true, stderr: true }

function subscribe(manager: FakeManager, taskIds: string[], options: LogOptions): void {
  manager.say({
    type: 'log-subscribe',
    subscriptionId: 's',
    serviceIds: ['web'],
    taskIds,
    options: { ...options },
  })
}

function lines(manager: FakeManager): string[] {
  return manager.frames.flatMap((frame) =>
    decodeLogFrame(frame).messages.map(({ taskId, data }) => `${taskId} ${data.toString().slice(0, 10)}`),
  )
}

const image = (name: string, serviceId: string) => ({ spec: { ContainerSpec: { Image: name } }, serviceId })

test('the logs of all matching tasks come in the order of time, then the end', async () => {
  const node = new Fixture()
  node.engine.behaviours.set('one', { log: [1, 4, 6].map((atMs) => ({ atMs, text: `one ${atMs}` })) })
  node.engine.behaviours.set('two', { log: [2, 3, 9].map((atMs) => ({ atMs, text: `two ${atMs}` })) })
  const manager = await node.open([
    assignment('a', image('one', 'web')),
    assignment('b', image('two', 'web')),
    assignment('c', image('one', 'other')),
  ])
  subscribe(manager, [], once)
  await node.run(10)
  assert.deepEqual(lines(manager), ['a one 1', 'b two 2', 'b two 3', 'a one 4', 'a one 6', 'b two 9'])
  assert.deepEqual(manager.of('log-end'), [{ type: 'log-end', subscriptionId: 's', errors: [] }])
  await node.stop()
})

test('a task that never had a container has no log', async () => {
  const node = new Fixture()
  node.engine.behaviours.set('busybox', { prepareError: 'No such image', log: [{ atMs: 1, text: 'x' }] })
  const manager = await node.open([assignment('a')])
  subscribe(manager, ['a'], once)
  await node.run(10)
  assert.deepEqual([lines(manager), manager.of('log-end').length], [[], 1])
  await node.stop()
})

test('a follower gets tasks that come later, once they have started', async () => {
  const node = new Fixture()
  node.engine.behaviours.set('slow', { prepareMs: 1000, log: [{ atMs: 1, text: 'late' }] })
  const manager = await node.open()
  subscribe(manager, [], { ...once, follow: true })
  manager.assign('incremental', 1, 2, [assignment('a', image('slow', 'web'))])
  await node.run(500)
  assert.deepEqual(lines(manager), [])
  await node.run(1000)
  assert.deepEqual(lines(manager), ['a late'])
  assert.equal(manager.of('log-end').length, 0)
  await node.stop()
})

test('a follower gets the tasks that are there already', async () => {
  const node = new Fixture()
  node.engine.behaviours.set('one', { log: [{ atMs: 1, text: 'early' }] })
  const manager = await node.open([assignment('a', image('one', 'web'))])
  await node.run(100)
  subscribe(manager, [], { ...once, follow: true })
  await node.run(100)
  assert.deepEqual(lines(manager), ['a early'])
  assert.equal(manager.of('log-end').length, 0)
  await node.stop()
})

test('no more is sent than the reader takes', async () => {
  const node = new Fixture()
  const text = 'x'.repeat(16 * 1024)
  const count = (8 * logWindowBytes) / text.length
  node.engine.behaviours.set('busybox', { log: Array.from({ length: count }, (_, atMs) => ({ atMs, text })) })
  const manager = await node.open([assignment('a')])
  subscribe(manager, ['a'], once)
  await node.run(1000)
  assert.equal(lines(manager).length, logWindowBytes / text.length)
  manager.say({ type: 'log-credit', subscriptionId: 's', bytes: 3 * text.length })
  await node.run(1000)
  assert.equal(lines(manager).length, logWindowBytes / text.length + 3)
  manager.say({ type: 'log-unsubscribe', subscriptionId: 's' })
  manager.say({ type: 'log-credit', subscriptionId: 's', bytes: 100 * text.length })
  await node.run(1000)
  assert.equal(lines(manager).length, logWindowBytes / text.length + 3)
  await node.stop()
})
