import { readFrames, readLines } from '../../engine/docker/multiplexed.js'
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
  if (options.sinceMs !== undefined) query.set('since', (options.sinceMs / 1000).toFixed(3))
  return query
}

/** Reads the body of such an answer. @throws {SwarmError} for an error that the engine put into it. */
export async function* readLog(
  body: AsyncIterable<Buffer>,
  options: { readonly tty: boolean; readonly details: boolean },
): AsyncGenerator<LogMessage, void, undefined> {
  if (options.tty) {
    for await (const line of readLines(body)) yield readMessage('stdout', line, options.details)
    return
  }
  for await (const { stream, data } of readFrames(body)) {
    if (stream === 3) throw new SwarmError('Unknown', data.toString('utf8').trim())
    yield readMessage(stream === 2 ? 'stderr' : 'stdout', data, options.details)
  }
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
