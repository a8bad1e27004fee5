import type { Entry, EntryKind, MemberId, Message, MessageBody, SnapshotMetadata } from '../core/index.js'
import { type ByteReader, type ByteWriter, MalformedError, maxNumberBytes } from './bytes.js'

/** By their numbers on the wire: new ones only at the end. */
const messageTypes = [
  'preVote',
  'preVoteReply',
  'vote',
  'voteReply',
  'append',
  'appendReply',
  'heartbeat',
  'heartbeatReply',
  'snapshot',
  'timeoutNow',
  'readIndex',
  'readIndexReply',
] as const satisfies readonly MessageBody['type'][]

const entryKinds = ['data', 'membership', 'noop'] as const satisfies readonly EntryKind[]

/** Type, term and at most five more numbers. */
const maxHeadBytes = 1 + 6 * maxNumberBytes
const maxEntryHeadBytes = 1 + 2 * maxNumberBytes

/** At least what `message` takes when encoded. */
export function maxEncodedBytes(message: Message): number {
  if (message.type === 'append') {
    return message.entries.reduce((sum, { data }) => sum + maxEntryHeadBytes + data.byteLength, maxHeadBytes)
  }
  return message.type === 'snapshot'
    ? maxHeadBytes + 3 * JSON.stringify(message.snapshot).length
    : maxHeadBytes
}

/** Writes all but sender and receiver: these are the connection's. */
export function writeMessage(out: ByteWriter, message: Message): void {
  out.byte(messageTypes.indexOf(message.type))
  out.number(message.term)
  switch (message.type) {
    case 'preVote':
    case 'vote':
      out.number(message.lastIndex)
      out.number(message.lastTerm)
      out.byte(message.force ? 1 : 0)
      return
    case 'preVoteReply':
    case 'voteReply':
      out.byte(message.granted ? 1 : 0)
      return
    case 'append':
      out.number(message.prevIndex)
      out.number(message.prevTerm)
      out.number(message.commit)
      out.number(message.entries.length)
      for (const entry of message.entries) writeEntry(out, entry)
      return
    case 'appendReply':
      out.byte(message.refused ? 1 : 0)
      out.number(message.index)
      if (!message.refused) return
      out.number(message.hintIndex)
      out.number(message.hintTerm)
      return
    case 'heartbeat':
      out.number(message.commit)
      out.number(message.readSequence)
      return
    case 'heartbeatReply':
      out.number(message.readSequence)
      return
    case 'snapshot':
      out.bytes(Buffer.from(JSON.stringify(message.snapshot)))
      return
    case 'timeoutNow':
      return
    case 'readIndex':
      out.number(message.context)
      return
    case 'readIndexReply':
      out.number(message.context)
      out.number(message.index)
      return
    default:
      message satisfies never
  }
}

/** Entries of one append follow each other, so their indexes are not written. */
function writeEntry(out: ByteWriter, { term, kind, data }: Entry): void {
  out.byte(entryKinds.indexOf(kind))
  out.number(term)
  out.bytes(data)
}

/**
 * The data of entries are views of what is read.
 * @throws {MalformedError} for what is no message.
 */
export function readMessage(from: ByteReader, envelope: { from: MemberId; to: MemberId }): Message {
  const type = messageTypes[from.byte()]
  if (type === undefined) throw new MalformedError('a message of an unknown type')
  const head = { ...envelope, term: from.number() }
  switch (type) {
    case 'preVote':
    case 'vote':
      return { ...head, type, lastIndex: from.number(), lastTerm: from.number(), force: from.flag() }
    case 'preVoteReply':
    case 'voteReply':
      return { ...head, type, granted: from.flag() }
    case 'append': {
      const prevIndex = from.number()
      const prevTerm = from.number()
      const commit = from.number()
      return { ...head, type, prevIndex, prevTerm, commit, entries: readEntries(from, prevIndex) }
    }
    case 'appendReply': {
      const refused = from.flag()
      const index = from.number()
      if (!refused) return { ...head, type, refused, index }
      return { ...head, type, refused, index, hintIndex: from.number(), hintTerm: from.number() }
    }
    case 'heartbeat':
      return { ...head, type, commit: from.number(), readSequence: from.number() }
    case 'heartbeatReply':
      return { ...head, type, readSequence: from.number() }
    case 'snapshot':
      return { ...head, type, snapshot: readMetadata(from.bytes()) }
    case 'timeoutNow':
      return { ...head, type }
    case 'readIndex':
      return { ...head, type, context: from.number() }
    case 'readIndexReply':
      return { ...head, type, context: from.number(), index: from.number() }
    default:
      return type satisfies never
  }
}

function readEntries(from: ByteReader, prevIndex: number): Entry[] {
  const count = from.number()
  const entries: Entry[] = []
  for (let index = prevIndex + 1; index <= prevIndex + count; index++) {
    const kind = entryKinds[from.byte()]
    if (kind === undefined) throw new MalformedError('an entry of an unknown kind')
    entries.push({ index, kind, term: from.number(), data: from.bytes() })
  }
  return entries
}

function readMetadata(bytes: Buffer): SnapshotMetadata {
  let value: unknown
  try {
    value = JSON.parse(bytes.toString())
  } catch (error) {
    throw new MalformedError('the description of a snapshot is no JSON', { cause: error })
  }
  const metadata = value as Partial<SnapshotMetadata> | null
  if (
    typeof metadata?.index !== 'number' ||
    typeof metadata.term !== 'number' ||
    !Array.isArray(metadata.membership?.members) ||
    !Array.isArray(metadata.membership.removedIds)
  ) {
    throw new MalformedError('the description of a snapshot lacks a part')
  }
  return metadata as SnapshotMetadata
}
