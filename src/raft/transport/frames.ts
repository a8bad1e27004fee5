import type { MemberId, Message, MessageOf } from '../core/index.js'
import { ByteReader, ByteWriter, MalformedError, maxNumberBytes } from './bytes.js'
import { maxEncodedBytes, readMessage, writeMessage } from './message-codec.js'

export const transportVersion = 1

/** The first frame of a connection, from who made it. */
export interface Hello {
  readonly version: number
  readonly from: MemberId
  readonly to: MemberId
  /** The sender's own context: the receiver may not know this member yet, or not under its new address. */
  readonly context: string
  readonly carries: 'messages' | 'snapshot'
}

/** How the receiver took a snapshot. */
export interface SnapshotResult {
  /** Undefined when all is well. */
  readonly error?: string
}

/** By their numbers on the wire, in the first byte. */
const Kind = {
  Hello: 1,
  Messages: 2,
  /** To be answered at once, so that a connection whose other end is gone is found out. */
  Ping: 3,
  Pong: 4,
  SnapshotHead: 5,
  SnapshotPiece: 6,
  SnapshotEnd: 7,
  /** How many bytes of pieces were consumed so far. */
  SnapshotProgress: 8,
  SnapshotResult: 9,
} as const

export type Frame =
  | { readonly kind: 'hello'; readonly hello: Hello }
  | { readonly kind: 'messages'; readonly messages: readonly Message[] }
  | { readonly kind: 'ping' | 'pong' | 'snapshotEnd' }
  | { readonly kind: 'snapshotHead'; readonly message: MessageOf<'snapshot'> }
  | { readonly kind: 'snapshotPiece'; readonly data: Buffer }
  | { readonly kind: 'snapshotProgress'; readonly bytes: number }
  | { readonly kind: 'snapshotResult'; readonly result: SnapshotResult }

export const pingFrame: Uint8Array = Uint8Array.of(Kind.Ping)
export const pongFrame: Uint8Array = Uint8Array.of(Kind.Pong)
export const snapshotEndFrame: Uint8Array = Uint8Array.of(Kind.SnapshotEnd)

export function helloFrame(hello: Hello): Uint8Array {
  return jsonFrame(Kind.Hello, hello)
}

export function messagesFrame(messages: readonly Message[]): Uint8Array {
  const capacity = messages.reduce((sum, message) => sum + maxEncodedBytes(message), 1)
  const out = new ByteWriter(capacity)
  out.byte(Kind.Messages)
  for (const message of messages) writeMessage(out, message)
  return out.done()
}

export function snapshotHeadFrame(message: MessageOf<'snapshot'>): Uint8Array {
  const out = new ByteWriter(1 + maxEncodedBytes(message))
  out.byte(Kind.SnapshotHead)
  writeMessage(out, message)
  return out.done()
}

export function snapshotPieceFrame(data: Uint8Array): Uint8Array {
  return Buffer.concat([Uint8Array.of(Kind.SnapshotPiece), data])
}

export function snapshotProgressFrame(bytes: number): Uint8Array {
  const out = new ByteWriter(1 + maxNumberBytes)
  out.byte(Kind.SnapshotProgress)
  out.number(bytes)
  return out.done()
}

export function snapshotResultFrame(result: SnapshotResult): Uint8Array {
  return jsonFrame(Kind.SnapshotResult, result)
}

function jsonFrame(kind: number, value: Hello | SnapshotResult): Uint8Array {
  return Buffer.concat([Uint8Array.of(kind), Buffer.from(JSON.stringify(value))])
}

/**
 * @param ends of the connection, for the messages.
 * @throws {MalformedError}
 */
export function readFrame(data: Uint8Array, ends: { from: MemberId; to: MemberId }): Frame {
  const reader = new ByteReader(data)
  const kind = reader.byte()
  switch (kind) {
    case Kind.Hello:
      return { kind: 'hello', hello: readHello(reader.rest()) }
    case Kind.Messages: {
      const messages: Message[] = []
      while (!reader.atEnd) messages.push(readMessage(reader, ends))
      return { kind: 'messages', messages }
    }
    case Kind.Ping:
      return { kind: 'ping' }
    case Kind.Pong:
      return { kind: 'pong' }
    case Kind.SnapshotHead: {
      const message = readMessage(reader, ends)
      if (message.type !== 'snapshot') throw new MalformedError('a snapshot begins with another message')
      return { kind: 'snapshotHead', message }
    }
    case Kind.SnapshotPiece:
      return { kind: 'snapshotPiece', data: reader.rest() }
    case Kind.SnapshotEnd:
      return { kind: 'snapshotEnd' }
    case Kind.SnapshotProgress:
      return { kind: 'snapshotProgress', bytes: reader.number() }
    case Kind.SnapshotResult: {
      const { error } = readJson(reader.rest())
      return { kind: 'snapshotResult', result: typeof error === 'string' ? { error } : {} }
    }
    default:
      throw new MalformedError('a frame of an unknown kind')
  }
}

function readHello(bytes: Buffer): Hello {
  const { version, from, to, context, carries } = readJson(bytes)
  if (version !== transportVersion) throw new MalformedError(`version ${String(version)} of the protocol`)
  if (typeof from !== 'string' || typeof to !== 'string' || typeof context !== 'string') {
    throw new MalformedError('a hello lacks a part')
  }
  if (carries !== 'messages' && carries !== 'snapshot') {
    throw new MalformedError('a connection for an unknown purpose')
  }
  return { version, from, to, context, carries }
}

function readJson(bytes: Buffer): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(bytes.toString())
  } catch (error) {
    throw new MalformedError('no JSON where JSON should be', { cause: error })
  }
  if (typeof value !== 'object' || value === null) throw new MalformedError('no object where one should be')
  return value as Record<string, unknown>
}
