import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { SimWorld } from '../../../src/engine/index.js'
import { simLogs } from '../../../src/engine/sim/logs.js'
import type { SimContainer } from '../../../src/engine/sim/container.js'
import type { ContainerCreateBody } from '../../../src/engine/types.js'
import type { LogOptions } from '../../../src/model/logs.js'
import { settle, SimulatedEnv } from '../../lib/simulated-env.js'

const never = new AbortController().signal

async function aWorld() {
  const env = new SimulatedEnv()
  const world = new SimWorld(env, { hostname: 'h', cpus: 1, memoryBytes: 1 })
  await world.images.pull('busybox', { delayMs: 0 })
  const make = (body: Partial<ContainerCreateBody> = {}) =>
    world.create('', () => ({ Image: 'busybox', ...body }))
  const run = async (body?: Partial<ContainerCreateBody>) => {
    const container = make(body)
    const started = container.start()
    await env.advanceAsync(50)
    await started
    return container
  }
  return { env, world, make, run }
}

describe('simulated container', () => {
  it('starts in 50 ms and runs until it is stopped', async () => {
    const { env, make } = await aWorld()
    const container = make()
    const started = container.start()
    env.advance(49)
    assert.equal(container.state, 'created')
    env.advance(1)
    await started
    assert.equal(container.state, 'running')
    await env.advanceAsync(1e9)
    assert.equal(container.state, 'running')
    await container.stop()
    assert.deepEqual([container.state, container.exitCode], ['exited', 0])
    assert.equal(env.nextDueMs(), undefined, 'no timer is left behind')
  })

  it('exits with the code and at the time that its label says', async () => {
    const { env, run } = await aWorld()
    const container = await run({ Labels: { 'skep.sim.exit': '3@2s' } })
    env.advance(1999)
    assert.equal(container.state, 'running')
    env.advance(1)
    assert.deepEqual([container.state, container.exitCode, container.pid], ['exited', 3, 0])
  })

  it('is killed when the grace period ends before the stop', async () => {
    const { env, run } = await aWorld()
    const container = await run({ Labels: { 'skep.sim.stop': '5s' }, StopTimeout: 2 })
    const stopped = container.stop()
    await env.advanceAsync(1999)
    assert.equal(container.state, 'running')
    await env.advanceAsync(1)
    await stopped
    assert.equal(container.exitCode, 137)
  })

  it('takes as long to stop as its label says', async () => {
    const { env, run } = await aWorld()
    const container = await run({ Labels: { 'skep.sim.stop': '1500ms' } })
    const stopped = container.stop()
    await env.advanceAsync(1500)
    await stopped
    assert.equal(container.exitCode, 0)
  })

  it('goes through the healths of its label, with a health check only', async () => {
    const { env, make, run } = await aWorld()
    const Labels = { 'skep.sim.health': 'healthy@1s,unhealthy@3s,healthy@4s' }
    const container = await run({ Labels, Healthcheck: { Test: ['CMD', 'x'] } })
    const seen: string[] = []
    container.onChange(() => seen.push(container.health))
    assert.equal(container.health, 'starting')
    env.advance(5000)
    assert.deepEqual(seen, ['healthy', 'unhealthy', 'healthy'])
    const without = await run({ Labels, Healthcheck: { Test: ['NONE'] } })
    env.advance(5000)
    assert.equal(without.health, 'none')
    make()
  })

  it('fails to start where its label says so, and where its port is taken', async () => {
    const { env, make } = await aWorld()
    const failing = make({ Labels: { 'skep.sim.start': 'fail' } }).start()
    env.advance(0)
    await assert.rejects(failing, /fails to start/)
    const HostConfig = { PortBindings: { '80/tcp': [{ HostPort: '8080' }] } }
    const first = make({ HostConfig })
    const second = make({ HostConfig })
    const starts = Promise.allSettled([first.start(), second.start()])
    env.advance(50)
    const [, taken] = await starts
    assert.match(
      taken?.status === 'rejected' ? String(taken.reason) : '',
      /Bind for 0\.0\.0\.0:8080 failed: port is already allocated/,
    )
    assert.equal(second.state, 'created')
    await first.stop()
    const again = second.start()
    env.advance(50)
    await again
    assert.equal(second.state, 'running')
  })

  it('can be stopped while it starts', async () => {
    const { env, make } = await aWorld()
    const container = make({ Labels: { 'skep.sim.start': '1h' } })
    const started = assert.rejects(container.start(), /stopped while it started/)
    await container.stop()
    await started
    assert.equal(container.state, 'exited')
    assert.equal(env.nextDueMs(), undefined)
  })

  it('leaves nothing behind when it is removed', async () => {
    const { env, world, run } = await aWorld()
    const container = await run({
      Labels: { 'skep.sim.exit': '0@1h', 'skep.sim.stop': '1h' },
      HostConfig: {
        Mounts: [
          { Type: 'volume', Target: '/a' },
          { Type: 'volume', Source: 'kept', Target: '/b' },
        ],
      },
    })
    const stopped = container.stop(-1)
    assert.equal(world.volumes.list().length, 2)
    world.remove(container, { force: true, volumes: true })
    await stopped
    assert.equal(env.nextDueMs(), undefined)
    assert.deepEqual(
      world.volumes.list().map(({ name }) => name),
      ['kept'],
    )
    assert.equal(world.find(container.id), undefined)
  })

  it('understands plain commands', async () => {
    const { env, run } = await aWorld()
    const exits = async (...Cmd: string[]) => {
      const container = await run({ Cmd })
      const startMs = env.monotonicMs()
      while (container.state === 'running' && env.nextDueMs() !== undefined) {
        await env.advanceAsync((env.nextDueMs() ?? 0) - env.monotonicMs())
      }
      return container.state === 'running' ? 'runs' : `${container.exitCode}@${env.monotonicMs() - startMs}`
    }
    assert.equal(await exits('true'), '0@0')
    assert.equal(await exits('/bin/false'), '1@0')
    assert.equal(await exits('sleep', '1.5'), '0@1500')
    assert.equal(await exits('sleep', '1m', '1'), '0@61000')
    assert.equal(await exits('sh', '-c', 'exit 7'), '7@0')
    assert.equal(await exits('sh', '-c', 'sleep 2'), '0@2000')
    assert.equal(await exits('sleep', 'infinity'), 'runs')
    assert.equal(await exits('sh', '-c', 'sleep 1; exit 7'), 'runs')
    assert.equal(await exits('nginx', '-g', 'daemon off;'), 'runs')
  })
})

