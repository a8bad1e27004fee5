import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MembershipError, NotLeaderError, type Member, type Message } from '../../../src/raft/core/index.js'
import { CoreNetwork, coreOf, learner, voter } from './core-network.js'

function witness(id: string): Member {
  return { id, kind: 'voter', witness: true, context: '' }
}

/** Two servers and a witness; `a` leads, and all have its log. */
function twoAndWitness(): CoreNetwork {
  const members = [voter('a'), voter('b'), witness('w')]
  const net = new CoreNetwork(members.map(({ id }) => coreOf(id, members)))
  net.elect('a')
  net.propose('a', 'first')
  net.tick('a', 2)
  return net
}

/** Entries that went to `to`, in order. */
function sentTo(net: CoreNetwork, to: string): { kind: string; text: string }[] {
  return net.sent.flatMap((message) =>
    message.type === 'append' && message.to === to
      ? message.entries.map(({ kind, data }) => ({ kind, text: Buffer.from(data).toString() }))
      : [],
  )
}

test('a witness gets every entry, and of the state machine no payload', () => {
  const net = twoAndWitness()
  net.core('a').proposeMembership({ type: 'add', member: learner('d') })
  net.settle()
  const last = net.core('a').log.lastIndex
  assert.equal(net.core('w').log.lastIndex, last)
  assert.equal(net.core('w').log.committed, last)
  const kinds = sentTo(net, 'w').map(({ kind }) => kind)
  assert.deepEqual(kinds, ['noop', 'data', 'membership'])
  assert.deepEqual(net.texts('w'), [''])
  assert.deepEqual(net.texts('b'), ['first'])
  // It knows the members as all do.
  assert.deepEqual(net.core('w').membership, net.core('a').membership)
})

test('a witness never campaigns, not even when it is told to', () => {
  const net = twoAndWitness()
  net.isolate('w')
  net.tick('w', 100)
  const { term } = net.core('w')
  net.core('w').step({ from: 'a', to: 'w', term, type: 'timeoutNow' })
  net.settle()
  assert.equal(net.core('w').role, 'follower')
  assert.equal(net.core('w').term, term)
  assert.ok(net.sent.every(({ from, type }) => from !== 'w' || type.endsWith('Reply')))
  net.heal()
  assert.throws(() => net.core('a').transferLeadership('w'), NotLeaderError)
})

test('a leader is removed by its successor only: else the witness might be left with a server that is behind', () => {
  const net = twoAndWitness()
  const removeA = (by: string) => net.core(by).proposeMembership({ type: 'remove', id: 'a' })
  assert.throws(() => removeA('a'), MembershipError)
  net.core('a').transferLeadership('b')
  net.settle()
  removeA('b')
  net.settle()
  net.propose('b', 'alone with the witness')
  assert.deepEqual(net.texts('b'), ['first', 'alone with the witness'])
})

test('the witness is told of nothing that a server which keeps up does not have', () => {
  const net = twoAndWitness()
  const before = net.core('w').log.lastIndex
  const isAppendToB = (message: Message) => message.to === 'b' && message.type === 'append'
  net.delivers = (message) => !isAppendToB(message)
  net.propose('a', 'second')
  assert.equal(net.core('w').log.lastIndex, before)
  // The leader dies now: the other server can take over, with all that was committed.
  net.isolate('a')
  net.tickAll(25)
  assert.equal(net.core('b').role, 'leader')
  assert.deepEqual(net.texts('b'), ['first'])
})

test('either server dies: the other one goes on with the witness', () => {
  const net = twoAndWitness()
  net.isolate('b')
  net.propose('a', 'alone')
  assert.deepEqual(net.texts('a'), ['first'])
  net.tick('a', 12)
  assert.deepEqual(net.texts('a'), ['first', 'alone'])
  net.heal()
  net.tickAll(3)
  assert.deepEqual(net.texts('b'), ['first', 'alone'])
  net.isolate('a')
  for (let i = 0; i < 40; i++) {
    net.tick('b')
    net.tick('w')
  }
  assert.equal(net.core('b').role, 'leader')
  net.propose('b', 'other')
  assert.deepEqual(net.texts('b'), ['first', 'alone', 'other'])
})

test('what the transport says of a dead server spares the wait', () => {
  const net = twoAndWitness()
  net.isolate('b')
  net.propose('a', 'alone')
  net.core('a').reportUnreachable('b')
  net.settle()
  assert.deepEqual(net.texts('a'), ['first', 'alone'])
})

test('a server that answers but writes nothing holds up writes only for a while', () => {
  const net = twoAndWitness()
  net.delivers = (message) => message.from !== 'b' || message.type !== 'appendReply'
  net.propose('a', 'stuck')
  net.tick('a', 15)
  assert.deepEqual(net.texts('a'), ['first'])
  net.tick('a', 10)
  assert.deepEqual(net.texts('a'), ['first', 'stuck'])
})

test('the witness dies: the servers go on', () => {
  const net = twoAndWitness()
  net.isolate('w')
  net.propose('a', 'second')
  net.tick('a', 25)
  net.propose('a', 'third')
  assert.equal(net.core('a').role, 'leader')
  assert.deepEqual(net.texts('a'), ['first', 'second', 'third'])
})

