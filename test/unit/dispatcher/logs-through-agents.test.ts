import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Agent } from '../../../src/agent/index.js'
import { FakeExecutor, type Behaviour } from '../../lib/fake-executor.js'
import { MemoryLink } from '../../lib/memory-connection.js'
import { MemoryTaskStorage } from '../../lib/memory-task-storage.js'
import { Fixture } from './fixture.js'

/** Two real agents, each with one task of the service `web` that has the given log. */
async function setup(logs: readonly NonNullable<Behaviour['log']>[]) {
  const cluster = await Fixture.start()
  for (const [index, log] of logs.entries()) {
    const nodeId = `n${index + 1}`
    const executor = new FakeExecutor(cluster.env)
    executor.behaviours.set('busybox', { log })
    const agent = new Agent(cluster.env, {
      nodeId,
      hostname: nodeId,
      executor,
      dbPath: '',
      storage: new MemoryTaskStorage(),
      dial: () => {
        const { ends } = new MemoryLink()
        cluster.dispatcher.accept(ends[1], { nodeId }, '10.0.0.1')
        return Promise.resolve(ends[0])
      },
    })
    const started = agent.start()
    await cluster.run(10)
    await started
    await cluster.addTask(`t${index + 1}`, nodeId)
    await cluster.run(200)
  }
  return cluster
}

const selector = { serviceIds: ['web'], taskIds: [] }

test('megabytes of logs of two nodes come whole and in order to a reader that takes its time', async () => {
  const text = 'x'.repeat(1000)
  const log = (first: number) => Array.from({ length: 2000 }, (_, at) => ({ atMs: first + 2 * at, text }))
  const cluster = await setup([log(0), log(1)])
  const times: number[] = []
  const read = async () => {
    const options = { follow: false, stdout: true, stderr: true }
    for await (const { timestampNs, data } of cluster.dispatcher.logs(
      selector,
      options,
      new AbortController().signal,
    )) {
      assert.equal(data.length, text.length)
      times.push(Number(timestampNs / 1_000_000n))
      if (times.length % 100 === 0) await new Promise((resolve) => setImmediate(resolve))
    }
  }
  const reading = read()
  for (let turn = 0; times.length < 4000 && turn < 500; turn++) await cluster.run(10)
  await cluster.run(10)
  await reading
  assert.deepEqual(
    times,
    Array.from({ length: 4000 }, (_, at) => at),
  )
  await cluster.dispatcher.stop()
})

test('a follower sees both nodes, and nothing of it is left when it goes', async () => {
  const cluster = await setup([[{ atMs: 1, text: 'one' }], [{ atMs: 2, text: 'two' }]])
  const abort = new AbortController()
  const lines: string[] = []
  const read = async () => {
    const options = { follow: true, stdout: true, stderr: true }
    for await (const { nodeId, data } of cluster.dispatcher.logs(selector, options, abort.signal))
      lines.push(`${nodeId} ${data.toString()}`)
  }
  const reading = read()
  await cluster.run(500)
  assert.deepEqual(lines.toSorted(), ['n1 one', 'n2 two'])
  abort.abort()
  await reading
  await cluster.dispatcher.stop()
})