describe('simulated log', () => {
  const read = async (env: SimulatedEnv, container: SimContainer, options: Partial<LogOptions> = {}) => {
    const times: number[] = []
    const logs = simLogs(env, container, { follow: false, stdout: true, stderr: true, ...options }, never)
    for await (const { timestampNs } of logs) times.push(Number(timestampNs / 1_000_000n))
    return times
  }

  it('has a line for each interval of each run', async () => {
    const { env, run } = await aWorld()
    const container = await run({ Labels: { 'skep.sim.log': 'x@1s' } })
    const startMs = env.nowMs()
    env.advance(2500)
    await container.stop()
    const again = container.start()
    env.advance(50)
    await again
    env.advance(1000)
    const offsets = [1000, 2000, 2550 + 1000]
    const all = offsets.map((offset) => startMs + offset)
    assert.deepEqual(await read(env, container), all)
    assert.deepEqual(await read(env, container, { tail: 2 }), all.slice(1))
    assert.deepEqual(await read(env, container, { sinceMs: startMs + 2000 }), all.slice(1))
    assert.deepEqual(await read(env, container, { sinceMs: startMs + 2001 }), all.slice(2))
    assert.deepEqual(await read(env, container, { stdout: false }), [])
  })

  it('is followed line by line until the container ends', async () => {
    const { env, run } = await aWorld()
    const container = await run({ Labels: { 'skep.sim.log': 'x@1s' } })
    await env.advanceAsync(1500)
    const following = read(env, container, { follow: true })
    await settle()
    await env.advanceAsync(2000)
    await container.stop()
    assert.equal((await following).length, 3)
    assert.equal(env.nextDueMs(), undefined)
  })
})