test('server and witness die: the last one refuses', () => {
  const net = twoAndWitness()
  net.isolate('a')
  net.propose('a', 'lost?')
  net.tick('a', 25)
  assert.notEqual(net.core('a').role, 'leader')
  assert.deepEqual(net.texts('a'), ['first'])
  assert.throws(() => net.core('a').propose(Buffer.from('x')), NotLeaderError)
})

test('leader and witness have committed, the leader dies: the stale survivor is refused until it is back', () => {
  const net = twoAndWitness()
  net.isolate('b')
  net.core('a').reportUnreachable('b')
  net.propose('a', 'acknowledged')
  assert.deepEqual(net.texts('a'), ['first', 'acknowledged'])
  net.isolate('a')
  for (let i = 0; i < 100; i++) {
    net.tick('b')
    net.tick('w')
  }
  assert.notEqual(net.core('b').role, 'leader')
  assert.deepEqual(net.texts('b'), ['first'])
  net.heal()
  for (let i = 0; i < 60; i++) net.tickAll()
  net.elect('a')
  assert.equal(net.core('a').role, 'leader')
  assert.deepEqual(net.texts('b'), ['first', 'acknowledged'])
})

test('a server that has caught up holds the witness back again', () => {
  const net = twoAndWitness()
  net.isolate('b')
  net.core('a').reportUnreachable('b')
  net.propose('a', 'alone')
  net.heal()
  net.tick('a', 3)
  net.delivers = (message) => message.to !== 'b' || message.type !== 'append'
  const before = net.core('w').log.lastIndex
  net.propose('a', 'both')
  assert.equal(net.core('w').log.lastIndex, before)
})

test('there is one witness at most, and somebody must be able to lead', () => {
  const net = twoAndWitness()
  const change = (c: Parameters<ReturnType<typeof coreOf>['proposeMembership']>[0]) => () =>
    net.core('a').proposeMembership(c)
  const second: Member = { id: 'w2', kind: 'learner', witness: true, context: '' }
  assert.throws(change({ type: 'add', member: second }), /w is the witness already/)
  change({ type: 'remove', id: 'b' })()
  net.settle()
  assert.throws(change({ type: 'remove', id: 'a' }), MembershipError)
})

test('a witness joins as a learner: its silence stops nothing, and it votes once it has answered', () => {
  const net = CoreNetwork.of('a', 'b')
  net.elect('a')
  net.propose('a', 'x')
  net.core('a').proposeMembership({
    type: 'add',
    member: { id: 'w', kind: 'learner', witness: true, context: '' },
  })
  net.settle()
  assert.throws(() => net.core('a').proposeMembership({ type: 'promote', id: 'w' }), /does not answer/)
  net.add(coreOf('w', []))
  net.tick('a', 3)
  net.core('a').proposeMembership({ type: 'promote', id: 'w' })
  net.settle()
  net.tick('a', 2)
  assert.deepEqual(net.core('w').membership.members, [witness('w')])
  assert.deepEqual(net.texts('w'), [''])
})

test('a witness that lags behind the log is sent where the log begins', () => {
  const net = twoAndWitness()
  net.isolate('w')
  for (let i = 0; i < 20; i++) net.propose('a', `n${i}`)
  const a = net.core('a')
  a.compact(a.log.applied)
  net.heal()
  net.tick('a', 3)
  assert.equal(net.core('w').log.start, a.log.start)
  assert.equal(net.core('w').log.lastIndex, a.log.lastIndex)
  net.isolate('b')
  a.reportUnreachable('b')
  net.propose('a', 'with the witness')
  assert.equal(net.texts('a').at(-1), 'with the witness')
})

test('the witness is told of nothing that the leader itself could still lose', () => {
  const net = twoAndWitness()
  net.isolate('b')
  const a = net.core('a')
  a.reportUnreachable('b')
  a.propose(Buffer.from('being written'))
  const toWitness = (messages: readonly Message[] = []) =>
    messages.filter(
      (message) => message.to === 'w' && message.type === 'append' && message.entries.length > 0,
    )
  const writing = a.ready()
  assert.ok(writing)
  assert.equal(writing.entries.length, 1)
  assert.deepEqual(toWitness(writing.messages), [])
  a.advance(writing)
  assert.equal(toWitness(a.ready()?.messages).length, 1)
})

test('a leader that finds its own removal in the log stays until another one has all that the witness was told', () => {
  const net = twoAndWitness()
  net.core('a').transferLeadership('b')
  net.settle()
  // It comes to the disk of the one to be removed, and no further.
  net.delivers = ({ from, to }) => from === 'b' && to === 'a'
  net.core('b').proposeMembership({ type: 'remove', id: 'a' })
  net.settle()
  net.isolate('b')
  for (let i = 0; i < 40; i++) {
    net.tick('a')
    net.tick('w')
  }
  assert.equal(net.core('a').role, 'leader')
  assert.ok(net.core('a').membership.members.some(({ id }) => id === 'a'))
  net.heal()
  net.tickAll(5)
  assert.equal(net.core('b').role, 'leader')
  assert.deepEqual(net.core('b').membership.removedIds, ['a'])
  net.propose('b', 'alone with the witness')
  assert.deepEqual(net.texts('b'), ['first', 'alone with the witness'])
})
