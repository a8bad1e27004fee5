import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TaskState } from '../../../src/model/task-state.js'
import { Fixture, assertFails, assertRpcFails } from './fixture.js'

const manager = { role: 'manager' } as const
const active = { Role: 'manager', Availability: 'active' }
const day = 24 * 60 * 60 * 1000

test('a node’s spec is checked before the node is looked up', async () => {
  const { control } = new Fixture()
  const update = (spec: object) => control.updateNode({ id: 'nosuch', version: 9, spec })
  await assertFails(update({}), 'InvalidArgument', 'invalid Role: ""')
  await assertFails(update({ Role: 'manager' }), 'InvalidArgument', 'invalid Availability: ""')
  await assertFails(
    update({ Role: 'manager', Availability: 'zz' }),
    'InvalidArgument',
    'invalid Availability: "zz"',
  )
  await assertFails(update(active), 'NotFound', 'node nosuch not found')
})

test('an update replaces the spec, whatever the case of its words', async () => {
  const f = new Fixture()
  const { version } = await f.addNode('n1', {
    spec: { Role: 'worker', Availability: 'active', Labels: { a: 'b' } },
  })
  await assertRpcFails(
    f.control.updateNode({ id: 'n1', version: version + 1, spec: active }),
    'Unknown',
    'update out of sequence',
  )
  await f.control.updateNode({ id: 'n1', version, spec: { Role: 'Worker', Availability: 'DRAIN' } })
  assert.deepEqual(f.get('nodes', 'n1').spec, { Labels: {}, Role: 'worker', Availability: 'drain' })
})

test('1.3 what the managers write of a node makes no update of a user stale', async () => {
  const f = new Fixture()
  const read = await f.addNode('n1')
  const managersWrite = (state: 'ready' | 'down') =>
    f.write((tx) => tx.update('nodes', 'n1', { status: { state, message: '', addr: '' } }))
  const update = (version: number, Availability: string) =>
    f.control.updateNode({ id: 'n1', version, spec: { Role: 'worker', Availability } })
  const refused = (version: number) =>
    assertRpcFails(update(version, 'active'), 'Unknown', 'update out of sequence')

  await f.addNode('n2')
  await managersWrite('down')
  await managersWrite('ready')
  const { version } = f.get('nodes', 'n1')
  assert.ok(version > read.version)
  await refused(version + 1)
  // Another object was written then, never this one.
  await refused(read.version + 1)
  await update(read.version, 'drain')
  assert.equal(f.get('nodes', 'n1').spec.Availability, 'drain')
  // Both were read before the spec changed.
  await refused(read.version)
  await refused(version)
  await update(f.get('nodes', 'n1').version, 'pause')
})

test('13.4 demotion must leave a working raft', async () => {
  const members = new Set(['m1', 'm2'])
  let canRemove = false
  const f = new Fixture({ members: { has: (id) => members.has(id), canRemove: () => canRemove } })
  await f.addNode('m1', manager)
  const demote = (id: string) =>
    f.control.updateNode({
      id,
      version: f.get('nodes', id).version,
      spec: { Role: 'worker', Availability: 'active' },
    })
  await assertRpcFails(
    demote('m1'),
    'FailedPrecondition',
    'attempting to demote the last manager of the swarm',
  )
  await f.addNode('m2', manager)
  await f.addNode('m3', manager)
  await assertRpcFails(
    demote('m1'),
    'FailedPrecondition',
    "can't remove member from the raft: this would result in a loss of quorum",
  )
  await assertRpcFails(demote('m3'), 'NotFound', "can't find manager in raft memberlist")
  canRemove = true
  await demote('m1')
  assert.equal(f.get('nodes', 'm1').spec.Role, 'worker')
})

