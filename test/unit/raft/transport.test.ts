import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import {
  type Entry,
  type Member,
  type Membership,
  type Message,
  type MessageOf,
} from '../../../src/raft/index.js'
import { PeerTransport } from '../../../src/raft/transport/index.js'
import { MalformedError } from '../../../src/raft/transport/bytes.js'
import { messagesFrame, readFrame } from '../../../src/raft/transport/frames.js'
import { PeerLink } from '../../lib/peer-link.js'
import { settle, SimulatedEnv } from '../../lib/simulated-env.js'

const ends = { from: 'a', to: 'b' }
const head = { ...ends, term: 3 }

function entry(index: number, length = 3): Entry {
  return { index, term: 2, kind: 'data', data: Buffer.alloc(length, index) }
}

function append(prevIndex: number, entries: readonly Entry[]): Message {
  return { ...head, type: 'append', prevIndex, prevTerm: 2, commit: 1, entries }
}

const heartbeat: Message = { ...head, type: 'heartbeat', commit: 7, readSequence: 9 }

const examples: readonly Message[] = [
  { ...head, type: 'preVote', lastIndex: Number.MAX_SAFE_INTEGER, lastTerm: 2 ** 40, force: true },
  { ...head, type: 'preVoteReply', granted: false },
  { ...head, type: 'vote', lastIndex: 127, lastTerm: 128, force: false },
  { ...head, type: 'voteReply', granted: true },
  append(4, [entry(5), { index: 6, term: 300, kind: 'membership', data: Buffer.from('{}') }]),
  append(6, [{ index: 7, term: 3, kind: 'noop', data: Buffer.alloc(0) }]),
  append(7, []),
  { ...head, type: 'appendReply', refused: false, index: 16384 },
  { ...head, type: 'appendReply', refused: true, index: 16383, hintIndex: 2, hintTerm: 1 },
  heartbeat,
  { ...head, type: 'heartbeatReply', readSequence: 0 },
  {
    ...head,
    type: 'snapshot',
    snapshot: {
      index: 5,
      term: 2,
      membership: { members: [{ id: 'ä', kind: 'voter', context: '€' }], removedIds: ['x'] },
    },
  },
  { ...head, type: 'timeoutNow' },
  { ...head, type: 'readIndex', context: 5 },
  { ...head, type: 'readIndexReply', context: 5, index: 6 },
]

describe('raft messages on the wire', () => {
  test('come back as they were', () => {
    assert.deepEqual(readFrame(messagesFrame(examples), ends), { kind: 'messages', messages: examples })
  })

  test('are refused when they are cut off, wherever', () => {
    for (const message of examples) {
      const frame = messagesFrame([message])
      for (let length = 2; length < frame.length; length++) {
        assert.throws(() => readFrame(frame.subarray(0, length), ends), MalformedError)
      }
    }
  })

  test('cost next to nothing beside the entries', () => {
    const frame = messagesFrame([append(1000, [entry(1001, 1000), entry(1002, 1000)])])
    assert.ok(frame.length < 2030, `${frame.length} bytes`)
  })
})

interface Node {
  readonly id: string
  readonly transport: PeerTransport
  readonly received: Message[]
  readonly unreachable: string[]
  readonly gone: string[]
  removed: number
  onSnapshot: (message: MessageOf<'snapshot'>, content: AsyncIterable<Uint8Array>) => Promise<void>
}

/** Members whose connections the test can see and break. The context of member `a` is node `node-a`. */
class Net {
  readonly env = new SimulatedEnv()
  readonly nodes = new Map<string, Node>()
  /** By `a>b`, in the order in which they were made. */
  readonly links: { readonly name: string; readonly link: PeerLink }[] = []
  dials = 0
  isDown = false
  dialCode = 'EHOSTUNREACH'

