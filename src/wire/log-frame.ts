import { Type, type Static } from 'typebox'
import { Compile } from 'typebox/compile'
import type { LogMessage } from '../model/logs.js'
import { SwarmError } from '../model/errors.js'

/**
 * A binary frame of log messages: length of the header (4 bytes, big-endian), the header as JSON, then the
 * data of all messages one after the other. Lines need no base64 that way, and cost one frame together.
 */
export interface LogFrame {
  readonly subscriptionId: string
  readonly messages: readonly NodeLogMessage[]
}

/** A log message and the task that wrote it. A node's own connection says which node that is. */
export interface NodeLogMessage extends LogMessage {
  readonly taskId: string
  /** Between managers. */
  readonly nodeId?: string
  readonly serviceId?: string
}

const HeaderSchema = Type.Object({
  subscriptionId: Type.String(),
  messages: Type.Array(
    Type.Object({
      taskId: Type.String(),
      nodeId: Type.Optional(Type.String()),
      serviceId: Type.Optional(Type.String()),
      stream: Type.Union([Type.Literal('stdout'), Type.Literal('stderr')]),
      timestampNs: Type.String({ pattern: '^-?[0-9]{1,20}$' }),
      attrs: Type.Optional(
        Type.Unsafe<Record<string, string>>({ type: 'object', additionalProperties: { type: 'string' } }),
      ),
      bytes: Type.Integer({ minimum: 0 }),
    }),
  ),
})
const header = Compile(HeaderSchema)

export function encodeLogFrame(frame: LogFrame): Buffer {
  const content: Static<typeof HeaderSchema> = {
    subscriptionId: frame.subscriptionId,
    messages: frame.messages.map(({ taskId, nodeId, serviceId, stream, timestampNs, attrs, data }) => ({
      taskId,
      ...(nodeId !== undefined && { nodeId }),
      ...(serviceId !== undefined && { serviceId }),
      stream,
      timestampNs: String(timestampNs),
      ...(Object.keys(attrs).length === 0 ? {} : { attrs: { ...attrs } }),
      bytes: data.length,
    })),
  }
  const head = Buffer.from(JSON.stringify(content))
  const length = Buffer.alloc(4)
  length.writeUInt32BE(head.length)
  return Buffer.concat([length, head, ...frame.messages.map(({ data }) => data)])
}

/** @throws {SwarmError} InvalidArgument when the frame is not one. */
export function decodeLogFrame(frame: Buffer): LogFrame {
  if (frame.length < 4) throw malformed('no header')
  let at = 4 + frame.readUInt32BE(0)
  if (at > frame.length) throw malformed('the header is cut off')
  let content: unknown
  try {
    content = JSON.parse(frame.toString('utf8', 4, at))
  } catch (error) {
    throw malformed('the header is no JSON', { cause: error })
  }
  if (!header.Check(content)) throw malformed('unknown header')
  const messages = content.messages.map(({ timestampNs, attrs, bytes, ...message }) => {
    const data = frame.subarray(at, at + bytes)
    at += bytes
    return { ...message, timestampNs: BigInt(timestampNs), attrs: attrs ?? {}, data }
  })
  if (at !== frame.length) throw malformed('lengths do not fit')
  return { subscriptionId: content.subscriptionId, messages }
}

function malformed(what: string, options?: ErrorOptions): SwarmError {
  return new SwarmError('InvalidArgument', `malformed log frame: ${what}`, options)
}
