import type { FastifyInstance } from 'fastify'
import { SwarmError, errorText } from '../../model/errors.js'
import type { Plain, RouteContext } from '../context.js'
import { Filters } from '../http/filters.js'
import type { Query } from '../http/query.js'
import { ResponseStream } from '../http/stream.js'
import { timestampNs } from '../http/timestamps.js'
import { systemOperations } from '../schema/system.js'
import { EventFormat } from './format.js'
import { encodeEvent, type SwarmEvent } from './event.js'
import { engineEvents } from './engine.js'
import { isWanted } from './filter.js'

/** Lines that wait for a client that reads slowly. One that falls further behind is cut off. */
const maxWaitingLines = 10_000

interface Range {
  readonly sinceNs: bigint | undefined
  readonly untilNs: bigint | undefined
}

/**
 * `GET /events`: what happens to the cluster's objects, on a manager, and what the engine tells of its own.
 * Behaviour: moby daemon/server/router/system, daemon/events.go.
 */
export function eventRoutes(app: FastifyInstance, context: RouteContext): void {
  const { env, backend, events, closing } = context

  app.get<Plain>('/events', { schema: systemOperations.events }, async (request, reply) => {
    const filters = Filters.parse(request.query)
    const range = parseRange(request.query)
    const format = new EventFormat(request.apiVersion, request.headers.accept)
    const stream = new ResponseStream(request, reply, format.contentType, closing)
    const done = new AbortController()
    const signal = AbortSignal.any([stream.signal, done.signal])
    const waiting: string[] = []
    let wake: (() => void) | undefined
    const push = (line: string) => {
      waiting.push(line)
      if (waiting.length > maxWaitingLines) {
        env.log.warn({ client: request.ip }, 'a client reads events too slowly and is cut off')
        done.abort()
      }
      wake?.()
    }

    const past = range.sinceNs === undefined && range.untilNs === undefined ? [] : events.recent()
    const isInRange = (event: SwarmEvent) =>
      event.timeNs >= (range.sinceNs ?? 0n) && (range.untilNs === undefined || event.timeNs <= range.untilNs)
    const offer = (event: SwarmEvent) => {
      if (isWanted(event, filters)) push(encodeEvent(event))
    }
    for (const event of past.filter(isInRange)) offer(event)
    const unlisten = events.listen(offer)
    const stop = () => {
      done.abort()
      wake?.()
    }
    const engineDone = engineEvents(backend.engine, request.query, signal, push).catch((error: unknown) => {
      if (signal.aborted) return
      // The cluster's own events go on.
      env.log.warn({ err: errorText(error) }, "the engine's events ended")
    })
    const cancelTimer =
      range.untilNs === undefined
        ? undefined
        : env.after(Math.max(0, Number(range.untilNs / 1_000_000n) - env.nowMs()), () => {
            // The engine ends its part at the same time, in its own way.
            void Promise.race([engineDone, aborted(signal)]).then(stop)
          })
    stream.signal.addEventListener('abort', stop, { once: true })

    while (!signal.aborted || waiting.length > 0) {
      const lines = waiting.splice(0)
      if (lines.length > 0) await stream.write(lines.map((line) => format.encode(line)).join(''))
      else await new Promise<void>((resolve) => (wake = resolve))
      if (stream.signal.aborted) break
    }
    cancelTimer?.()
    unlisten()
    done.abort()
    stream.end()
    return reply
  })
}

function parseRange(query: Query): Range {
  const sinceNs = timestampNs(query, 'since', "invalid value for 'since'")
  const untilNs = timestampNs(query, 'until', "invalid value for 'until'")
  if (sinceNs !== undefined && untilNs !== undefined && sinceNs > untilNs) {
    throw new SwarmError(
      'InvalidArgument',
      `\`since\` time (${query.since ?? ''}) cannot be after \`until\` time (${query.until ?? ''})`,
    )
  }
  return { sinceNs, untilNs }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
