import assert from 'node:assert/strict'
import { test } from 'node:test'
import { brakeWarnings, checkBrakeLabel } from '../../../src/model/brake.js'
import { aNode, newObject } from '../../lib/builders.js'
import { Fixture, type FakeAgent } from './fixture.js'

/** Nine nodes, all with a session. */
async function nine(labels?: Readonly<Record<string, string>>) {
  const cluster = await Fixture.start()
  const ids = Array.from({ length: 9 }, (_, index) => `n${index + 1}`)
  await cluster.store.update((tx) => {
    for (const id of ids.slice(2))
      tx.create('nodes', newObject(aNode({ id, status: { state: 'unknown', message: '', addr: '' } })))
    if (labels === undefined) return
    tx.create('clusters', {
      id: 'c',
      spec: { Name: 'default', Labels: labels },
      rootCa: { certPem: '', lastForcedRotation: 0 },
      joinTokens: { worker: '', manager: '' },
      defaultAddressPools: [],
      subnetSize: 24,
      dataPathPort: 4789,
      blacklistedCertificates: {},
    })
  })
  const agents = new Map<string, FakeAgent>()
  for (const id of ids) agents.set(id, await cluster.open(id))
  const status = (id: string) => cluster.node(id)?.status
  return {
    cluster,
    ids,
    comeBack: async (id: string) => void agents.set(id, await cluster.open(id)),
    cut: (...some: readonly string[]) => some.forEach((id) => agents.get(id)?.link.cut()),
    /** All but these go on. */
    beatFor: async (ms: number, ...except: readonly string[]) => {
      for (let leftMs = ms; leftMs > 0; leftMs -= 2000) {
        for (const id of ids) if (!except.includes(id)) agents.get(id)?.say({ type: 'heartbeat' })
        await cluster.run(Math.min(2000, leftMs))
      }
    },
    status,
    held: () => ids.filter((id) => status(id)?.tasksHeldUntilMs !== undefined),
    down: () => ids.filter((id) => status(id)?.state === 'down'),
    warnings: () => brakeWarnings(cluster.store.view.nodes.list()),
  }
}

test('a third of the nodes: each is down, and that is all', async () => {
  const nodes = await nine()
  nodes.cut('n1', 'n2', 'n3')
  await nodes.beatFor(4000, 'n1', 'n2', 'n3')
  assert.deepEqual(nodes.down(), ['n1', 'n2', 'n3'])
  assert.deepEqual(nodes.held(), [])
  assert.deepEqual(nodes.warnings(), [])
  await nodes.cluster.dispatcher.stop()
})

test('more than a third at once: they are down, and their tasks stay for a minute', async () => {
  const nodes = await nine()
  const gone = ['n1', 'n2', 'n3', 'n4']
  nodes.cut(...gone)
  await nodes.beatFor(4000, ...gone)
  assert.deepEqual(nodes.down(), gone)
  assert.deepEqual(nodes.held(), gone, 'also the first one')
  const [warning = ''] = nodes.warnings()
  assert.match(
    warning,
    /^WARNING: 4 of 9 nodes vanished at once\. Their tasks stay where they are until 2026-/,
  )
  // One comes back; another one vanishes meanwhile.
  await nodes.comeBack('n1')
  nodes.cut('n5')
  const stillGone = ['n2', 'n3', 'n4', 'n5']
  await nodes.beatFor(4000, ...stillGone)
  assert.deepEqual(nodes.held(), stillGone)
  await nodes.beatFor(48_000, ...stillGone)
  assert.deepEqual(nodes.held(), stillGone)
  await nodes.beatFor(8000, ...stillGone)
  assert.deepEqual(nodes.held(), [])
  assert.deepEqual(nodes.warnings(), [])
  assert.equal(nodes.status('n2')?.state, 'down')
  await nodes.cluster.dispatcher.stop()
})

test('nodes that fall silent together are seen as such when the first one’s time is up', async () => {
  const nodes = await nine()
  const gone = ['n1', 'n2', 'n3', 'n4']
  await nodes.beatFor(14_000, ...gone)
  for (let leftMs = 8000; leftMs > 0 && nodes.down().length < 4; leftMs -= 2000)
    await nodes.beatFor(2000, ...gone)
  assert.deepEqual(nodes.held(), gone)
  await nodes.cluster.dispatcher.stop()
})

test('nodes that vanish one after the other are no flock', async () => {
  const nodes = await nine()
  const gone: string[] = []
  for (const id of ['n1', 'n2', 'n3', 'n4', 'n5']) {
    gone.push(id)
    nodes.cut(id)
    await nodes.beatFor(9000, ...gone)
  }
  assert.deepEqual(nodes.down(), gone)
  assert.deepEqual(nodes.held(), [])
  await nodes.cluster.dispatcher.stop()
})

test('a node that says that it goes is none of those that vanish', async () => {
  const nodes = await nine()
  for (const id of nodes.ids.slice(0, 5)) {
    const agent = await nodes.cluster.open(id)
    agent.say({ type: 'leave' })
  }
  await nodes.cluster.run(10)
  assert.equal(nodes.down().length, 5)
  assert.deepEqual(nodes.held(), [])
  await nodes.cluster.dispatcher.stop()
})

test('the time is a label of the swarm; 0s is no brake', async () => {
  const gone = ['n1', 'n2', 'n3', 'n4']
  const short = await nine({ 'skep.brake.delay': '10s' })
  short.cut(...gone)
  await short.beatFor(4000, ...gone)
  assert.deepEqual(short.held(), gone)
  await short.beatFor(10_000, ...gone)
  assert.deepEqual(short.held(), [])
  await short.cluster.dispatcher.stop()

  const none = await nine({ 'skep.brake.delay': '0s' })
  none.cut(...gone)
  await none.beatFor(4000, ...gone)
  assert.deepEqual(none.down(), gone)
  assert.deepEqual(none.held(), [])
  await none.cluster.dispatcher.stop()

  for (const value of ['soon', '-1s', '25h', ''])
    assert.throws(() => checkBrakeLabel({ 'skep.brake.delay': value }), {
      message: `invalid label skep.brake.delay=${value}: must be a duration of at most 24h such as 90s or 5m, or 0s`,
    })
  checkBrakeLabel({ 'skep.brake.delay': '1h30m' })
})

test('the next leader keeps to it', async () => {
  const nodes = await nine()
  const gone = ['n1', 'n2', 'n3', 'n4']
  nodes.cut(...gone)
  await nodes.beatFor(4000, ...gone)
  await nodes.cluster.changeLeader()
  for (const id of nodes.ids.slice(4)) await nodes.cluster.open(id)
  assert.deepEqual(nodes.held(), gone)
  await nodes.cluster.run(60_000)
  assert.deepEqual(
    nodes.held().filter((id) => gone.includes(id)),
    [],
  )
  await nodes.cluster.dispatcher.stop()
})

test('nodes that do not come to a new leader count as vanished together', async () => {
  const nodes = await nine()
  await nodes.cluster.changeLeader()
  const back: FakeAgent[] = []
  for (const id of nodes.ids.slice(4)) back.push(await nodes.cluster.open(id))
  for (let leftMs = 21_000; leftMs > 0; leftMs -= 2000) {
    for (const agent of back) agent.say({ type: 'heartbeat' })
    await nodes.cluster.run(2000)
  }
  assert.deepEqual(nodes.down(), ['n1', 'n2', 'n3', 'n4'])
  assert.deepEqual(nodes.held(), ['n1', 'n2', 'n3', 'n4'])
  await nodes.cluster.dispatcher.stop()
})
