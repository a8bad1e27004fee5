import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { ManagerMembers } from '../../../src/manager/manager-members.js'
import { RoleManager } from '../../../src/manager/role-manager.js'
import type { Role } from '../../../src/model/objects.js'
import { instantStore } from '../../lib/instant-store.js'
import { SimulatedEnv } from '../../lib/simulated-env.js'
import { FakeRaft } from './fake-raft.js'

/** Nodes with the role that they have and the one that they shall have; this leader runs on `n1`. */
async function newRoles(
  t: TestContext,
  nodes: Readonly<Record<string, readonly [is: Role, wanted: Role]>>,
  prepare: (raft: FakeRaft) => void,
) {
  const env = new SimulatedEnv()
  const raft = new FakeRaft()
  prepare(raft)
  const store = instantStore(env)
  await store.update((tx) => {
    for (const [id, [role, wanted]] of Object.entries(nodes)) {
      tx.create('nodes', {
        id,
        spec: { Labels: {}, Role: wanted, Availability: 'active' },
        role,
        status: { state: 'ready', message: '', addr: '' },
        ...(role === 'manager' && { managerAddr: `${id}:2377` }),
      })
    }
  })
  const roles = new RoleManager(env, store, new ManagerMembers(raft, store), 'n1')
  t.after(() => roles.stop())
  await env.advanceAsync(100)
  const roleOf = (id: string) => store.view.nodes.get(id)?.role
  return { env, raft, store, roleOf }
}

test('a promoted node is a manager at once', async (t) => {
  const { roleOf } = await newRoles(t, { n1: ['manager', 'manager'], n2: ['worker', 'manager'] }, (raft) =>
    raft.voter('m1', 'n1'),
  )
  assert.equal(roleOf('n2'), 'manager')
})

test('a demoted node leaves raft, and is a worker then', async (t) => {
  const { raft, store, roleOf } = await newRoles(
    t,
    { n1: ['manager', 'manager'], n2: ['manager', 'worker'] },
    (fake) => {
      fake.voter('m1', 'n1')
      fake.voter('m2', 'n2')
    },
  )
  assert.deepEqual(raft.removedIds, ['m2'])
  assert.equal(roleOf('n2'), 'worker')
  assert.equal(store.view.nodes.get('n2')?.managerAddr, undefined)
})

test('a demotion that would cost the majority waits until it does not', async (t) => {
  const { env, raft, roleOf } = await newRoles(
    t,
    { n1: ['manager', 'manager'], n2: ['manager', 'worker'], n3: ['manager', 'manager'] },
    (fake) => {
      fake.voter('m1', 'n1')
      fake.voter('m2', 'n2')
      fake.voter('m3', 'n3', { active: false })
    },
  )
  assert.equal(roleOf('n2'), 'manager')
  raft.members = raft.members.map((member) => ({ ...member, active: true }))
  await env.advanceAsync(1000)
  assert.deepEqual(raft.removedIds, ['m2'])
  assert.equal(roleOf('n2'), 'worker')
})

test('a leader that is demoted hands over: its successor takes it out', async (t) => {
  const { raft, roleOf } = await newRoles(
    t,
    { n1: ['manager', 'worker'], n2: ['manager', 'manager'] },
    (fake) => {
      fake.voter('m1', 'n1')
      fake.voter('m2', 'n2')
    },
  )
  assert.equal(raft.transfers, 1)
  assert.deepEqual(raft.removedIds, [])
  assert.equal(roleOf('n1'), 'manager')
})

test('a learner gets its vote when it has caught up', async (t) => {
  const { env, raft } = await newRoles(
    t,
    { n1: ['manager', 'manager'], n2: ['manager', 'manager'] },
    (fake) => {
      fake.voter('m1', 'n1')
      fake.voter('m2', 'n2', { kind: 'learner' })
      fake.notReady.add('m2')
    },
  )
  assert.equal(raft.members[1]?.kind, 'learner')
  raft.notReady.clear()
  await env.advanceAsync(1000)
  assert.equal(raft.members[1]?.kind, 'voter')
})

test('a member whose node is no more is taken out', async (t) => {
  const { raft } = await newRoles(t, { n1: ['manager', 'manager'] }, (fake) => {
    fake.voter('m1', 'n1')
    fake.voter('m2', 'gone')
  })
  assert.deepEqual(raft.removedIds, ['m2'])
})
