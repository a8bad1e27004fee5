import assert from 'node:assert/strict'
import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { SimWorld } from '../../../src/engine/index.js'
import { SimJournal } from '../../../src/engine/sim/journal.js'
import { SimulatedEnv } from '../../lib/simulated-env.js'

describe('journal of a simulated engine', () => {
  let folder = ''
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'skep-journal-'))
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  /** A run of the daemon that begins at `startMs`. */
  const open = async (startMs: number) => {
    const env = new SimulatedEnv(startMs % 1000, { startMs })
    const world = new SimWorld(env, { hostname: 'h', cpus: 1, memoryBytes: 1 })
    const journal = await SimJournal.open(env, world, folder)
    return { env, world, journal }
  }
  const file = () => join(folder, 'simulated-engine.jsonl')
  const t0 = Date.UTC(2026, 0, 1)

  it('brings containers back, which have gone on meanwhile', async () => {
    const first = await open(t0)
    const { world, env } = first
    await world.images.pull('busybox', { delayMs: 0 })
    const make = async (name: string, Labels: Record<string, string>) => {
      const container = world.create(name, () => ({
        Image: 'busybox',
        Labels,
        Healthcheck: { Test: ['CMD', 'x'] },
        HostConfig: {
          Mounts: [{ Type: 'volume', Source: 'data', Target: '/d' }],
          PortBindings: { '80/tcp': [{ HostPort: '' }] },
        },
      }))
      const started = container.start()
      await env.advanceAsync(50)
      await started
      return container
    }
    const runs = await make('runs', { 'skep.sim.health': 'healthy@1s,unhealthy@20s', 'skep.sim.log': 'x@1s' })
    await make('ends', { 'skep.sim.exit': '3@5s' })
    await make('ends-later', { 'skep.sim.exit': '4@20s' })
    const gone = await make('gone', {})
    world.remove(gone, { force: true, volumes: true })
    const stopped = await make('stopped', {})
    await stopped.stop()
    const unstarted = world.create('unstarted', () => ({ Image: 'busybox' }))
    world.networks.create({
      name: 'net',
      driver: 'bridge',
      internal: false,
      attachable: false,
      labels: {},
      options: {},
      ipam: {},
    })
    await first.journal.close()

    const second = await open(t0 + 10_000)
    const again = (name: string) => second.world.find(name)
    assert.deepEqual(
      second.world.containers().map(({ make }) => make.name),
      ['unstarted', 'stopped', 'ends-later', 'ends', 'runs'],
    )
    assert.equal(again('runs')?.id, runs.id)
    assert.equal(again('runs')?.state, 'running')
    assert.equal(again('runs')?.health, 'healthy')
    assert.equal(again('runs')?.pid, runs.pid)
    assert.deepEqual(again('runs')?.publishedPorts, runs.publishedPorts)
    assert.equal(again('runs')?.startedAtMs, runs.startedAtMs)
    assert.deepEqual([again('stopped')?.state, again('stopped')?.exitCode], ['exited', 0])
    assert.deepEqual([again('unstarted')?.state, again('unstarted')?.id], ['created', unstarted.id])
    second.env.advance(0)
    assert.deepEqual([again('ends')?.state, again('ends')?.exitCode], ['exited', 3])
    assert.equal(again('ends-later')?.state, 'running')
    second.env.advance(10_200)
    assert.equal(again('ends-later')?.exitCode, 4)
    assert.equal(again('runs')?.health, 'unhealthy')
    assert.equal(second.world.volumes.get('data')?.name, 'data')
    assert.equal(second.world.networks.find('net')?.driver, 'bridge')
    assert.deepEqual(second.world.images.find('busybox')?.tags, ['busybox:latest'])
    await second.journal.close()
  })

  it('forgets what was removed, and survives a torn end', async () => {
    const first = await open(t0)
    const image = await first.world.images.pull('busybox', { delayMs: 0 })
    await first.world.images.pull('nginx', { delayMs: 0 })
    first.world.volumes.ensure('aa')
    const volume = first.world.volumes.ensure('bb')
    first.world.volumes.remove(volume)
    first.world.images.remove(image, 'busybox')
    await first.journal.close()
    appendFileSync(file(), '{"container":{"id":"half')
    const second = await open(t0 + 1)
    assert.deepEqual(
      second.world.volumes.list().map(({ name }) => name),
      ['aa'],
    )
    assert.deepEqual(
      second.world.images.list().map(({ tags }) => tags[0]),
      ['nginx:latest'],
    )
    await second.journal.close()
    assert.ok(
      readFileSync(file(), 'utf8')
        .trim()
        .split('\n')
        .every((line) => JSON.parse(line) !== undefined),
      'the torn line is gone',
    )
  })

  it('can be read by its user only', async () => {
    const { journal, world } = await open(t0)
    world.volumes.ensure('aa')
    await journal.close()
    assert.equal(statSync(file()).mode & 0o777, 0o600)
  })

  it('does not grow for ever', async () => {
    const { journal, world } = await open(t0)
    const padding = 'x'.repeat(1 << 20)
    for (let index = 0; index < 40; index++) {
      const volume = world.volumes.ensure(`v${index}`, { labels: { padding } })
      world.volumes.remove(volume)
      // The journal writes behind the world.
      await new Promise((resolve) => setImmediate(resolve))
    }
    await journal.close()
    const again = await open(t0 + 1)
    await again.journal.close()
    assert.ok(statSync(file()).size < 24 << 20)
    assert.deepEqual(again.world.volumes.list(), [])
  })
})
