import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encodeChange, MembershipError, type Message } from '../../../src/raft/core/index.js'
import { coreOf, CoreNetwork, entry, learner, voter } from './core-network.js'

test('a proposal is committed by a majority and applied everywhere in order', () => {
  const net = CoreNetwork.of('a', 'b', 'c')
  net.elect('a')
  net.isolate('c')
  net.propose('a', 'x')
  net.propose('a', 'y')
  assert.deepEqual(net.texts('b'), ['x', 'y'])
  assert.deepEqual(net.texts('c'), [])
  net.heal()
  net.tick('a', 3)
  assert.deepEqual(net.texts('c'), ['x', 'y'])
})

test('without a majority nothing is committed', () => {
  const net = CoreNetwork.of('a', 'b', 'c')
  net.elect('a')
  net.isolate('a')
  net.propose('a', 'x')
  assert.deepEqual(net.texts('a'), [])
})

test('a leader counts itself only after its own disk is done', () => {
  const core = coreOf('a', [voter('a'), voter('b')])
  const net = new CoreNetwork([core, coreOf('b', [voter('a'), voter('b')])])
  net.elect('a')
  const index = core.propose(Buffer.from('x'))
  const ready = core.ready()
  assert.ok(ready)
  assert.equal(ready.messages[0]?.type, 'append', 'sent before it is written')
  core.step({ type: 'appendReply', from: 'b', to: 'a', term: core.term, refused: false, index })
  assert.ok(core.log.committed < index)
  core.advance(ready)
  assert.equal(core.log.committed, index)
})

test('all proposals of a turn travel in one message', () => {
  const net = CoreNetwork.of('a', 'b')
  net.elect('a')
  net.sent.length = 0
  for (let i = 0; i < 50; i++) net.core('a').propose(Buffer.from(`${i}`))
  net.settle()
  const appends = net.sent.filter((m) => m.type === 'append' && m.entries.length > 0)
  assert.equal(appends.length, 1)
  assert.equal(net.texts('b').length, 50)
})

test('conflicting entries of a follower are replaced', () => {
  const members = ['a', 'b', 'c'].map(voter)
  const common = [entry(1, 1, 'one')]
  const net = new CoreNetwork([
    coreOf('a', members, { entries: [...common, entry(2, 3, 'right')], term: 3, commit: 1 }),
    coreOf('b', members, {
      entries: [...common, ...Array.from({ length: 30 }, (_, i) => entry(i + 2, 2, `wrong ${i}`))],
      term: 2,
      commit: 1,
    }),
    coreOf('c', members, { entries: common, term: 1, commit: 1 }),
  ])
  net.sent.length = 0
  net.elect('a')
  for (const id of ['a', 'b', 'c']) assert.deepEqual(net.texts(id), ['one', 'right'], id)
  // Whole terms are skipped: not one refusal for each of the 30 entries.
  assert.ok(net.sent.filter((m) => m.type === 'appendReply' && m.refused).length <= 4)
})

test('an entry of an older term is committed only together with one of the new leader', () => {
  const members = ['a', 'b', 'c'].map(voter)
  const net = new CoreNetwork([
    coreOf('a', members, { entries: [entry(1, 1, 'old')], term: 1 }),
    coreOf('b', members, { entries: [entry(1, 1, 'old')], term: 1 }),
    coreOf('c', members),
  ])
  // The leader's own first entry gets lost; the older one is on a majority already.
  net.delivers = (message: Message) => message.type !== 'append'
  net.elect('a')
  const { term } = net.core('a')
  net.core('a').step({ type: 'appendReply', from: 'b', to: 'a', term, refused: false, index: 1 })
  net.settle()
  assert.equal(net.core('a').log.committed, 0)
  net.heal()
  net.tick('a', 3)
  assert.equal(net.core('a').log.committed, 2)
  assert.deepEqual(net.texts('c'), ['old'])
})

