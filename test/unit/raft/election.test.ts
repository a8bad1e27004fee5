import assert from 'node:assert/strict'
import { test } from 'node:test'
import { InvariantError, NotLeaderError } from '../../../src/raft/core/index.js'
import { coreOf, CoreNetwork, entry, learner, voter } from './core-network.js'

test('a single member leads at once, without a tick, once its vote is on disk', () => {
  const core = coreOf('a', [voter('a')])
  assert.equal(core.role, 'candidate')
  const vote = core.ready()
  assert.ok(vote)
  assert.equal(vote.mustPersist, true)
  assert.deepEqual(vote.hardState, { term: 1, votedFor: 'a', commit: 0 })
  assert.equal(core.role, 'candidate')
  core.advance(vote)
  assert.equal(core.role, 'leader')
  const noop = core.ready()
  assert.deepEqual(
    noop?.entries.map((e) => [e.index, e.term, e.kind]),
    [[1, 1, 'noop']],
  )
  assert.equal(core.log.committed, 0)
  if (noop !== undefined) core.advance(noop)
  assert.equal(core.log.committed, 1)
})

test('three members elect the first whose timer ends; the others follow', () => {
  const net = CoreNetwork.of('a', 'b', 'c')
  net.elect('b')
  assert.deepEqual(
    ['a', 'b', 'c'].map((id) => [net.core(id).role, net.core(id).leaderId, net.core(id).term]),
    [
      ['follower', 'b', 1],
      ['leader', 'b', 1],
      ['follower', 'b', 1],
    ],
  )
})

test('a follower waits between 10 and 20 ticks before it campaigns', () => {
  const ticks = new Set<number>()
  for (let chance = 0; chance < 10; chance++) {
    const core = coreOf('a', [voter('a'), voter('b')], {}, { randomInt: () => chance })
    let count = 0
    while (core.role === 'follower') {
      core.tick()
      count++
    }
    ticks.add(count)
  }
  assert.deepEqual([...ticks], [10, 11, 12, 13, 14, 15, 16, 17, 18, 19])
})

test('when the process of the leader is known to have ended, the others wait no election timeout', () => {
  const net = CoreNetwork.of('a', 'b', 'c')
  net.elect('a')
  net.tickAll(3)
  net.delivers = ({ from, to }) => from !== 'a' && to !== 'a'
  for (const id of ['b', 'c']) net.core(id).reportGone('a')
  for (let ticks = 0; ticks < 5; ticks++) for (const id of ['b', 'c']) net.tick(id)
  const roles = ['b', 'c'].map((id) => net.core(id).role).sort()
  assert.deepEqual(roles, ['follower', 'leader'])
})

test('a wrong word that the leader is gone costs nothing while the others hear from it', () => {
  const net = CoreNetwork.of('a', 'b', 'c')
  net.elect('a')
  net.tickAll(3)
  net.core('b').reportGone('c')
  assert.equal(net.core('b').leaderId, 'a')
  net.core('b').reportGone('a')
  net.tickAll(30)
  for (const id of ['a', 'b', 'c']) assert.equal(net.core(id).leaderId, 'a')
  assert.equal(net.core('a').term, 1)
})

test('heartbeats keep followers from campaigning', () => {
  const net = CoreNetwork.of('a', 'b', 'c')
  net.elect('a')
  net.tickAll(100)
  assert.equal(net.core('a').role, 'leader')
  assert.equal(net.core('a').term, 1)
})

test('a member with a shorter log is not elected', () => {
  const members = ['a', 'b', 'c'].map(voter)
  const full = [entry(1, 1, 'x'), entry(2, 1, 'y')]
  const net = new CoreNetwork([
    coreOf('a', members, { entries: full.slice(0, 1), term: 1 }),
    coreOf('b', members, { entries: full, term: 1 }),
    coreOf('c', members, { entries: full, term: 1 }),
  ])
  net.tick('a', 60)
  assert.notEqual(net.core('a').role, 'leader')
  net.elect('c')
  assert.equal(net.core('c').role, 'leader')
  assert.deepEqual(net.texts('a'), ['x', 'y'])
})

