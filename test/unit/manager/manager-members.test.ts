import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManagerMembers } from '../../../src/manager/manager-members.js'
import type { Role } from '../../../src/model/objects.js'
import { decodeMemberContext } from '../../../src/raft/index.js'
import { instantStore } from '../../lib/instant-store.js'
import { SimulatedEnv } from '../../lib/simulated-env.js'
import { FakeRaft } from './fake-raft.js'

async function newMembers(roles: Readonly<Record<string, Role>>) {
  const raft = new FakeRaft()
  const store = instantStore(new SimulatedEnv())
  await store.update((tx) => {
    for (const [id, role] of Object.entries(roles)) {
      tx.create('nodes', {
        id,
        spec: { Labels: {}, Role: role, Availability: 'active' },
        role,
        status: { state: 'ready', message: '', addr: '' },
      })
    }
  })
  const probed: string[] = []
  const members = new ManagerMembers(raft, store)
  const join = (nodeId: string, memberId: string, addr: string, remoteAddress = '10.0.0.9') =>
    members.join(
      { memberId, addr },
      { identity: { nodeId, role: 'manager', clusterId: 'c' }, remoteAddress },
      (at) => {
        probed.push(at)
        return at.startsWith('unreachable') ? Promise.reject(new Error('nobody there')) : Promise.resolve()
      },
    )
  return { raft, store, members, join, probed }
}

test('a manager that joins is called back, learns first, and is listed under its address', async () => {
  const { raft, store, join, probed } = await newMembers({ n1: 'manager', n2: 'manager' })
  raft.voter('m1', 'n1')
  assert.deepEqual(await join('n2', 'm2', '0.0.0.0:2377', '::ffff:10.0.0.2'), { addr: '10.0.0.2:2377' })
  assert.deepEqual(probed, ['10.0.0.2:2377'])
  assert.equal(raft.members.find(({ id }) => id === 'm2')?.kind, 'learner')
  assert.equal(store.view.nodes.get('n2')?.managerAddr, '10.0.0.2:2377')
  // The same member again says where it is now, and needs no call.
  await join('n2', 'm2', '10.0.0.3:2377')
  assert.equal(decodeMemberContext(raft.members[1]?.context ?? '')?.addr, '10.0.0.3:2377')
  assert.equal(probed.length, 1)
  // With another log it is another member; the former one will never answer again.
  await join('n2', 'm3', '10.0.0.3:2377')
  assert.deepEqual(
    raft.members.map(({ id }) => id),
    ['m1', 'm3'],
  )
})

test('who may not join, and why', async () => {
  const { raft, join } = await newMembers({ n1: 'manager', n2: 'manager', w: 'worker' })
  raft.voter('m1', 'n1')
  raft.removedIds = ['old']
  await assert.rejects(join('gone', 'm9', '1.1.1.1:1'), { code: 'NotFound', message: /node gone not found/ })
  await assert.rejects(join('w', 'm9', '1.1.1.1:1'), { code: 'FailedPrecondition' })
  await assert.rejects(join('n2', 'old', '1.1.1.1:1'), /raft: member was removed from the cluster/)
  await assert.rejects(join('n2', 'm1', '1.1.1.1:1'), { code: 'AlreadyExists' })
  await assert.rejects(
    join('n2', 'm2', 'unreachable:1'),
    /could not connect to prospective new cluster member using its advertised address: nobody there/,
  )
  assert.equal(raft.members.length, 1)
})

test('a member goes only if a majority that answers remains', async () => {
  const { raft, members } = await newMembers({})
  raft.voter('m1', 'n1')
  raft.voter('m2', 'n2')
  raft.voter('m3', 'n3', { active: false })
  assert.equal(members.canRemove('n3'), true)
  assert.equal(members.canRemove('n2'), false)
  await assert.rejects(members.remove('n2'), {
    code: 'FailedPrecondition',
    message: /raft: member cannot be removed, because removing it may result in loss of quorum/,
  })
  await members.remove('n3')
  assert.deepEqual(raft.removedIds, ['m3'])
  assert.equal(members.canRemove('nobody'), true)
})

test('reachability is the leader’s word', async () => {
  const { raft, members } = await newMembers({})
  raft.leaderId = 'm1'
  raft.voter('m1', 'n1')
  raft.voter('m2', 'n2', { active: false })
  assert.deepEqual(members.statusOf('n2'), { leader: false, reachability: 'unreachable', addr: 'n2:2377' })
  const told = members.reachabilities()
  raft.isLeader = false
  assert.equal(members.statusOf('n2')?.reachability, 'unknown')
  assert.equal(members.statusOf('n1')?.reachability, 'reachable')
  members.learnReachabilities(told)
  assert.equal(members.statusOf('n2')?.reachability, 'unreachable')
  members.learnReachabilities('nonsense')
  assert.equal(members.statusOf('n2')?.reachability, 'unreachable')
  assert.equal(members.statusOf('n9'), undefined)
})
