import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeRelayFrame, encodeRelayFrame, type RelayFrame } from '../../../src/wire/index.js'

test('frames between managers arrive as they were sent', () => {
  const frames: readonly RelayFrame[] = [
    { kind: 'open', channel: 7, peer: { nodeId: 'n1', addr: '10.0.0.1' } },
    { kind: 'message', channel: 2 ** 32 - 1, data: '{"type":"heartbeat"} ü' },
    { kind: 'message', channel: 1, data: Buffer.from([0, 255, 3]) },
    { kind: 'message', channel: 1, data: '' },
    { kind: 'close', channel: 1, code: 4410, reason: 'gone' },
    { kind: 'buffered', channel: 1, bytes: 300_000 },
    { kind: 'lost', channel: 0, nodes: [{ nodeId: 'n1', agoMs: 12.5 }] },
  ]
  for (const frame of frames) assert.deepEqual(decodeRelayFrame(encodeRelayFrame(frame)), frame)
})

test('a kind of a newer version is ignored, what is no frame is refused', () => {
  assert.equal(decodeRelayFrame(Buffer.from([99, 0, 0, 0, 1])), undefined)
  for (const bytes of [
    [],
    [1, 0, 0],
    [1, 0, 0, 0, 1],
    [1, 0, 0, 0, 1, ...Buffer.from('{"nodeId":1}')],
    [6, 0, 0, 0, 0, ...Buffer.from('{"nodes":{}}')],
  ]) {
    assert.throws(() => decodeRelayFrame(Buffer.from(bytes)), {
      name: 'SwarmError',
      message: /^malformed frame between managers: /,
    })
  }
})