test('a higher last term beats a longer log', () => {
  const members = ['a', 'b', 'c'].map(voter)
  const net = new CoreNetwork([
    coreOf('a', members, { entries: [entry(1, 1, 'old'), entry(2, 1, 'older')], term: 1 }),
    coreOf('b', members, { entries: [entry(1, 2, 'new')], term: 2 }),
    coreOf('c', members, { entries: [entry(1, 2, 'new')], term: 2 }),
  ])
  net.tick('a', 60)
  assert.notEqual(net.core('a').role, 'leader')
  net.elect('b')
  assert.deepEqual(net.texts('a'), ['new'])
})

test('one vote per term: the second candidate of a term is refused, the first may ask again', () => {
  const core = coreOf('a', ['a', 'b', 'c'].map(voter))
  const ask = (from: string) => {
    core.step({ type: 'vote', from, to: 'a', term: 5, lastIndex: 9, lastTerm: 4, force: false })
    const ready = core.ready()
    return ready?.messagesAfterPersist.map((m) => (m.type === 'voteReply' ? m.granted : undefined))
  }
  assert.deepEqual(ask('b'), [true])
  assert.deepEqual(ask('c'), [false])
  assert.deepEqual(ask('b'), [true])
})

test('a vote is remembered over a restart', () => {
  const core = coreOf('a', ['a', 'b', 'c'].map(voter), { term: 5, votedFor: 'b' })
  core.step({ type: 'vote', from: 'c', to: 'a', term: 5, lastIndex: 9, lastTerm: 4, force: false })
  const [reply] = core.ready()?.messagesAfterPersist ?? []
  assert.ok(reply?.type === 'voteReply')
  assert.equal(reply.granted, false)
})

test('a vote is answered only after it is on disk', () => {
  const core = coreOf('a', ['a', 'b'].map(voter))
  core.step({ type: 'vote', from: 'b', to: 'a', term: 1, lastIndex: 0, lastTerm: 0, force: false })
  const ready = core.ready()
  assert.equal(ready?.mustPersist, true)
  assert.equal(ready.hardState.votedFor, 'b')
  assert.deepEqual(ready.messages, [])
  assert.equal(ready.messagesAfterPersist[0]?.type, 'voteReply')
})

test('PreVote: a member that was cut off raises no term and disturbs no leader when it returns', () => {
  const net = CoreNetwork.of('a', 'b', 'c')
  net.elect('a')
  net.isolate('c')
  net.tick('c', 200)
  assert.equal(net.core('c').term, 1)
  assert.equal(net.core('c').role, 'preCandidate')
  net.heal()
  net.tick('c', 30)
  net.tickAll(3)
  assert.equal(net.core('a').role, 'leader')
  assert.equal(net.core('a').term, 1)
  assert.equal(net.core('c').leaderId, 'a')
})

test('leader lease: whoever hears from a leader ignores candidates, also those of a higher term', () => {
  const net = CoreNetwork.of('a', 'b', 'c')
  net.elect('a')
  for (const type of ['preVote', 'vote'] as const) {
    net.core('b').step({ type, from: 'c', to: 'b', term: 9, lastIndex: 99, lastTerm: 8, force: false })
    assert.equal(net.core('b').ready(), undefined)
    assert.equal(net.core('b').term, 1)
  }
})

test('CheckQuorum: a leader that hears from no majority steps down within two election timeouts', () => {
  const net = CoreNetwork.of('a', 'b', 'c')
  net.elect('a')
  net.isolate('a')
  net.tick('a', 20)
  assert.equal(net.core('a').role === 'leader', false)
  assert.throws(() => net.core('a').propose(Buffer.from('x')), NotLeaderError)
})

test('CheckQuorum: a leader that hears from a majority stays', () => {
  const net = CoreNetwork.of('a', 'b', 'c')
  net.elect('a')
  net.isolate('c')
  net.tick('a', 100)
  assert.equal(net.core('a').role, 'leader')
})

test('a leader that was replaced steps down when it learns of the newer term', () => {
  const net = CoreNetwork.of('a', 'b', 'c')
  net.elect('a')
  net.isolate('a')
  net.core('a').propose(Buffer.from('lost'))
  net.settle()
  for (let i = 0; i < 60 && net.core('b').role !== 'leader'; i++) {
    net.tick('c')
    net.tick('b')
    if (net.core('c').role === 'leader') break
  }
  const leader = net.core('b').role === 'leader' ? 'b' : 'c'
  net.propose(leader, 'kept')
  net.heal()
  net.tick(leader, 3)
  assert.equal(net.core('a').role, 'follower')
  assert.equal(net.core('a').leaderId, leader)
  assert.deepEqual(net.texts('a'), ['kept'])
})

