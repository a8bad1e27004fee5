import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { isWithin, type TimeRange } from '../../events/event-log.js'
import { encodeEvent, type SwarmEvent } from '../../events/event.js'
import { SwarmError, errorText } from '../../model/errors.js'
import type { Plain, RouteContext } from '../context.js'
import { Filters } from '../http/filters.js'
import type { Query } from '../http/query.js'
import { ResponseStream } from '../http/stream.js'
import { timestampNs } from '../http/timestamps.js'
import { systemOperations } from '../schema/system.js'
import { engineEvents } from './engine.js'
import { isWanted, wantsTasks } from './filter.js'
import { EventFormat } from './format.js'
import { LineQueue } from './queue.js'
import { taskHealth } from './task-health.js'

/** A client that is further behind is cut off. */
const maxWaitingLines = 10_000

/**
 * `GET /events`: what happens to the cluster's objects, on a manager, and what the engine tells of its own.
 * Behaviour: moby daemon/server/router/system, daemon/events.go.
 */
export function eventRoutes(app: FastifyInstance, context: RouteContext): void {
  app.get<Plain>('/events', { schema: systemOperations.events }, (request, reply) =>
    streamEvents(context, request, reply),
  )
}

async function streamEvents(
  { env, backend, events, closing }: RouteContext,
  request: FastifyRequest<Plain>,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const { query } = request
  const filters = Filters.parse(query)
  const range = parseRange(query)
  const format = new EventFormat(request.apiVersion, request.headers.accept)
  const queue = new LineQueue(maxWaitingLines, () => {
    env.log.warn({ client: request.ip }, 'a client reads events too slowly and is cut off')
  })
  const tasks = wantsTasks(filters)
  const offer = (event: SwarmEvent) => {
    if (event.type === 'task' && !tasks) return
    if (isWithin(event, range) && isWanted(event, filters)) queue.push(encodeEvent(event))
  }
  // What happens while the past is read comes behind it.
  let waiting: SwarmEvent[] | undefined = []
  const unlisten = events.listen((event) => (waiting === undefined ? offer(event) : waiting.push(event)))
  // The past is told only to those who ask for a time.
  const asksForPast = range.since !== undefined || range.until !== undefined
  try {
    const past = asksForPast ? await events.past({ ...range, tasks }) : []
    for (const event of [...past, ...waiting]) offer(event)
  } catch (error) {
    unlisten()
    throw error
  }
  waiting = undefined

  const stream = new ResponseStream(request, reply, format.contentType, closing)
  const ended = new AbortController()
  const signal = AbortSignal.any([stream.signal, ended.signal])
  // The cluster's own events go on without.
  const onEngineEnd = (error: unknown) => {
    if (!signal.aborted) env.log.warn({ err: errorText(error) }, "the engine's events ended")
  }
  if (tasks) taskHealth(backend.engine, signal, offer).catch(onEngineEnd)
  const engineDone = engineEvents(backend.engine, query, signal, (line) => queue.push(line)).catch(
    onEngineEnd,
  )
  const end = () => queue.close()
  const cancelTimer = range.until === undefined ? undefined : atTime(range.until)
  stream.signal.addEventListener('abort', end, { once: true })

  for (let lines = await queue.take(); lines !== undefined; lines = await queue.take()) {
    await stream.write(lines.map((line) => format.encode(line)).join(''))
  }
  cancelTimer?.()
  unlisten()
  ended.abort()
  stream.end()
  return reply

  /** The engine ends its part at the same time by itself. */
  function atTime(untilNs: bigint): () => void {
    const delayMs = Math.max(0, Number(untilNs / 1_000_000n) - env.nowMs())
    return env.after(delayMs, () => void engineDone.then(end))
  }
}

function parseRange(query: Query): TimeRange {
  const since = timestampNs(query, 'since', "invalid value for 'since'")
  const until = timestampNs(query, 'until', "invalid value for 'until'")
  if (since !== undefined && until !== undefined && since > until) {
    throw new SwarmError(
      'InvalidArgument',
      `\`since\` time (${query.since ?? ''}) cannot be after \`until\` time (${query.until ?? ''})`,
    )
  }
  return { since, until }
}