test('a witness stays what it is: it is not demoted and gets no tasks', async () => {
  const f = new Fixture({ members: { has: () => true, canRemove: () => true } })
  const spec = { Role: 'manager', Availability: 'drain', Labels: {} }
  await f.addNode('m1', manager)
  await f.addNode('w1', { ...manager, witness: true, spec })
  const update = (id: string, changed: object) =>
    f.control.updateNode({ id, version: f.get('nodes', id).version, spec: { ...spec, ...changed } })
  await assertRpcFails(
    update('w1', { Role: 'worker' }),
    'FailedPrecondition',
    'node w1 is a witness and cannot become a worker. To take it out of the swarm, stop it and use `docker node rm w1`',
  )
  for (const Availability of ['active', 'pause']) {
    await assertRpcFails(
      update('w1', { Availability }),
      'FailedPrecondition',
      'node w1 is a witness and runs no tasks: its availability stays drain',
    )
  }
  await update('w1', { Labels: { place: 'cellar' } })
  assert.deepEqual(f.get('nodes', 'w1').spec.Labels, { place: 'cellar' })
  // It does not count where a manager with data is needed.
  await assertRpcFails(
    update('m1', { Role: 'worker' }),
    'FailedPrecondition',
    'attempting to demote the last manager of the swarm',
  )
})

test('a witness is removed as it is, when it is down and raft can do without it', async () => {
  let canRemove = false
  const f = new Fixture({ members: { has: () => true, canRemove: () => canRemove } })
  const down = { state: 'down', message: '', addr: '' } as const
  await f.addNode('w1', { ...manager, witness: true, status: { ...down, state: 'ready' } })
  const remove = (force: boolean) => f.control.removeNode({ id: 'w1', force })
  await assertRpcFails(
    remove(true),
    'FailedPrecondition',
    "can't remove member from the raft: this would result in a loss of quorum",
  )
  canRemove = true
  await assertRpcFails(remove(false), 'FailedPrecondition', "node w1 is not down and can't be removed")
  await f.write((tx) => tx.update('nodes', 'w1', { status: down }))
  await remove(false)
  await assertFails(remove(false), 'NotFound', 'node w1 not found')
})

test('13.5 a manager cannot be removed, nor a worker that is up without force', async () => {
  const f = new Fixture()
  await f.addNode('m1', manager)
  await f.addNode('w1')
  for (const force of [false, true]) {
    await assertRpcFails(
      f.control.removeNode({ id: 'm1', force }),
      'FailedPrecondition',
      'node m1 is a cluster manager and is a member of the raft cluster. It must be demoted to worker before removal',
    )
  }
  await assertRpcFails(
    f.control.removeNode({ id: 'w1', force: false }),
    'FailedPrecondition',
    "node w1 is not down and can't be removed",
  )
  await f.control.removeNode({ id: 'w1', force: true })
  await assertFails(f.control.removeNode({ id: 'w1', force: true }), 'NotFound', 'node w1 not found')
})

test('7.11 a removed node leaves orphaned tasks and a certificate that is refused', async () => {
  const f = new Fixture()
  await f.addCluster({ blacklistedCertificates: { old: f.env.nowMs() - 1, kept: f.env.nowMs() + 1 } })
  await f.addNode('w1', { status: { state: 'down', message: '', addr: '' } })
  const states = { live: TaskState.Running, done: TaskState.Failed }
  await f.write((tx) => {
    for (const [id, state] of Object.entries(states)) {
      tx.create('tasks', {
        id,
        spec: {},
        slot: 1,
        nodeId: 'w1',
        serviceAnnotations: { name: 'web', labels: {} },
        status: { state, timestampMs: 0, message: 'x' },
        desiredState: TaskState.Running,
        networks: [],
      })
    }
  })
  await f.control.removeNode({ id: 'w1', force: false })
  assert.equal(f.get('tasks', 'live').status.state, TaskState.Orphaned)
  assert.equal(f.get('tasks', 'live').status.message, 'Task belonged to a node that has been deleted')
  assert.equal(f.get('tasks', 'done').status.state, TaskState.Failed)
  const { blacklistedCertificates } = f.get('clusters', 'clusterid')
  assert.deepEqual(blacklistedCertificates, { kept: f.env.nowMs() + 1, w1: f.env.nowMs() + (90 + 7) * day })
})
