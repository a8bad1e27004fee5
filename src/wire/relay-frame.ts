import { Type, type Static } from 'typebox'
import { Compile } from 'typebox/compile'
import { SwarmError } from '../model/errors.js'

/**
 * What two managers say to each other of the agents that one of them relays to the other: one connection
 * carries the sessions of many nodes, each in a channel of its own.
 *
 * A frame is one byte for its kind, the channel (4 bytes, big-endian), and what belongs to the kind: a message
 * as it is, or JSON.
 */
export type RelayFrame =
  /** To the leader: the node has connected. Its greeting is the next frame of the channel. */
  | { readonly kind: 'open'; readonly channel: number; readonly peer: RelayedPeer }
  /** Either way: a message of the session. */
  | { readonly kind: 'message'; readonly channel: number; readonly data: string | Buffer }
  /** Either way: the session, or its connection, has ended. */
  | { readonly kind: 'close'; readonly channel: number; readonly code: number; readonly reason: string }
  /** To the leader: so much waits to be sent to the node. */
  | { readonly kind: 'buffered'; readonly channel: number; readonly bytes: number }
  /** To the leader, first of all: nodes whose connections broke a short while ago. The channel is 0. */
  | { readonly kind: 'lost'; readonly channel: number; readonly nodes: readonly LostNode[] }

const RelayedPeerSchema = Type.Object({
  nodeId: Type.String(),
  /** The node's address as the manager that relays sees it. */
  addr: Type.String(),
})
export type RelayedPeer = Readonly<Static<typeof RelayedPeerSchema>>

const LostNodeSchema = Type.Object({
  nodeId: Type.String(),
  /** Time since its connection broke. */
  agoMs: Type.Number({ minimum: 0 }),
})
export type LostNode = Readonly<Static<typeof LostNodeSchema>>

const checks = {
  open: Compile(RelayedPeerSchema),
  close: Compile(Type.Object({ code: Type.Integer(), reason: Type.String() })),
  buffered: Compile(Type.Object({ bytes: Type.Number({ minimum: 0 }) })),
  lost: Compile(Type.Object({ nodes: Type.Array(LostNodeSchema) })),
}

const kinds = { open: 1, text: 2, binary: 3, close: 4, buffered: 5, lost: 6 } as const
const headerBytes = 5

export function encodeRelayFrame(frame: RelayFrame): Buffer {
  const { channel } = frame
  switch (frame.kind) {
    case 'open':
      return withHeader(kinds.open, channel, JSON.stringify(frame.peer))
    case 'message':
      return withHeader(typeof frame.data === 'string' ? kinds.text : kinds.binary, channel, frame.data)
    case 'close': {
      const { code, reason } = frame
      return withHeader(kinds.close, channel, JSON.stringify({ code, reason }))
    }
    case 'buffered':
      return withHeader(kinds.buffered, channel, JSON.stringify({ bytes: frame.bytes }))
    case 'lost':
      return withHeader(kinds.lost, channel, JSON.stringify({ nodes: frame.nodes }))
    default:
      return frame satisfies never
  }
}

/**
 * @returns undefined for a kind that this version does not know.
 * @throws {SwarmError} InvalidArgument when the frame is none.
 */
export function decodeRelayFrame(data: Buffer): RelayFrame | undefined {
  if (data.length < headerBytes) throw malformed('no header')
  const channel = data.readUInt32BE(1)
  const content = data.subarray(headerBytes)
  switch (data[0]) {
    case kinds.open: {
      const peer = readJson(content)
      if (!checks.open.Check(peer)) throw malformed('unknown peer')
      return { kind: 'open', channel, peer }
    }
    case kinds.text:
      return { kind: 'message', channel, data: content.toString() }
    case kinds.binary:
      return { kind: 'message', channel, data: content }
    case kinds.close: {
      const end = readJson(content)
      if (!checks.close.Check(end)) throw malformed('unknown end')
      return { kind: 'close', channel, ...end }
    }
    case kinds.buffered: {
      const state = readJson(content)
      if (!checks.buffered.Check(state)) throw malformed('unknown number of bytes')
      return { kind: 'buffered', channel, ...state }
    }
    case kinds.lost: {
      const list = readJson(content)
      if (!checks.lost.Check(list)) throw malformed('unknown list of nodes')
      return { kind: 'lost', channel, ...list }
    }
    default:
      return undefined
  }
}

function withHeader(kind: number, channel: number, content: string | Uint8Array): Buffer {
  const length = typeof content === 'string' ? Buffer.byteLength(content) : content.length
  const frame = Buffer.allocUnsafe(headerBytes + length)
  frame[0] = kind
  frame.writeUInt32BE(channel, 1)
  if (typeof content === 'string') frame.write(content, headerBytes)
  else frame.set(content, headerBytes)
  return frame
}

function readJson(content: Buffer): unknown {
  try {
    return JSON.parse(content.toString())
  } catch (error) {
    throw malformed('its content is no JSON', { cause: error })
  }
}

function malformed(what: string, options?: ErrorOptions): SwarmError {
  return new SwarmError('InvalidArgument', `malformed frame between managers: ${what}`, options)
}