  add(id: string, context = `node-${id}`): Node {
    const node: Node = {
      id,
      received: [],
      unreachable: [],
      gone: [],
      removed: 0,
      onSnapshot: () => Promise.resolve(),
      transport: new PeerTransport(this.env, {
        id,
        context: () => context,
        nodeIdOf: (text) => text,
        dial: (member) => this.#dial(id, context, member),
        onRemoved: () => node.removed++,
      }),
    }
    node.transport.attach({
      receive: (messages) => node.received.push(...messages),
      receiveSnapshot: (message, content) => node.onSnapshot(message, content),
      reportUnreachable: (other) => node.unreachable.push(other),
      reportGone: (other) => node.gone.push(other),
    })
    this.nodes.set(id, node)
    return node
  }

  #dial(from: string, nodeId: string, member: Member): Promise<PeerLink['client']> {
    this.dials++
    const target = this.nodes.get(member.id)
    if (target === undefined || this.isDown) {
      return Promise.reject(Object.assign(new Error('connection refused'), { code: this.dialCode }))
    }
    const link = new PeerLink()
    this.links.push({ name: `${from}>${member.id}`, link })
    target.transport.accept(link.server, nodeId)
    return Promise.resolve(link.client)
  }

  link(name: string): PeerLink {
    const found = this.links.findLast((one) => one.name === name)
    assert.ok(found !== undefined, `there is no connection ${name}`)
    return found.link
  }
}

function members(...ids: string[]): Membership {
  return {
    members: ids.map((id) => ({ id, kind: 'voter', context: `node-${id}` })),
    removedIds: [],
  }
}

function pair(): { net: Net; a: Node; b: Node } {
  const net = new Net()
  const a = net.add('a')
  const b = net.add('b')
  for (const { transport } of [a, b]) transport.updateMembers(members('a', 'b'))
  return { net, a, b }
}

async function advance(env: SimulatedEnv, totalMs: number): Promise<void> {
  for (let at = 0; at < totalMs; at += 50) {
    env.advance(50)
    await settle()
  }
}

