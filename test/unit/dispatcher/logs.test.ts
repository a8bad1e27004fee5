import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { LogOptions, LogSelector } from '../../../src/model/logs.js'
import { TaskState } from '../../../src/model/task-state.js'
import { encodeLogFrame, logWindowBytes } from '../../../src/wire/index.js'
import { aTask, newObject } from '../../lib/builders.js'
import { Fixture, type FakeAgent } from './fixture.js'

const once: LogOptions = { follow: false, stdout: true, stderr: true }
const follow: LogOptions = { ...once, follow: true }
const web: LogSelector = { serviceIds: ['web'], taskIds: [] }

/** Reads in the background; what came, and how it ended. */
function read(cluster: Fixture, selector: LogSelector, options: LogOptions) {
  const abort = new AbortController()
  const reader = {
    lines: [] as string[],
    ended: false,
    error: '',
    stop: () => abort.abort(),
  }
  const run = async () => {
    for await (const { nodeId, taskId, data } of cluster.dispatcher.logs(selector, options, abort.signal))
      reader.lines.push(`${nodeId} ${taskId} ${data.toString()}`)
  }
  run()
    .catch((error: Error) => {
      reader.error = error.message
    })
    .finally(() => {
      reader.ended = true
    })
  return reader
}

async function runningTask(cluster: Fixture, id: string, nodeId: string): Promise<void> {
  const status = { state: TaskState.Running, timestampMs: 0, message: '' }
  const task = aTask({ id, nodeId, serviceId: 'web', status })
  await cluster.store.update((tx) => void tx.create('tasks', newObject(task)))
}

function sendLines(agent: FakeAgent, taskId: string, lines: readonly (readonly [number, string])[]): void {
  const { subscriptionId } = agent.last('log-subscribe')
  const messages = lines.map(([atNs, text]) => ({
    taskId,
    stream: 'stdout' as const,
    timestampNs: BigInt(atNs),
    attrs: {},
    data: Buffer.from(text),
  }))
  agent.near.send(encodeLogFrame({ subscriptionId, messages }))
}

function end(agent: FakeAgent, errors: string[] = []): void {
  agent.say({ type: 'log-end', subscriptionId: agent.last('log-subscribe').subscriptionId, errors })
}

async function twoNodes() {
  const cluster = await Fixture.start()
  const one = await cluster.open('n1')
  const two = await cluster.open('n2')
  await runningTask(cluster, 'a', 'n1')
  await runningTask(cluster, 'b', 'n2')
  return { cluster, one, two }
}

test('logs of all nodes come in the order of time and end with the last node', async () => {
  const { cluster, one, two } = await twoNodes()
  const reader = read(cluster, web, { ...once, tail: 7 })
  await cluster.run(10)
  assert.deepEqual(one.last('log-subscribe').options, { ...once, tail: 7 })
  sendLines(one, 'a', [
    [1, 'a1'],
    [5, 'a5'],
  ])
  await cluster.run(10)
  assert.deepEqual(reader.lines, [], 'the other node may have something older')
  sendLines(two, 'b', [
    [2, 'b2'],
    [9, 'b9'],
  ])
  end(two)
  await cluster.run(10)
  end(one)
  await cluster.run(10)
  assert.deepEqual(reader.lines, ['n1 a a1', 'n2 b b2', 'n1 a a5', 'n2 b b9'])
  assert.ok(reader.ended)
  assert.equal(reader.error, '')
  await cluster.dispatcher.stop()
})

test('what is missing is said at the end', async () => {
  const { cluster, one, two } = await twoNodes()
  await runningTask(cluster, 'c', 'n9')
  await cluster.store.update((tx) => void tx.create('tasks', newObject(aTask({ id: 'p', serviceId: 'web' }))))
  const reader = read(cluster, { serviceIds: ['web'], taskIds: ['p'] }, once)
  await cluster.run(10)
  sendLines(one, 'a', [[1, 'a1']])
  end(one, ['task a: the log driver does not support reading'])
  await cluster.run(10)
  assert.ok(!reader.ended)
  two.link.cut()
  await cluster.run(10)
  assert.deepEqual(reader.lines, ['n1 a a1'])
  assert.equal(
    reader.error,
    'rpc error: code = Unknown desc = warning: incomplete log stream. some logs could not be retrieved for the ' +
      'following reasons: node n9 is not available, task p has not been scheduled, ' +
      'task a: the log driver does not support reading, node n2 disconnected unexpectedly',
  )
  await cluster.dispatcher.stop()
})

