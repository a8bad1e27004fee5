import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { test } from 'node:test'
import { TestCluster } from '../lib/cluster.js'
import { DaemonProcess } from '../lib/daemon-process.js'
import { eventually } from '../lib/eventually.js'
import { needs } from '../lib/needs.js'

const skepPath = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url))

function sim(...args: string[]): DaemonProcess {
  return new DaemonProcess('skep sim', process.execPath, [skepPath, 'sim', ...args])
}

function eventsOf(sim: DaemonProcess): readonly { event: string; nodes: unknown; action?: string }[] {
  return sim
    .log()
    .split('\n')
    .filter((line) => line.startsWith('{"event"'))
    .map((line) => JSON.parse(line) as { event: string; nodes: unknown; action?: string })
}

test('a crowd of 50 workers in one process', { skip: needs('cli') }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'skep-sim-'))
  const cluster = await TestCluster.start(1)
  t.after(async () => {
    await cluster.stop()
    rmSync(folder, { recursive: true, force: true })
  })
  await cluster.init()
  const { docker, clusterAddr } = cluster.node(1)
  // Tasks are for the crowd alone.
  await eventually('node-1 to be there', async () =>
    (await cluster.list()).includes('node-1 ready active leader'),
  )
  await docker.ok('node update --availability drain node-1')
  await docker.ok('service create -d --name web --replicas 200 busybox sleep 1000000')
  const chaos = join(folder, 'chaos.json')
  writeFileSync(
    chaos,
    JSON.stringify([
      { atMs: 4000, action: 'crash', nodes: 4 },
      { atMs: 4000, action: 'disconnect', nodes: ['sim-7', 'sim-8'] },
      { atMs: 14_000, action: 'return', nodes: 50 },
    ]),
  )
  const flags = `--nodes 50 --label zone=a --cpus 2 --memory 4g --seed 7 --format json --manager ${clusterAddr}`
  const token = await cluster.token('worker')
  const crowd = sim(...flags.split(' '), '--join-token', token, '--chaos', chaos)
  t.after(() => crowd.signal('SIGKILL'))

  /** Names of the nodes that run the tasks, one for each task. */
  const running = async () => {
    const out = await docker.ok(
      'service ps web --filter desired-state=running --format {{.Node}}/{{.CurrentState}}',
    )
    return out
      .split('\n')
      .filter((line) => line.includes('/Running'))
      .map((line) => line.split('/')[0] ?? '')
  }
  const chaosNodes = (action: string) =>
    eventsOf(crowd)
      .filter((event) => event.action === action)
      .flatMap(({ nodes }) => nodes as string[])

  await t.test('all join, with what the flags say', async () => {
    await eventually(
      'the crowd to join',
      () => {
        crowd.assertRunning()
        return eventsOf(crowd).some(({ event }) => event === 'joined')
      },
      60_000,
    )
    const list = await cluster.list()
    assert.equal(list.filter((line) => /^sim-\d+ ready active$/.test(line)).length, 50)
    assert.equal(
      await docker.ok(
        'node inspect sim-50 --format {{.Description.Engine.Labels.zone}}_{{.Description.Resources.NanoCPUs}}_{{.Description.Resources.MemoryBytes}}_{{.Spec.Role}}',
      ),
      'a_2000000000_4294967296_worker\n',
    )
  })

  await t.test('tasks leave the nodes that crash or vanish', async () => {
    await eventually('chaos', () => chaosNodes('disconnect').length > 0, 30_000)
    const gone = [...chaosNodes('crash'), ...chaosNodes('disconnect')]
    assert.equal(chaosNodes('crash').length, 4)
    await eventually('200 tasks on the other nodes', async () => {
      const nodes = await running()
      return nodes.length === 200 && nodes.every((node) => !gone.includes(node))
    })
    const down = (await cluster.list()).filter((line) => line.includes(' down '))
    assert.deepEqual(new Set(down.map((line) => line.split(' ')[0])), new Set(gone))
  })

  await t.test('they come back', async () => {
    await eventually('the return', () => chaosNodes('return').length > 0, 30_000)
    await eventually(
      'all nodes to be ready',
      async () => (await cluster.list()).filter((line) => line.includes(' ready ')).length === 51,
      30_000,
    )
    await eventually('200 tasks', async () => (await running()).length === 200)
  })

  await t.test('SIGINT makes them leave', async () => {
    crowd.signal('SIGINT')
    assert.equal(await crowd.exit(), 0, crowd.log())
    assert.equal((await cluster.list()).filter((line) => line.includes(' down ')).length, 50)
    assert.deepEqual(eventsOf(crowd).at(-1)?.event, 'left')
    const warnings = crowd
      .log()
      .split('\n')
      .filter((line) => line.includes('"level"'))
    assert.deepEqual(warnings, [])
  })

  await t.test('a refused token is one line, and nobody stays behind', async () => {
    const wrong = token.replace(/.{25}$/, '0'.repeat(25))
    const refused = sim('--nodes', '20', '--manager', clusterAddr, '--join-token', wrong)
    assert.equal(await refused.exit(), 1)
    assert.equal(
      refused.log(),
      'skep sim: rpc error: code = InvalidArgument desc = A valid join token is necessary to join this cluster\n',
    )
    assert.equal((await cluster.list()).length, 51)
  })
})
