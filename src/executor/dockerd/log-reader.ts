import { readFrames, readLines, type StreamFrame } from '../../engine/docker/multiplexed.js'
import { SwarmError } from '../../model/errors.js'
import type { LogMessage, LogOptions } from '../../model/logs.js'

/** The query of `GET /containers/{id}/logs` for what is wanted. Time and details come with each line. */
export function logQuery(options: LogOptions, withDetails: boolean): URLSearchParams {
  const query = new URLSearchParams({
    follow: options.follow ? '1' : '0',
    stdout: options.stdout ? '1' : '0',
    stderr: options.stderr ? '1' : '0',
    timestamps: '1',
  })
  if (withDetails) query.set('details', '1')
  if (options.tail !== undefined) query.set('tail', String(options.tail))
  // Whole seconds, which every engine understands; `readLog` leaves out the rest.
  if (options.sinceMs !== undefined) query.set('since', String(Math.floor(options.sinceMs / 1000)))
  return query
}

interface LogFormat {
  readonly tty: boolean
  readonly details: boolean
  readonly sinceMs: number | undefined
}

/** Reads the body of such an answer. @throws {SwarmError} for an error that the engine put into it. */
export async function* readLog(
  body: AsyncIterable<Buffer>,
  format: LogFormat,
): AsyncGenerator<LogMessage, void, undefined> {
  const sinceNs = format.sinceMs === undefined ? 0n : BigInt(Math.ceil(format.sinceMs * 1000)) * 1000n
  for await (const { stream, data } of format.tty ? ttyFrames(body) : readFrames(body)) {
    if (stream === 3) throw new SwarmError('Unknown', data.toString('utf8').trim())
    const message = readMessage(stream === 2 ? 'stderr' : 'stdout', data, format.details)
    if (message.timestampNs >= sinceNs) yield message
  }
}

/** A TTY has no frames: each line counts as one of stdout. */
async function* ttyFrames(body: AsyncIterable<Buffer>): AsyncGenerator<StreamFrame, void, undefined> {
  for await (const data of readLines(body)) yield { stream: 1, data }
}

const space = 32

function readMessage(stream: LogMessage['stream'], line: Buffer, withDetails: boolean): LogMessage {
  const timeEnd = line.indexOf(space)
  const timestampNs = timeEnd < 0 ? undefined : parseRfc3339Nano(line.toString('latin1', 0, timeEnd))
  // Without its time the line is handed on as it is rather than lost.
  if (timestampNs === undefined) return { stream, timestampNs: 0n, attrs: {}, data: line }
  const attrsEnd = withDetails ? line.indexOf(space, timeEnd + 1) : timeEnd
  if (attrsEnd <= timeEnd) return { stream, timestampNs, attrs: {}, data: line.subarray(timeEnd + 1) }
  const attrs = readAttrs(line.toString('utf8', timeEnd + 1, attrsEnd))
  return { stream, timestampNs, attrs, data: line.subarray(attrsEnd + 1) }
}

/** `k=v,k2=v2`, each part escaped as in a query. */
function readAttrs(text: string): Record<string, string> {
  if (text === '') return {}
  const unescape = (part: string) => decodeURIComponent(part.replaceAll('+', ' '))
  return Object.fromEntries(
    text.split(',').map((pair) => {
      const at = pair.indexOf('=')
      return at < 0 ? [unescape(pair), ''] : [unescape(pair.slice(0, at)), unescape(pair.slice(at + 1))]
    }),
  )
}

/** Reads a time with up to nine digits of fraction. @returns Unix nanoseconds, or undefined. */
export function parseRfc3339Nano(text: string): bigint | undefined {
  const match = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)$/.exec(text)
  if (match === null) return undefined
  const [, seconds = '', fraction = '', zone = ''] = match
  // oxlint-disable-next-line no-restricted-globals -- reads a text, no clock
  const ms = Date.parse(seconds + zone)
  return Number.isNaN(ms) ? undefined : BigInt(ms) * 1_000_000n + BigInt(fraction.padEnd(9, '0'))
}
