import assert from 'node:assert/strict'
import { fileURLToPath } from 'node:url'
import { test } from 'node:test'
import { TestCluster } from '../lib/cluster.js'
import { DaemonProcess } from '../lib/daemon-process.js'
import { eventually } from '../lib/eventually.js'
import { needs } from '../lib/needs.js'

const skepPath = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url))

function sim(...args: string[]): DaemonProcess {
  return new DaemonProcess('skep sim', process.execPath, [skepPath, 'sim', ...args], process.env, 'pipe')
}

function eventsOf(sim: DaemonProcess): readonly { event: string; nodes: unknown; action?: string }[] {
  return sim
    .log()
    .split('\n')
    .filter((line) => line.startsWith('{"event"'))
    .map((line) => JSON.parse(line) as { event: string; nodes: unknown; action?: string })
}

function sorted(names: readonly string[]): string {
  return names.toSorted((a, b) => (a < b ? -1 : 1)).join()
}

test('a crowd of 50 workers in one process', { skip: needs('cli') }, async (t) => {
  const cluster = await TestCluster.start(1)
  t.after(() => cluster.stop())
  await cluster.init()
  const { docker, clusterAddr } = cluster.node(1)
  // Tasks are for the crowd alone.
  await docker.ok('node update --availability drain node-1')
  const flags = `--nodes 50 --label zone=a --cpus 2 --memory 4g --seed 7 --format json --chaos - --manager ${clusterAddr}`
  const token = await cluster.token('worker')
  const crowd = sim(...flags.split(' '), '--join-token', token)
  t.after(() => crowd.signal('SIGKILL'))

  /** Makes something happen to nodes; resolves with their names when it has. */
  const befall = async (action: string, nodes: number | readonly string[]) => {
    const before = eventsOf(crowd).length
    crowd.child.stdin?.write(`${JSON.stringify({ action, nodes })}\n`)
    const event = await eventually(`the ${action}`, () => eventsOf(crowd)[before])
    assert.equal(event.action, action)
    return event.nodes as readonly string[]
  }
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
  const namesOf = async (state: string) =>
    (await cluster.list())
      .filter((line) => line.includes(` ${state} `))
      .map((line) => line.split(' ')[0] ?? '')

  /** Sorted as text. */
  let gone = ''

  await t.test('all join, with what the flags say', async () => {
    await eventually(
      'the crowd to join',
      () => {
        crowd.assertRunning()
        return eventsOf(crowd).some(({ event }) => event === 'joined')
      },
      120_000,
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
    await docker.ok('service create -d --name web --replicas 200 busybox sleep 1000000')
    await eventually(
      'four tasks on each node',
      async () => {
        const nodes = await running()
        return nodes.length === 200 && new Set(nodes).size === 50
      },
      60_000,
    )
    const crashed = await befall('crash', 4)
    assert.equal(crashed.length, 4)
    gone = sorted([...crashed, ...(await befall('disconnect', ['sim-7', 'sim-8']))])
    await eventually(
      'these nodes to be down, and 200 tasks on the others',
      async () => {
        const down = await namesOf('down')
        const nodes = await running()
        return (
          sorted(down) === gone &&
          nodes.length === 200 &&
          nodes.every((node) => !gone.split(',').includes(node))
        )
      },
      60_000,
    )
  })

  await t.test('they come back', async () => {
    const returned = await befall('return', 50)
    assert.equal(sorted(returned), gone)
    await eventually(
      'all nodes to be ready with 200 tasks',
      async () => (await namesOf('ready')).length === 51 && (await running()).length === 200,
      60_000,
    )
  })

  await t.test('tasks of many nodes that vanish at once stay for a while, and events say so', async () => {
    const { skepd } = cluster.node(1)
    const { Spec, Version } = (await skepd.request('GET', '/swarm')).json() as {
      readonly Spec: object
      readonly Version: { readonly Index: number }
    }
    const body = { ...Spec, Labels: { 'skep.brake.delay': '5s' } }
    const updated = await skepd.request('POST', `/swarm/update?version=${Version.Index}`, { body })
    assert.equal(updated.status, 200, updated.text)
    const { SystemTime: since } = (await skepd.request('GET', '/info')).json() as {
      readonly SystemTime: string
    }
    const vanished = await befall('crash', 20)
    assert.equal(vanished.length, 20)
    await eventually(
      '200 tasks on the other nodes',
      async () => {
        const nodes = await running()
        return nodes.length === 200 && nodes.every((node) => !vanished.includes(node))
      },
      60_000,
    )
    const format = '{{.Actor.Attributes.name}} {{index .Actor.Attributes "skep.brake"}}'
    const until = String(Math.ceil(Date.now() / 1000))
    const args = ['--since', since, '--until', until, '--filter', 'type=node', '--format', format]
    const lines = (await docker.run(['events', ...args])).stdout.split('\n')
    const namesWith = (word: string) =>
      sorted(lines.filter((line) => line.endsWith(` ${word}`)).map((line) => line.split(' ')[0] ?? ''))
    assert.equal(namesWith('held'), sorted(vanished))
    assert.equal(namesWith('released'), sorted(vanished))
    assert.doesNotMatch(await docker.ok('info'), /vanished at once/)
    await befall('return', 50)
    await eventually('all nodes to be ready', async () => (await namesOf('ready')).length === 51, 60_000)
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
    // On a busy machine it says meanwhile how many have joined.
    assert.equal(
      refused.log().replaceAll('0 of 20 nodes have joined\n', ''),
      'skep sim: rpc error: code = InvalidArgument desc = A valid join token is necessary to join this cluster\n',
    )
    assert.equal((await cluster.list()).length, 51)
  })
})