test('appends are limited in flight and go on with the replies', () => {
  const members = ['a', 'b'].map(voter)
  const options = { maxInflightMessages: 3, maxMessageBytes: 1 }
  const net = new CoreNetwork([coreOf('a', members, {}, options), coreOf('b', members)])
  net.elect('a')
  net.sent.length = 0
  for (let i = 0; i < 10; i++) net.core('a').propose(Buffer.from(`${i}`))
  const ready = net.core('a').ready()
  assert.equal(ready?.messages.length, 3)
  if (ready !== undefined) {
    net.core('a').advance(ready)
    for (const message of ready.messages) net.core('b').step(message)
  }
  net.settle()
  assert.equal(net.texts('b').length, 10)
})

test('a lost append is noticed by heartbeats and sent again', () => {
  const net = CoreNetwork.of('a', 'b')
  net.elect('a')
  net.delivers = (message) => message.type !== 'append'
  net.propose('a', 'x')
  net.heal()
  assert.deepEqual(net.texts('b'), [])
  net.tick('a', 2)
  assert.deepEqual(net.texts('b'), ['x'])
})

test('repeated and outdated appends change nothing', () => {
  const net = CoreNetwork.of('a', 'b')
  net.elect('a')
  net.propose('a', 'x')
  net.propose('a', 'y')
  const appends = net.sent.filter((message) => message.type === 'append')
  for (const message of [...appends, ...appends.reverse()]) net.core('b').step(message)
  net.settle()
  net.tick('a', 2)
  assert.deepEqual(net.texts('b'), ['x', 'y'])
  assert.equal(net.core('b').log.lastIndex, net.core('a').log.lastIndex)
})

test('entries that were replaced while they were being written do not count as written', () => {
  const core = coreOf('b', ['a', 'b', 'c'].map(voter))
  const append = { from: 'a', to: 'b', prevIndex: 0, prevTerm: 0, commit: 0, type: 'append' } as const
  core.step({ ...append, term: 1, entries: [entry(1, 1, 'x'), entry(2, 1, 'y')] })
  const first = core.ready()
  core.step({ ...append, from: 'c', term: 2, entries: [entry(1, 2, 'z')] })
  const second = core.ready()
  assert.ok(first && second)
  core.advance(first)
  assert.equal(core.log.stable, 0)
  core.advance(second)
  assert.equal(core.log.stable, 1)
})

test('a follower that needs what the log no longer has gets a snapshot, then the rest', () => {
  const net = CoreNetwork.of('a', 'b', 'c')
  net.elect('a')
  net.isolate('c')
  for (let i = 0; i < 20; i++) net.propose('a', `${i}`)
  const start = net.core('a').compact(15)
  assert.equal(start?.index, 15)
  net.heal()
  net.tick('a', 3)
  const snapshot = net.sent.find((message) => message.type === 'snapshot')
  assert.ok(snapshot?.type === 'snapshot')
  assert.equal(snapshot.snapshot.index, net.core('a').log.applied)
  net.propose('a', 'after')
  net.tick('a', 2)
  assert.deepEqual(net.texts('c'), ['after'])
  assert.deepEqual(net.core('c').membership, net.core('a').membership)
})

test('a snapshot that was not delivered is sent again after the follower speaks', () => {
  const net = CoreNetwork.of('a', 'b', 'c')
  net.elect('a')
  net.isolate('c')
  for (let i = 0; i < 20; i++) net.propose('a', `${i}`)
  net.core('a').compact(15)
  net.delivers = (message) => message.type !== 'snapshot'
  net.tick('a', 3)
  assert.equal(net.sent.filter((message) => message.type === 'snapshot').length, 1)
  net.heal()
  net.core('a').reportSnapshot('c', false)
  net.tick('a', 3)
  assert.equal(net.core('c').log.committed, net.core('a').log.committed)
})

