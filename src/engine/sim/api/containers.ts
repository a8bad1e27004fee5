import { SwarmError } from '../../../model/errors.js'
import type { LogMessage } from '../../../model/logs.js'
import { parseTime } from '../../../model/time.js'
import type { ContainerCreateBody } from '../../types.js'
import { familiarReference } from '../images.js'
import type { SimContainer } from '../container.js'
import { simLogs } from '../logs.js'
import { signalName, type SimWorld } from '../world.js'
import {
  flag,
  json,
  jsonLine,
  noContent,
  notModified,
  record,
  type SimAnswer,
  type SimRequest,
} from './answer.js'
import { containerInspect, containerSummary, networkModeOf } from './container-views.js'
import { Filters, nameMatches } from './filters.js'

const listFilters = [
  'ancestor',
  'before',
  'exited',
  'expose',
  'health',
  'id',
  'is-task',
  'isolation',
  'label',
  'name',
  'network',
  'publish',
  'since',
  'status',
  'volume',
]

export function mustFind(world: SimWorld, id: string): SimContainer {
  const container = world.find(id)
  if (container === undefined) throw new SwarmError('NotFound', `No such container: ${id}`)
  return container
}

/** `GET /containers/json` */
export function list(world: SimWorld, { query }: SimRequest): SimAnswer {
  const filters = Filters.parse(query, listFilters)
  const limit = Number(query.get('limit') ?? 0)
  const all = flag(query, 'all') || limit > 0 || filters.has('status') || filters.has('exited')
  const nowMs = world.env.nowMs()
  const matches = world
    .containers()
    .filter((container) => (all || container.state === 'running') && matchesList(filters, container))
  const shown = limit > 0 ? matches.slice(0, limit) : matches
  return json(shown.map((container) => containerSummary(world, container, nowMs)))
}

function matchesList(filters: Filters, container: SimContainer): boolean {
  const { make } = container
  return (
    filters.any('id', (id) => container.id.startsWith(id)) &&
    filters.any('name', (name) => nameMatches(`/${make.name}`, name)) &&
    filters.any('status', (status) => container.state === status) &&
    filters.any('health', (health) => container.health === health) &&
    filters.any('exited', (code) => container.state === 'exited' && container.exitCode === Number(code)) &&
    filters.any('volume', (volume) => make.volumes.includes(volume)) &&
    filters.any('ancestor', (image) => isMadeFrom(container, image)) &&
    filters.any('network', (network) => networkModeOf(make.body()) === network) &&
    filters.labels(make.labels)
  )
}

function isMadeFrom({ make }: SimContainer, image: string): boolean {
  if (make.image === image || make.imageId === image || make.imageId.startsWith(`sha256:${image}`))
    return true
  const { repository, tag = '' } = familiarReference(image)
  return make.image === `${repository}:${tag}` || make.image.startsWith(`${repository}:${tag}@`)
}

