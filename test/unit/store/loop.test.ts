import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LoopRunner, type Loop } from '../../../src/store/loop.js'
import { aService, newObject } from '../../lib/builders.js'
import { memoryStore } from '../../lib/memory-log.js'
import { settle, SimulatedEnv } from '../../lib/simulated-env.js'

/** A loop that notes what is asked of it. */
function setUp(
  onTick: (tick: number, signal: AbortSignal) => Promise<void> | void = () => undefined,
  hasWork: () => boolean = () => true,
) {
  const env = new SimulatedEnv()
  const { store } = memoryStore(env)
  const calls: string[] = []
  let wakeUp: () => void = () => undefined
  const runner = new LoopRunner(env, store, [
    (_env, _store, wake): Loop => {
      wakeUp = wake
      let ticks = 0
      return {
        name: 'noting loop',
        start: (view) => void calls.push(`start ${view.services.size}`),
        onCommit: ({ index }) => void calls.push(`commit ${index}`),
        get hasWork() {
          return hasWork()
        },
        tick: async (signal) => {
          calls.push('tick')
          await onTick(++ticks, signal)
        },
        stop: () => void calls.push('stop'),
      }
    },
  ])
  const create = (id: string) => store.update((tx) => void tx.create('services', newObject(aService({ id }))))
  return { env, calls, runner, create, wake: () => wakeUp() }
}

test('start sees the store as it is, then a tick; commits of one turn make one more', async () => {
  const { env, calls, runner, create } = setUp()
  await create('a')
  runner.start()
  await env.advanceAsync(0)
  await Promise.all([create('b'), create('c')])
  await env.advanceAsync(0)
  assert.deepEqual(calls, ['start 1', 'tick', 'commit 2', 'commit 3', 'tick'])
})

test('commits that keep coming do not put off the tick', async () => {
  const { env, calls, runner, create, wake } = setUp()
  runner.start()
  await env.advanceAsync(0)
  await create('a')
  const dueMs = env.nextDueMs()
  for (let more = 0; more < 5; more++) wake()
  assert.equal(env.nextDueMs(), dueMs)
  await env.advanceAsync(0)
  assert.deepEqual(calls, ['start 0', 'tick', 'commit 1', 'tick'])
})

test('under a stream of commits a loop ticks at once a few times, then every 50 ms, until it is quiet', async () => {
  const { env, calls, runner, create } = setUp()
  const ticks = () => calls.filter((call) => call === 'tick').length
  runner.start()
  await env.advanceAsync(0)
  const seen: number[] = []
  for (let ms = 0; ms < 200; ms += 10) {
    await create(`id-${ms}`)
    await env.advanceAsync(0)
    seen.push(ticks())
    await env.advanceAsync(10)
  }
  assert.deepEqual(seen, [2, 3, 4, 4, 4, 5, 5, 5, 5, 5, 6, 6, 6, 6, 6, 7, 7, 7, 7, 7])
  await env.advanceAsync(60_000)
  for (const id of ['x', 'y', 'z']) {
    const before = ticks()
    await create(id)
    await env.advanceAsync(0)
    assert.equal(ticks(), before + 1)
  }
})

test('a commit that gives a loop nothing to do makes no tick', async () => {
  let hasWork = false
  const { env, calls, runner, create } = setUp(undefined, () => hasWork)
  runner.start()
  await env.advanceAsync(0)
  await create('a')
  await env.advanceAsync(1000)
  assert.deepEqual(calls, ['start 0', 'tick', 'commit 1'])
  hasWork = true
  await create('b')
  await env.advanceAsync(0)
  assert.deepEqual(calls.slice(-2), ['commit 2', 'tick'])
})

test('a tick never runs twice at once; what comes meanwhile is done afterwards', async () => {
  let finish: () => void = () => undefined
  const { env, calls, runner, create } = setUp((tick) =>
    tick === 1 ? new Promise((resolve) => (finish = resolve)) : undefined,
  )
  runner.start()
  await env.advanceAsync(0)
  await create('a')
  await env.advanceAsync(1000)
  assert.deepEqual(calls, ['start 0', 'tick', 'commit 1'])
  finish()
  await settle()
  await env.advanceAsync(0)
  assert.deepEqual(calls.at(-1), 'tick')
})

test('a failed tick is repeated after a pause that grows, and not sooner for a commit', async () => {
  const { env, calls, runner, create } = setUp((tick) => {
    if (tick <= 2) throw new Error('not now')
  })
  const ticks = () => calls.filter((call) => call === 'tick').length
  runner.start()
  await env.advanceAsync(0)
  await create('a')
  await env.advanceAsync(99)
  assert.equal(ticks(), 1)
  await env.advanceAsync(1)
  assert.equal(ticks(), 2)
  await env.advanceAsync(199)
  assert.equal(ticks(), 2)
  await env.advanceAsync(1)
  assert.equal(ticks(), 3)
  await env.advanceAsync(60_000)
  assert.equal(ticks(), 3)
})

test('stop waits for the tick, tells it to write no more, and nothing follows', async () => {
  let finish: () => void = () => undefined
  let signal: AbortSignal | undefined
  const { env, calls, runner, create, wake } = setUp((_tick, given) => {
    signal = given
    return new Promise((resolve) => (finish = resolve))
  })
  runner.start()
  await env.advanceAsync(0)
  let stopped = false
  const stopping = runner.stop().then(() => (stopped = true))
  assert.equal(signal?.aborted, true)
  await settle()
  assert.equal(stopped, false)
  finish()
  await stopping
  await create('a')
  wake()
  await env.advanceAsync(60_000)
  assert.deepEqual(calls, ['start 0', 'tick', 'stop'])
})