test('a snapshot older than what is committed is answered and ignored', () => {
  const net = CoreNetwork.of('a', 'b')
  net.elect('a')
  net.propose('a', 'x')
  const { term, log, membership } = net.core('b')
  const { committed } = log
  const snapshot = { index: 1, term: 1, membership }
  net.core('b').step({ type: 'snapshot', from: 'a', to: 'b', term, snapshot })
  const ready = net.core('b').ready()
  assert.equal(ready?.snapshot, undefined)
  const [reply] = ready?.messagesAfterPersist ?? []
  assert.ok(reply?.type === 'appendReply' && !reply.refused)
  assert.equal(reply.index, committed)
})

test('readIndex: a single member answers at once', () => {
  const net = CoreNetwork.of('a')
  net.propose('a', 'x')
  net.core('a').readIndex(7)
  net.settle()
  assert.deepEqual(net.reads.get('a'), [{ context: 7, index: 2 }])
})

test('readIndex: a leader without a majority does not answer', () => {
  const net = CoreNetwork.of('a', 'b', 'c')
  net.elect('a')
  net.isolate('a')
  net.core('a').readIndex(1)
  net.settle()
  assert.deepEqual(net.reads.get('a'), [])
  net.heal()
  net.tick('a')
  assert.deepEqual(net.reads.get('a'), [{ context: 1, index: 1 }])
})

test('readIndex: old confirmations do not count for new reads', () => {
  const net = CoreNetwork.of('a', 'b', 'c')
  net.elect('a')
  net.core('a').readIndex(1)
  net.settle()
  const replies = net.sent.filter((message) => message.type === 'heartbeatReply')
  net.isolate('a')
  net.core('a').readIndex(2)
  net.settle()
  for (const reply of replies) net.core('a').step(reply)
  net.settle()
  assert.deepEqual(
    net.reads.get('a')?.map((read) => read.context),
    [1],
  )
})

test('readIndex: a follower asks the leader', () => {
  const net = CoreNetwork.of('a', 'b', 'c')
  net.elect('a')
  const index = net.propose('a', 'x')
  assert.equal(net.core('c').readIndex(3), true)
  net.settle()
  assert.deepEqual(net.reads.get('c'), [{ context: 3, index }])
})

test('readIndex: without a leader there is nobody to ask', () => {
  const core = coreOf('a', ['a', 'b'].map(voter))
  assert.equal(core.readIndex(1), false)
})

test('readIndex: a new leader answers only after it knows what is committed', () => {
  const net = CoreNetwork.of('a', 'b', 'c')
  net.delivers = (message) => message.type !== 'append'
  net.elect('a')
  net.core('a').readIndex(1)
  net.settle()
  net.tick('a')
  assert.deepEqual(net.reads.get('a'), [])
  net.heal()
  net.tick('a', 2)
  assert.deepEqual(net.reads.get('a'), [{ context: 1, index: 1 }])
})

test('members: a learner gets the log without a vote, then becomes a voter', () => {
  const first = encodeChange({ type: 'add', member: voter('a') })
  const entries = [{ index: 1, term: 1, kind: 'membership' as const, data: first }]
  const net = new CoreNetwork([coreOf('a', [], { entries, term: 1, commit: 1 })])
  net.propose('a', 'x')
  net.add(coreOf('b', []))
  net.core('a').proposeMembership({ type: 'add', member: learner('b') })
  net.settle()
  net.tick('a', 3)
  assert.deepEqual(
    net.core('b').membership.members.map((m) => m.kind),
    ['voter', 'learner'],
  )
  // Its silence stops nothing.
  net.isolate('b')
  net.propose('a', 'y')
  assert.deepEqual(net.texts('a'), ['x', 'y'])
  net.heal()
  net.tick('a', 3)
  net.core('a').proposeMembership({ type: 'promote', id: 'b' })
  net.settle()
  net.tick('a', 2)
  assert.deepEqual(
    net.core('b').membership.members.map((m) => m.kind),
    ['voter', 'voter'],
  )
  net.isolate('b')
  net.propose('a', 'z')
  assert.deepEqual(net.texts('a'), ['x', 'y'])
})