describe('PeerTransport', () => {
  test('puts all messages of a turn into one frame, the first ones behind the hello', async () => {
    const { net, a, b } = pair()
    a.transport.send('b', [append(1, [entry(2)])])
    a.transport.send('b', [heartbeat])
    await settle()
    assert.deepEqual(b.received, [append(1, [entry(2)]), heartbeat])
    const { sent } = net.link('a>b').client
    // Hello, ping and the messages.
    assert.equal(sent.length, 3)
    assert.equal(net.dials, 1)
  })

  test('lets heartbeats pass what waits for a slow peer, and drops appends when too much waits', async () => {
    const { net, a, b } = pair()
    a.transport.send('b', [heartbeat])
    await settle()
    const { client } = net.link('a>b')
    client.isClogged = true
    for (let index = 1; index <= 4; index++) a.transport.send('b', [append(index, [entry(index + 1, 1e6)])])
    await settle()
    const before = client.sentBytes
    a.transport.send('b', [heartbeat])
    await settle()
    assert.ok(before > 1e6 && before < 1.1e6, `one append is on its way, not ${before} bytes`)
    assert.ok(client.sentBytes - before < 100, 'the heartbeat was not sent, or not alone')
    assert.deepEqual(a.unreachable, [])
    for (let index = 5; index <= 6; index++) a.transport.send('b', [append(index, [entry(index + 1, 1e6)])])
    await settle()
    assert.deepEqual(a.unreachable, ['b'])
    client.unclog()
    await settle()
    const appends = b.received.filter(({ type }) => type === 'append')
    assert.equal(appends.length, 1)
  })

  test('resumes the appends that waited when the peer takes more', async () => {
    const { net, a, b } = pair()
    a.transport.send('b', [heartbeat])
    await settle()
    net.link('a>b').client.isClogged = true
    const appends = [1, 2, 3].map((index) => append(index, [entry(index + 1, 1e6)]))
    a.transport.send('b', appends)
    await settle()
    net.link('a>b').client.unclog()
    await settle()
    assert.deepEqual(b.received, [heartbeat, ...appends])
  })

  test('says that a member is gone when its connection broke and nothing listens there any more', async () => {
    for (const [dialCode, gone] of [
      ['ECONNREFUSED', ['b']],
      ['EHOSTUNREACH', []],
    ] as const) {
      const { net, a } = pair()
      a.transport.send('b', [heartbeat])
      await settle()
      Object.assign(net, { isDown: true, dialCode })
      net.link('a>b').cut()
      await settle()
      assert.deepEqual(a.gone, [])
      net.env.advance(50)
      await settle()
      assert.deepEqual(a.gone, gone, dialCode)
    }
  })

  test('connects again after a break, with growing waits, and tells raft', async () => {
    const { net, a, b } = pair()
    a.transport.send('b', [heartbeat])
    await settle()
    net.isDown = true
    net.link('a>b').cut()
    await settle()
    assert.deepEqual(a.unreachable, ['b'])
    const dialsBefore = net.dials
    for (let ms = 0; ms < 10_000; ms += 50) {
      a.transport.send('b', [heartbeat])
      net.env.advance(50)
      await settle()
    }
    const dials = net.dials - dialsBefore
    assert.ok(dials >= 9 && dials <= 25, `${dials} attempts in 10 s`)
    net.isDown = false
    await advance(net.env, 1000)
    b.received.length = 0
    a.transport.send('b', [heartbeat])
    await settle()
    assert.deepEqual(b.received, [heartbeat])
  })

  test('a member that connects is connected to at once', async () => {
    const { net, a, b } = pair()
    net.isDown = true
    for (let ms = 0; ms < 5000; ms += 50) {
      a.transport.send('b', [heartbeat])
      net.env.advance(50)
      await settle()
    }
    net.isDown = false
    b.transport.send('a', [heartbeat])
    await settle()
    a.transport.send('b', [heartbeat])
    await settle()
    assert.deepEqual(b.received, [heartbeat])
  })

  test('finds out that the other end is gone without a word', async () => {
    const { net, a, b } = pair()
    a.transport.send('b', [heartbeat])
    await settle()
    net.link('a>b').freeze()
    await advance(net.env, 5000)
    assert.deepEqual(a.unreachable, ['b'])
    a.transport.send('b', [heartbeat])
    await settle()
    assert.deepEqual(b.received, [heartbeat, heartbeat])
  })

  test('keeps a connection on which nothing is said', async () => {
    const { net, a } = pair()
    a.transport.send('b', [heartbeat])
    await settle()
    await advance(net.env, 60_000)
    assert.deepEqual(a.unreachable, [])
    assert.equal(net.dials, 1)
  })

  test('believes only the node that the list of members names', async () => {
    const { net, a, b } = pair()
    const impostor = net.add('a', 'node-x')
    impostor.transport.updateMembers(members('a', 'b'))
    impostor.transport.send('b', [heartbeat])
    await settle()
    assert.deepEqual(b.received, [])
    assert.deepEqual(impostor.unreachable, ['b'])
    a.transport.send('b', [heartbeat])
    await settle()
    assert.deepEqual(b.received, [heartbeat])
  })

  test('answers a member that the list does not know yet', async () => {
    const { net, b } = pair()
    const c = net.add('c')
    c.transport.updateMembers(members('a', 'b', 'c'))
    b.transport.send('c', [heartbeat])
    await settle()
    assert.deepEqual(c.received, [])
    c.transport.send('b', [heartbeat])
    await settle()
    b.transport.send('c', [heartbeat])
    await settle()
    assert.deepEqual(b.received, [{ ...heartbeat, from: 'c' }])
    assert.deepEqual(c.received, [{ ...heartbeat, from: 'b', to: 'c' }])
  })

  test('a removed member is cut off and told', async () => {
    const { a, b } = pair()
    a.transport.send('b', [heartbeat])
    await settle()
    b.transport.updateMembers({ members: members('b').members, removedIds: ['a'] })
    await settle()
    assert.equal(a.removed, 1)
    a.transport.send('b', [heartbeat])
    await settle()
    assert.deepEqual(b.received, [heartbeat])
  })

  test('a newer connection of a member replaces the one before', async () => {
    const { net, a, b } = pair()
    a.transport.send('b', [heartbeat])
    await settle()
    const first = net.link('a>b')
    const second = net.add('a')
    second.transport.updateMembers(members('a', 'b'))
    second.transport.send('b', [heartbeat])
    await settle()
    assert.notEqual(net.link('a>b'), first)
    assert.deepEqual(a.unreachable, ['b'])
    assert.deepEqual(b.received, [heartbeat, heartbeat])
  })
})