test("a service's tasks that never ran are no reason to complain", async () => {
  const cluster = await Fixture.start()
  await cluster.addTask('starting')
  await cluster.store.update((tx) => void tx.create('tasks', newObject(aTask({ id: 'p', serviceId: 'web' }))))
  const reader = read(cluster, web, once)
  await cluster.run(10)
  assert.deepEqual([reader.ended, reader.error], [true, ''])
  await cluster.dispatcher.stop()
})

test('a follower gets what comes, from nodes that join in too, until it goes', async () => {
  const cluster = await Fixture.start()
  const one = await cluster.open('n1')
  const two = await cluster.open('n2')
  await runningTask(cluster, 'a', 'n1')
  const reader = read(cluster, web, follow)
  await cluster.run(10)
  assert.equal(two.of('log-subscribe').length, 0)
  sendLines(one, 'a', [[5, 'a5']])
  await cluster.run(10)
  await cluster.addTask('b', 'n2')
  await cluster.run(10)
  sendLines(two, 'b', [[2, 'b2']])
  await cluster.run(10)
  assert.deepEqual(reader.lines, ['n1 a a5', 'n2 b b2'])
  reader.stop()
  await cluster.run(10)
  assert.deepEqual([reader.ended, reader.error], [true, ''])
  assert.equal(one.of('log-unsubscribe').length, 1)
  assert.equal(two.of('log-unsubscribe').length, 1)
  await cluster.dispatcher.stop()
})

test('a follower goes on where it was when a node comes back', async () => {
  const cluster = await Fixture.start()
  const first = await cluster.open('n1')
  await runningTask(cluster, 'a', 'n1')
  const reader = read(cluster, web, { ...follow, tail: 1 })
  await cluster.run(10)
  sendLines(first, 'a', [
    [1_000_000_000, 'one'],
    [2_000_000_000, 'two'],
  ])
  await cluster.run(10)
  first.link.cut()
  await cluster.run(100)
  const second = await cluster.open('n1')
  assert.deepEqual(second.last('log-subscribe').options, { ...follow, sinceMs: 2000 })
  assert.equal(second.messages[0]?.type, 'session', 'nothing comes before the session is open')
  sendLines(second, 'a', [
    [2_000_000_000, 'two'],
    [3_000_000_000, 'three'],
  ])
  await cluster.run(10)
  assert.deepEqual(reader.lines, ['n1 a one', 'n1 a two', 'n1 a three'])
  reader.stop()
  await cluster.dispatcher.stop()
})

test('a node is given credit for what was read, and for nothing else', async () => {
  const { cluster, one, two } = await twoNodes()
  const reader = read(cluster, web, once)
  await cluster.run(10)
  const half = 'x'.repeat(logWindowBytes / 2)
  sendLines(one, 'a', [[5, half]])
  await cluster.run(10)
  assert.equal(one.of('log-credit').length, 0, 'nobody took it yet')
  sendLines(two, 'b', [[9, 'b']])
  await cluster.run(10)
  assert.equal(reader.lines.length, 1)
  assert.equal(one.last('log-credit').bytes, half.length)
  reader.stop()
  await cluster.dispatcher.stop()
})

test('a node cannot speak for tasks of others', async () => {
  const { cluster, one, two } = await twoNodes()
  const reader = read(cluster, web, once)
  await cluster.run(10)
  sendLines(one, 'b', [[1, 'forged']])
  sendLines(one, 'nobody', [[1, 'forged']])
  end(one)
  end(two)
  await cluster.run(10)
  assert.deepEqual([reader.lines, reader.error], [[], ''])
  await cluster.dispatcher.stop()
})

test('a stream ends with an error when the leader changes; an empty selector is refused', async () => {
  const { cluster } = await twoNodes()
  const reader = read(cluster, web, follow)
  await cluster.run(10)
  await cluster.dispatcher.stop()
  await cluster.run(10)
  assert.match(reader.error, /lost its leadership/)
  const none = read(cluster, { serviceIds: [], taskIds: [] }, once)
  const late = read(cluster, web, once)
  await cluster.run(10)
  assert.match(none.error, /log selector must not be empty/)
  assert.match(late.error, /does not lead/)
})
