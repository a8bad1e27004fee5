import { Readable } from 'node:stream'
import type { FastifyReply } from 'fastify'
import { stringifyExact } from '../convert/json.js'

/** Objects that are encoded and written in one turn of the event loop: some milliseconds at the first time. */
const sliceLength = 200

/** JSON as Docker writes it: no HTML escapes, a newline at the end, no charset in the type. */
export function sendJson(reply: FastifyReply, value: unknown, status = 200): FastifyReply {
  return sendEncoded(reply, `${stringifyExact(value)}\n`, status)
}

/** The same for JSON that is encoded already. */
export function sendEncoded(reply: FastifyReply, json: string | Buffer, status = 200): FastifyReply {
  reply.raw.setHeader('Content-Type', 'application/json')
  return reply.code(status).send(typeof json === 'string' ? Buffer.from(json) : json)
}

/** One object, encoded with `encode`. */
export function sendObject<T>(reply: FastifyReply, object: T, encode: (object: T) => Buffer): FastifyReply {
  return sendEncoded(reply, Buffer.concat([encode(object), newline]))
}

/** Success that has nothing to say: no body, no type. */
export function sendNothing(reply: FastifyReply, status = 200): FastifyReply {
  return reply.code(status).send()
}

const open = Buffer.from('[')
const comma = Buffer.from(',')
const close = Buffer.from(']\n')
const emptyList = Buffer.from('[]\n')
const newline = Buffer.from('\n')

/**
 * A list out of its objects' encoded forms. A long one is encoded and written in slices, so that it
 * neither stalls the process nor fills its memory when the client reads slowly.
 */
export function sendList<T>(
  reply: FastifyReply,
  objects: readonly T[],
  encode: (object: T) => Buffer,
): FastifyReply {
  if (objects.length <= sliceLength) {
    return sendEncoded(reply, Buffer.concat([open, ...slice(objects, 0, objects.length, encode), close]))
  }
  reply.raw.setHeader('Content-Type', 'application/json')
  return reply.code(200).send(Readable.from(slices(objects, encode), { objectMode: false }))
}

/** A list as one piece, for answers that are given more than once. Long ones are put together in slices, too. */
export async function assembleList<T>(objects: readonly T[], encode: (object: T) => Buffer): Promise<Buffer> {
  const parts: Buffer[] = []
  let bytes = 0
  for await (const part of slices(objects, encode)) {
    parts.push(part)
    bytes += part.length
  }
  const list = Buffer.allocUnsafeSlow(bytes)
  let at = 0
  for (const part of parts) {
    at += part.copy(list, at)
    if (parts.length > 1) await nextTurn()
  }
  return list
}

async function* slices<T>(objects: readonly T[], encode: (object: T) => Buffer): AsyncGenerator<Buffer> {
  for (let start = 0; start < objects.length; start += sliceLength) {
    const end = Math.min(start + sliceLength, objects.length)
    yield Buffer.concat([start === 0 ? open : comma, ...slice(objects, start, end, encode)])
    if (end < objects.length) await nextTurn()
  }
  yield objects.length === 0 ? emptyList : close
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

function slice<T>(
  objects: readonly T[],
  start: number,
  end: number,
  encode: (object: T) => Buffer,
): readonly Buffer[] {
  const parts: Buffer[] = []
  for (const object of objects.slice(start, end)) {
    if (parts.length > 0) parts.push(comma)
    parts.push(encode(object))
  }
  return parts
}
