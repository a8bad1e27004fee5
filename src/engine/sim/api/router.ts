import { SwarmError } from '../../../model/errors.js'
import type { SimWorld } from '../world.js'
import { failure, json, type SimAnswer, type SimRequest } from './answer.js'
import * as containers from './containers.js'
import * as images from './images.js'
import * as networks from './networks.js'
import * as system from './system.js'
import * as volumes from './volumes.js'

type Handler = (world: SimWorld, request: SimRequest) => SimAnswer | Promise<SimAnswer>

interface Route {
  readonly method: string
  readonly pattern: RegExp
  readonly handle: Handler
}

/** `{id}` is one segment of the path, `{name...}` may have slashes. */
function route(method: string, path: string, handle: Handler): Route {
  const pattern = path.replaceAll(/\{(\w+)(\.\.\.)?\}/g, (_all, name: string, many?: string) =>
    many === undefined ? `(?<${name}>[^/]+)` : `(?<${name}>.+)`,
  )
  return { method, pattern: new RegExp(`^${pattern}$`), handle }
}

const notSimulated =
  (what: string): Handler =>
  () => {
    throw new SwarmError('Unimplemented', `the simulated engine has no ${what}: its containers are not real`)
  }

const routes: readonly Route[] = [
  route('GET', '/_ping', system.ping),
  route('HEAD', '/_ping', system.ping),
  route('GET', '/version', system.version),
  route('GET', '/info', system.info),
  route('GET', '/events', system.events),
  route('GET', '/system/df', system.diskUsage),
  route('POST', '/auth', notSimulated('registry login')),

  route('GET', '/containers/json', containers.list),
  route('POST', '/containers/create', containers.create),
  route('POST', '/containers/prune', containers.prune),
  route('GET', '/containers/{id}/json', containers.inspect),
  route('GET', '/containers/{id}/logs', containers.logs),
  route('POST', '/containers/{id}/start', containers.start),
  route('POST', '/containers/{id}/stop', containers.stop),
  route('POST', '/containers/{id}/restart', containers.restart),
  route('POST', '/containers/{id}/kill', containers.kill),
  route('POST', '/containers/{id}/wait', containers.wait),
  route('DELETE', '/containers/{id}', containers.remove),

  route('GET', '/images/json', images.list),
  route('POST', '/images/create', images.pull),
  route('POST', '/images/prune', images.prune),
  route('GET', '/images/{name...}/json', images.inspect),
  route('POST', '/images/{name...}/tag', images.tag),
  route('DELETE', '/images/{name...}', images.remove),
  route('GET', '/distribution/{name...}/json', images.distribution),

  route('GET', '/volumes', volumes.list),
  route('POST', '/volumes/create', volumes.create),
  route('POST', '/volumes/prune', volumes.prune),
  route('GET', '/volumes/{name...}', volumes.inspect),
  route('DELETE', '/volumes/{name...}', volumes.remove),

  route('GET', '/networks', networks.list),
  route('GET', '/networks/', networks.list),
  route('POST', '/networks/create', networks.create),
  route('POST', '/networks/prune', networks.prune),
  route('POST', '/networks/{id}/(?:connect|disconnect)', notSimulated('network endpoints')),
  route('GET', '/networks/{id}', networks.inspect),
  route('DELETE', '/networks/{id}', networks.remove),

  // An empty list is the truth here.
  route('GET', '/plugins', () => json([])),
  route('POST', '/build/prune', () => json({ CachesDeleted: null, SpaceReclaimed: 0 })),

  route('POST', '/containers/{id}/exec', notSimulated('exec')),
  route('(?:GET|POST)', '/exec/.+', notSimulated('exec')),
  route('(?:GET|POST)', '/containers/{id}/attach(?:/ws)?', notSimulated('attach')),
  route('POST', '/build', notSimulated('build')),
  route('POST', '/(?:session|grpc)', notSimulated('build session')),
  route(
    '(?:GET|HEAD|PUT|POST|DELETE)',
    '/(?:containers|images|plugins|commit)(?:/.*)?',
    (_world, { params }) => {
      throw new SwarmError(
        'Unimplemented',
        `the simulated engine cannot do that${params['id'] === undefined ? '' : ` with ${params['id']}`}: its containers are not real`,
      )
    },
  ),
]

/**
 * Answers one request of Docker's API.
 * @param path without version prefix and query.
 */
export async function answer(
  world: SimWorld,
  method: string,
  path: string,
  request: Omit<SimRequest, 'params' | 'method'>,
): Promise<SimAnswer> {
  for (const { method: wanted, pattern, handle } of routes) {
    const match = wanted === method || new RegExp(`^${wanted}$`).test(method) ? pattern.exec(path) : null
    if (match === null) continue
    try {
      const params = Object.fromEntries(
        Object.entries(match.groups ?? {}).map(([name, value]) => [name, decodeURIComponent(value)]),
      )
      return await handle(world, { ...request, method, params })
    } catch (error) {
      return failure(error)
    }
  }
  return json({ message: 'page not found' }, 404)
}