test('a member whose term ran ahead is led again after one election', () => {
  const members = ['a', 'b', 'c'].map(voter)
  const net = new CoreNetwork([coreOf('a', members), coreOf('b', members), coreOf('c', members, { term: 7 })])
  net.isolate('c')
  net.elect('a')
  net.heal()
  for (let i = 0; i < 40; i++) net.tickAll()
  const leader = [...net.cores.values()].find((core) => core.role === 'leader')
  assert.ok(leader !== undefined && leader.term >= 8)
  for (const core of net.cores.values()) assert.equal(core.leaderId, leader.id)
})

test('a learner never campaigns', () => {
  const core = coreOf('b', [voter('a'), learner('b')])
  for (let i = 0; i < 100; i++) core.tick()
  assert.equal(core.role, 'follower')
  core.step({ type: 'timeoutNow', from: 'a', to: 'b', term: 0 })
  assert.equal(core.role, 'follower')
})

test('a learner that hears nothing of its leader for long knows of none', () => {
  const core = coreOf('b', [voter('a'), learner('b')])
  const heartbeat = { type: 'heartbeat', from: 'a', to: 'b', term: 1, commit: 0, readSequence: 0 } as const
  core.step(heartbeat)
  assert.equal(core.leaderId, 'a')
  for (let i = 0; i < 20; i++) core.tick()
  assert.equal(core.leaderId, undefined)
  core.step(heartbeat)
  assert.equal(core.leaderId, 'a')
})

test('a member that is in no membership never campaigns', () => {
  const core = coreOf('x', [])
  for (let i = 0; i < 100; i++) core.tick()
  assert.equal(core.role, 'follower')
  assert.equal(core.ready(), undefined)
})

test('two leaders in one term are an error, not something to live with', () => {
  const net = CoreNetwork.of('a', 'b', 'c')
  net.elect('a')
  const rival = { type: 'heartbeat', from: 'c', to: 'b', term: 1, commit: 0, readSequence: 0 } as const
  assert.throws(() => net.core('b').step(rival), InvariantError)
})

test('transfer: the follower takes over at once although everybody hears from the leader', () => {
  const net = CoreNetwork.of('a', 'b', 'c')
  net.elect('a')
  net.propose('a', 'x')
  net.core('a').transferLeadership('c')
  net.settle()
  assert.equal(net.core('c').role, 'leader')
  assert.equal(net.core('a').leaderId, 'c')
  assert.equal(net.core('b').term, 2)
})

test('transfer: a follower that is behind gets the log first; proposals wait meanwhile', () => {
  const net = CoreNetwork.of('a', 'b', 'c')
  net.elect('a')
  net.isolate('c')
  net.propose('a', 'x')
  net.core('a').transferLeadership('c')
  net.settle()
  assert.equal(net.core('a').role, 'leader')
  assert.throws(() => net.core('a').propose(Buffer.from('y')), NotLeaderError)
  net.heal()
  net.tick('a', 2)
  assert.equal(net.core('c').role, 'leader')
  assert.deepEqual(net.texts('c'), ['x'])
})

test('transfer: given up after an election timeout', () => {
  const net = CoreNetwork.of('a', 'b', 'c')
  net.elect('a')
  net.isolate('c')
  net.core('a').transferLeadership('c')
  net.tick('a', 10)
  assert.equal(net.core('a').transferee, undefined)
  net.propose('a', 'x')
  assert.deepEqual(net.texts('b'), ['x'])
})

test('transfer: refused to learners, strangers, and by followers', () => {
  const members = [voter('a'), learner('b')]
  const net = new CoreNetwork([coreOf('a', members), coreOf('b', members)])
  assert.throws(() => net.core('a').transferLeadership('b'), NotLeaderError)
  assert.throws(() => net.core('a').transferLeadership('x'), NotLeaderError)
  assert.throws(() => net.core('b').transferLeadership('a'), NotLeaderError)
})