test('members: one change at a time, and none before the leader has committed in its term', () => {
  const net = CoreNetwork.of('a', 'b', 'c')
  net.delivers = (message) => message.type !== 'append'
  net.elect('a')
  const add = (id: string) => net.core('a').proposeMembership({ type: 'add', member: learner(id) })
  assert.throws(() => add('d'), MembershipError)
  net.heal()
  net.tick('a', 2)
  add('d')
  assert.throws(() => add('e'), MembershipError)
  net.settle()
  add('e')
})

test('members: senseless changes are refused', () => {
  const net = CoreNetwork.of('a')
  const propose = (change: Parameters<ReturnType<typeof coreOf>['proposeMembership']>[0]) => () => {
    net.core('a').proposeMembership(change)
    net.settle()
  }
  assert.throws(propose({ type: 'remove', id: 'a' }), /last voter/)
  assert.throws(propose({ type: 'promote', id: 'x' }), /not a member/)
  assert.throws(propose({ type: 'add', member: voter('a') }), /member already/)
  propose({ type: 'add', member: learner('b') })()
  propose({ type: 'remove', id: 'b' })()
  assert.throws(propose({ type: 'add', member: learner('b') }), /was removed/)
})

test('members: a learner that never answered is not promoted, however short the log', () => {
  const net = CoreNetwork.of('a')
  net.core('a').proposeMembership({ type: 'add', member: learner('b') })
  net.settle()
  const promote = () => net.core('a').proposeMembership({ type: 'promote', id: 'b' })
  assert.throws(promote, /does not answer/)
  net.add(coreOf('b', []))
  net.tick('a', 2)
  // It has answered, but not lately.
  net.isolate('b')
  net.tick('a', 20)
  assert.throws(promote, /does not answer/)
  net.heal()
  net.tick('a')
  promote()
})

test('members: a learner that lags far behind is not promoted', () => {
  const net = CoreNetwork.of('a')
  for (let i = 0; i < 1200; i++) net.core('a').propose(Buffer.from('x'))
  net.settle()
  net.core('a').proposeMembership({ type: 'add', member: learner('b') })
  net.settle()
  const a = net.core('a')
  a.step({ from: 'b', to: 'a', term: a.term, type: 'appendReply', refused: false, index: 1 })
  assert.throws(() => a.proposeMembership({ type: 'promote', id: 'b' }), /not caught up/)
})

test('members: a leader that removes itself commits that by the others and names a successor', () => {
  const net = CoreNetwork.of('a', 'b', 'c')
  net.elect('a')
  net.core('a').proposeMembership({ type: 'remove', id: 'a' })
  net.settle()
  assert.notEqual(net.core('a').role, 'leader')
  const leader = ['b', 'c'].find((id) => net.core(id).role === 'leader')
  assert.ok(leader)
  assert.deepEqual(
    net.core(leader).membership.members.map((m) => m.id),
    ['b', 'c'],
  )
  assert.deepEqual(net.core(leader).membership.removedIds, ['a'])
  net.propose(leader, 'x')
  assert.deepEqual(net.texts(leader), ['x'])
})

test('members: what waited for a removed voter is committed by those who are left', () => {
  const net = CoreNetwork.of('a', 'b')
  net.elect('a')
  net.core('a').proposeMembership({ type: 'remove', id: 'b' })
  net.core('a').propose(Buffer.from('x'))
  net.settle()
  assert.deepEqual(net.texts('a'), ['x'])
})

test('a restart applies again what came after the persisted state, and finds the members', () => {
  const net = CoreNetwork.of('a')
  net.core('a').proposeMembership({ type: 'add', member: learner('b') })
  net.settle()
  net.propose('a', 'x')
  const entries = net.applied.get('a') ?? []
  const restarted = new CoreNetwork([coreOf('a', [voter('a')], { entries, term: 1, commit: 3 })])
  assert.deepEqual(restarted.texts('a'), ['x'])
  assert.deepEqual(
    restarted.core('a').membership.members.map((m) => m.id),
    ['a', 'b'],
  )
})