/** `POST /containers/create` */
export function create(world: SimWorld, { query, body }: SimRequest): SimAnswer {
  const config = record(body)
  if (typeof config['Image'] !== 'string' || config['Image'] === '') {
    throw new SwarmError('InvalidArgument', 'No command specified: the simulated engine needs an Image')
  }
  const name = query.get('name') ?? ''
  if (name !== '' && !/^\/?[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(name)) {
    throw new SwarmError(
      'InvalidArgument',
      `Invalid container name (${name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`,
    )
  }
  const container = world.create(name.replace(/^\//, ''), () => config as unknown as ContainerCreateBody)
  return json({ Id: container.id, Warnings: [] }, 201)
}

export async function start(world: SimWorld, { params }: SimRequest): Promise<SimAnswer> {
  const container = mustFind(world, params['id'] ?? '')
  if (container.state === 'running') return notModified
  await container.start()
  return noContent
}

export async function stop(world: SimWorld, { params, query }: SimRequest): Promise<SimAnswer> {
  const container = mustFind(world, params['id'] ?? '')
  if (container.state !== 'running') return notModified
  await container.stop(timeoutOf(query))
  return noContent
}

export async function restart(world: SimWorld, { params, query }: SimRequest): Promise<SimAnswer> {
  const container = mustFind(world, params['id'] ?? '')
  await container.stop(timeoutOf(query))
  await container.start()
  return noContent
}

function timeoutOf(query: URLSearchParams): number | undefined {
  const text = query.get('t')
  return text === null || text === '' || !Number.isInteger(Number(text)) ? undefined : Number(text)
}

export function kill(world: SimWorld, { params, query }: SimRequest): SimAnswer {
  const id = params['id'] ?? ''
  const container = mustFind(world, id)
  if (container.state !== 'running') {
    throw new SwarmError(
      'AlreadyExists',
      `Cannot kill container: ${id}: Container ${container.id} is not running`,
    )
  }
  const signal = query.get('signal') ?? ''
  container.signal(signal === '' ? 'SIGKILL' : signalName(signal))
  return noContent
}

export function remove(world: SimWorld, { params, query }: SimRequest): SimAnswer {
  const container = mustFind(world, params['id'] ?? '')
  world.remove(container, { force: flag(query, 'force'), volumes: flag(query, 'v') })
  return noContent
}

export function inspect(world: SimWorld, { params }: SimRequest): SimAnswer {
  return json(containerInspect(world, mustFind(world, params['id'] ?? '')))
}

/** `POST /containers/{id}/wait`: the head goes out at once, so that clients know that the wait has begun. */
export function wait(world: SimWorld, { params, query, signal }: SimRequest): SimAnswer {
  const container = mustFind(world, params['id'] ?? '')
  const condition = query.get('condition') ?? ''
  const runsBefore = container.runs.length - (container.state === 'running' ? 1 : 0)
  const done = () => {
    if (container.state === 'removed') return true
    if (condition === 'removed') return false
    if (condition === 'next-exit') return container.runs.length > runsBefore && container.state === 'exited'
    return container.state !== 'running'
  }
  const ended = new Promise<void>((resolve) => {
    if (done() || signal.aborted) {
      resolve()
      return
    }
    const off = container.onChange(() => {
      if (!done()) return
      off()
      resolve()
    })
    signal.addEventListener(
      'abort',
      () => {
        off()
        resolve()
      },
      { once: true },
    )
  })
  async function* answer(): AsyncGenerator<Buffer> {
    await ended
    yield jsonLine({ StatusCode: container.exitCode })
  }
  return { status: 200, contentType: 'application/json', stream: answer() }
}

/** `GET /containers/{id}/logs` */
export function logs(world: SimWorld, { params, query, signal }: SimRequest): SimAnswer {
  const container = mustFind(world, params['id'] ?? '')
  const stdout = flag(query, 'stdout')
  const stderr = flag(query, 'stderr')
  if (!stdout && !stderr) {
    throw new SwarmError('InvalidArgument', 'Bad parameters: you must choose at least one stream')
  }
  const tail = query.get('tail') ?? 'all'
  const sinceMs = timestampMs(query.get('since') ?? '')
  const untilMs = timestampMs(query.get('until') ?? '')
  const options = {
    follow: flag(query, 'follow'),
    stdout,
    stderr,
    ...(sinceMs !== undefined && { sinceMs }),
    ...(/^\d+$/.test(tail) && { tail: Number(tail) }),
  }
  const timestamps = flag(query, 'timestamps')
  const details = flag(query, 'details')
  const framed = container.make.body().Tty !== true
  async function* answer(): AsyncGenerator<Buffer> {
    for await (const message of simLogs(world.env, container, options, signal)) {
      if (untilMs !== undefined && Number(message.timestampNs / 1_000_000n) > untilMs) return
      yield logFrame(message, { timestamps, details, framed })
    }
  }
  const contentType = framed
    ? 'application/vnd.docker.multiplexed-stream'
    : 'application/vnd.docker.raw-stream'
  return { status: 200, contentType, stream: answer() }
}

/** A message of a log as it goes over the wire: with its 8-byte head unless the container has a TTY. */
function logFrame(
  message: LogMessage,
  options: { timestamps: boolean; details: boolean; framed: boolean },
): Buffer {
  const time = options.timestamps ? `${rfc3339Nano(message.timestampNs)} ` : ''
  // Simulated messages have no details, of which Docker leaves the space behind them.
  const payload = Buffer.concat([Buffer.from(time + (options.details ? ' ' : '')), message.data])
  if (!options.framed) return payload
  const head = Buffer.alloc(8)
  head[0] = message.stream === 'stdout' ? 1 : 2
  head.writeUInt32BE(payload.length, 4)
  return Buffer.concat([head, payload])
}

/** With all nine digits, as in logs. */
function rfc3339Nano(timestampNs: bigint): string {
  // oxlint-disable-next-line no-restricted-globals -- turns a given time into text, reads no clock
  const seconds = new Date(Number(timestampNs / 1_000_000n)).toISOString().slice(0, 19)
  return `${seconds}.${String(timestampNs % 1_000_000_000n).padStart(9, '0')}Z`
}

/** Unix seconds with a fraction, or RFC 3339. Undefined for none and for `0`. */
export function timestampMs(text: string): number | undefined {
  if (text === '' || text === '0') return undefined
  const seconds = Number(text)
  return Number.isNaN(seconds) ? parseTime(text) : seconds * 1000
}

/** `POST /containers/prune` */
export function prune(world: SimWorld, { query }: SimRequest): SimAnswer {
  const filters = Filters.parse(query, ['label', 'label!', 'until'])
  const gone = world
    .containers()
    .filter(({ state, make }) => state !== 'running' && filters.labels(make.labels))
  for (const container of gone) world.remove(container, { force: false, volumes: false })
  return json({ ContainersDeleted: gone.length === 0 ? null : gone.map(({ id }) => id), SpaceReclaimed: 0 })
}
