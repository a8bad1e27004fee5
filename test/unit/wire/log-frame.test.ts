import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeLogFrame, encodeLogFrame, type NodeLogMessage } from '../../../src/wire/index.js'

const messages: readonly NodeLogMessage[] = [
  {
    taskId: 'a',
    stream: 'stdout',
    timestampNs: 1_800_000_000_123_456_789n,
    attrs: {},
    data: Buffer.from('one\n'),
  },
  { taskId: 'b', stream: 'stderr', timestampNs: 7n, attrs: { k: 'v' }, data: Buffer.alloc(0) },
  { taskId: 'a', stream: 'stdout', timestampNs: 8n, attrs: {}, data: Buffer.from([0, 255, 10, 13]) },
]

test('a frame keeps bytes, nanoseconds and order', () => {
  const frame = { subscriptionId: 's', messages }
  assert.deepEqual(decodeLogFrame(encodeLogFrame(frame)), frame)
  assert.deepEqual(decodeLogFrame(encodeLogFrame({ subscriptionId: 's', messages: [] })).messages, [])
})

test('a frame that was cut or lengthened anywhere is refused', () => {
  const whole = encodeLogFrame({ subscriptionId: 's', messages })
  for (let length = 0; length < whole.length; length++)
    assert.throws(() => decodeLogFrame(whole.subarray(0, length)), /malformed log frame/)
  assert.throws(() => decodeLogFrame(Buffer.concat([whole, Buffer.from('x')])), /malformed log frame/)
  const header = Buffer.from('{"subscriptionId":"s","messages":[{"taskId":"a","stream":"x"}]}')
  const length = Buffer.alloc(4)
  length.writeUInt32BE(header.length)
  assert.throws(() => decodeLogFrame(Buffer.concat([length, header])), /unknown header/)
})
