import type { FastifyReply, FastifyRequest } from 'fastify'
import { SwarmError, errorText } from '../../model/errors.js'
import type { LogOptions, LogSelector, TaskLogMessage } from '../../model/logs.js'
import type { Service, Task } from '../../model/objects.js'
import { formatTime } from '../../model/time.js'
import type { View } from '../../store/store.js'
import type { RouteContext, WithId } from '../context.js'
import { lenientBoolean, type Query } from '../http/query.js'
import { ResponseStream } from '../http/stream.js'
import { timestampNs } from '../http/timestamps.js'
import { isOlderThan } from '../http/versions.js'

/** Whose logs are wanted. */
export type LogTarget = { readonly service: Service } | { readonly task: Task }

interface LineFormat {
  readonly timestamps: boolean
  readonly details: boolean
  /** False with a terminal: then nothing tells the streams apart. */
  readonly framed: boolean
}

const multiplexedStream = 'application/vnd.docker.multiplexed-stream'
const rawStream = 'application/vnd.docker.raw-stream'
const multiplexedSince = '1.42'

/**
 * Writes logs as they come. What fails after the head of the answer is told inside the stream.
 * Behaviour: moby daemon/server/router/swarm/helpers.go, daemon/cluster/services.go.
 */
export async function streamLogs(
  { backend, closing, env }: RouteContext,
  request: FastifyRequest<WithId>,
  reply: FastifyReply,
  find: (view: View) => LogTarget,
): Promise<FastifyReply> {
  const { query } = request
  const stdout = lenientBoolean(query, 'stdout')
  const stderr = lenientBoolean(query, 'stderr')
  if (!stdout && !stderr) {
    throw new SwarmError('InvalidArgument', "must specify at least one of 'stdout' or 'stderr'")
  }
  const manager = await backend.swarm.manager()
  const target = find(manager.view)
  const options = { ...logOptions(query), stdout, stderr }
  const framed = !hasTerminal(target)
  const format: LineFormat = {
    timestamps: lenientBoolean(query, 'timestamps'),
    details: lenientBoolean(query, 'details'),
    framed,
  }
  const contentType =
    framed && !isOlderThan(request.apiVersion, multiplexedSince) ? multiplexedStream : rawStream
  const stream = new ResponseStream(request, reply, contentType, closing)
  try {
    for await (const message of manager.logs(selectorOf(target), options, stream.signal)) {
      if (stream.signal.aborted) break
      await stream.write(encodeMessage(message, format))
    }
  } catch (error) {
    if (!stream.signal.aborted) {
      env.log.warn({ path: request.url, err: errorText(error) }, 'a log stream broke off')
      await stream.write(frame(3, Buffer.from(`Error grabbing logs: ${errorText(error)}\n`), format))
    }
  }
  stream.end()
  return reply
}

function logOptions(query: Query): Pick<LogOptions, 'follow' | 'sinceMs' | 'tail'> {
  const tail = query.tail ?? ''
  const sinceNs = timestampNs(query, 'since', 'invalid value for "since"')
  return {
    follow: lenientBoolean(query, 'follow'),
    ...(sinceNs !== undefined && sinceNs !== 0n && { sinceMs: Number(sinceNs) / 1e6 }),
    ...(tail !== '' && tail !== 'all' && { tail: parseTail(tail) }),
  }
}

/** @throws {SwarmError} Unknown, which Docker answers with 500, too. */
function parseTail(text: string): number {
  if (!/^[+-]?\d+$/.test(text)) {
    throw new SwarmError('Unknown', 'tail value must be a positive integer or "all"')
  }
  const tail = Number(text)
  if (tail < 0) throw new SwarmError('Unknown', 'negative tail values not supported')
  return tail
}

function hasTerminal(target: LogTarget): boolean {
  const spec = 'service' in target ? target.service.spec.TaskTemplate : target.task.spec
  if (spec?.ContainerSpec === undefined) {
    throw new SwarmError('Unknown', 'logs only supported on container tasks')
  }
  return spec.ContainerSpec.TTY ?? false
}

function selectorOf(target: LogTarget): LogSelector {
  return 'service' in target
    ? { serviceIds: [target.service.id], taskIds: [] }
    : { serviceIds: [], taskIds: [target.task.id] }
}

/** One message: time and details if asked for, then the text with its own line end. */
export function encodeMessage(message: TaskLogMessage, format: LineFormat): Buffer {
  const prefix =
    (format.timestamps ? `${formatNanoTime(message.timestampNs)} ` : '') +
    (format.details ? `${formatDetails(message)} ` : '')
  const line = prefix === '' ? message.data : Buffer.concat([Buffer.from(prefix), message.data])
  return frame(message.stream === 'stdout' ? 1 : 2, line, format)
}

/** Eight bytes: the stream, three zeros, the length; then the payload. */
function frame(stream: 1 | 2 | 3, payload: Buffer, { framed }: LineFormat): Buffer {
  if (!framed) return payload
  const header = Buffer.alloc(8)
  header.writeUInt8(stream, 0)
  header.writeUInt32BE(payload.length, 4)
  return Buffer.concat([header, payload])
}

/** Always with nine digits after the point, so that lines stay below each other. */
function formatNanoTime(ns: bigint): string {
  const nanosPerSecond = 1_000_000_000n
  const second = formatTime(Number(ns / nanosPerSecond) * 1000)
  return `${second.slice(0, -1)}.${String(ns % nanosPerSecond).padStart(9, '0')}Z`
}

function formatDetails({ attrs, nodeId, serviceId, taskId }: TaskLogMessage): string {
  const all: Readonly<Record<string, string>> = {
    ...attrs,
    'com.docker.swarm.node.id': nodeId,
    'com.docker.swarm.service.id': serviceId,
    'com.docker.swarm.task.id': taskId,
  }
  return Object.keys(all)
    .sort()
    .map((name) => `${queryEscape(name)}=${queryEscape(all[name] ?? '')}`)
    .join(',')
}

/** As Go's url.QueryEscape. */
function queryEscape(text: string): string {
  return encodeURIComponent(text)
    .replaceAll('%20', '+')
    .replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)
}