describe('a snapshot on its way', () => {
  const message = examples.find((one): one is MessageOf<'snapshot'> => one.type === 'snapshot')
  assert.ok(message !== undefined)
  const megabytes = 8

  /** Tells how far it was read. */
  function content(): { readonly pieces: AsyncIterable<Uint8Array>; readonly position: () => number } {
    let position = 0
    async function* pieces() {
      for (let at = 0; at < megabytes; at++) {
        position = at + 1
        yield Buffer.alloc(1024 * 1024, at)
        await Promise.resolve()
      }
    }
    return { pieces: pieces(), position: () => position }
  }

  test('arrives whole, and is not read faster than it is taken', async () => {
    const { net, a, b } = pair()
    const { pieces, position } = content()
    let taken = Buffer.alloc(0)
    let mayTake: () => void = () => undefined
    const allowed = new Promise<void>((resolve) => (mayTake = resolve))
    b.onSnapshot = async (got, parts) => {
      assert.deepEqual(got, message)
      for await (const part of parts) {
        await allowed
        taken = Buffer.concat([taken, part])
      }
    }
    const sent = a.transport.sendSnapshot('b', message, pieces)
    await settle()
    assert.ok(position() <= 2, `${position()} MiB were read although nothing was taken`)
    const name = 'a>b'
    assert.ok(net.link(name).client.sentBytes < 1.5 * 1024 * 1024)
    mayTake()
    await sent
    assert.equal(taken.length, megabytes * 1024 * 1024)
    for (let at = 0; at < megabytes; at++) assert.equal(taken[at * 1024 * 1024], at)
  })

  test('fails on both sides when the connection breaks', async () => {
    const { net, a, b } = pair()
    let received: Promise<void> | undefined
    let parts = 0
    b.onSnapshot = (_got, pieces) => {
      received = (async () => {
        for await (const piece of pieces) if (piece.byteLength > 0 && ++parts === 5) net.link('a>b').cut()
      })()
      return received
    }
    await assert.rejects(a.transport.sendSnapshot('b', message, content().pieces), /the connection ended/)
    await assert.rejects(received ?? Promise.resolve(), /the connection ended/)
    assert.ok(parts < 32, 'it was taken as whole')
  })

  test('tells the sender why the receiver refuses it', async () => {
    const { a, b } = pair()
    b.onSnapshot = () => Promise.reject(new Error('a snapshot is being received already'))
    await assert.rejects(a.transport.sendSnapshot('b', message, content().pieces), /being received already/)
  })

  test('ends early when the receiver needs no more of it', async () => {
    const { a, b } = pair()
    const { pieces, position } = content()
    b.onSnapshot = () => Promise.resolve()
    await a.transport.sendSnapshot('b', message, pieces)
    assert.ok(position() < megabytes, 'all was sent')
  })

  test('gives up on a receiver that is stuck', async () => {
    const { net, a, b } = pair()
    b.onSnapshot = () => new Promise(() => undefined)
    const failed = assert.rejects(a.transport.sendSnapshot('b', message, content().pieces), /stuck/)
    await settle()
    await advance(net.env, 40_000)
    await failed
  })
})
