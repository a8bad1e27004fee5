import { SwarmError } from '../../../model/errors.js'
import { formatTime } from '../../../model/time.js'
import type { SimNetwork } from '../networks.js'
import type { SimWorld } from '../world.js'
import { json, noContent, record, stringRecord, type SimAnswer, type SimRequest } from './answer.js'
import { networkModeOf } from './container-views.js'
import { Filters, nameMatches } from './filters.js'

function users(world: SimWorld, network: SimNetwork) {
  return world.containers().filter(({ state, make }) => {
    const mode = networkModeOf(make.body())
    return state === 'running' && (mode === network.name || mode === network.id)
  })
}

function view(network: SimNetwork, containers: object): object {
  return {
    Name: network.name,
    Id: network.id,
    Created: formatTime(network.createdAtMs),
    Scope: 'local',
    Driver: network.driver,
    EnableIPv6: false,
    IPAM: network.ipam,
    Internal: network.internal,
    Attachable: network.attachable,
    Ingress: false,
    ConfigFrom: { Network: '' },
    ConfigOnly: false,
    Containers: containers,
    Options: network.options,
    Labels: network.labels,
  }
}

function mustFind(world: SimWorld, text: string): SimNetwork {
  const network = world.networks.find(text)
  if (network === undefined) throw new SwarmError('NotFound', `network ${text} not found`)
  return network
}

export function list(world: SimWorld, { query }: SimRequest): SimAnswer {
  const filters = Filters.parse(query, ['dangling', 'driver', 'id', 'label', 'name', 'scope', 'type'])
  const networks = world.networks
    .list()
    .filter(
      (network) =>
        filters.any('id', (id) => network.id.includes(id)) &&
        filters.any('name', (name) => nameMatches(network.name, name)) &&
        filters.any('driver', (driver) => network.driver === driver) &&
        filters.any('scope', (scope) => scope === 'local') &&
        filters.any('type', (type) => (type === 'builtin') === network.builtin) &&
        filters.labels(network.labels),
    )
  return json(networks.map((network) => view(network, {})))
}

export function inspect(world: SimWorld, { params }: SimRequest): SimAnswer {
  const network = mustFind(world, params['id'] ?? '')
  const containers = Object.fromEntries(
    users(world, network).map(({ id, make }) => [
      id,
      { Name: make.name, EndpointID: '', MacAddress: '', IPv4Address: '', IPv6Address: '' },
    ]),
  )
  return json(view(network, containers))
}

export function create(world: SimWorld, { body }: SimRequest): SimAnswer {
  const { Name, Driver, Internal, Attachable, Labels, Options, IPAM } = record(body)
  if (typeof Name !== 'string' || Name === '') {
    throw new SwarmError('InvalidArgument', 'invalid network name: name is empty')
  }
  const network = world.networks.create({
    name: Name,
    driver: typeof Driver === 'string' && Driver !== '' ? Driver : 'bridge',
    internal: Internal === true,
    attachable: Attachable === true,
    labels: stringRecord(Labels),
    options: stringRecord(Options),
    ipam: { Driver: 'default', Options: {}, Config: [], ...record(IPAM) },
  })
  return json({ Id: network.id, Warning: '' }, 201)
}

export function remove(world: SimWorld, { params }: SimRequest): SimAnswer {
  const network = mustFind(world, params['id'] ?? '')
  const active = users(world, network)
  if (!network.builtin && active.length > 0) {
    throw new SwarmError(
      'PermissionDenied',
      `error while removing network: network ${network.name} id ${network.id} has active endpoints`,
    )
  }
  world.networks.remove(network)
  return noContent
}

export function prune(world: SimWorld, { query }: SimRequest): SimAnswer {
  const filters = Filters.parse(query, ['label', 'label!', 'until'])
  const gone = world.networks
    .list()
    .filter(
      (network) => !network.builtin && filters.labels(network.labels) && users(world, network).length === 0,
    )
  for (const network of gone) world.networks.remove(network)
  return json({ NetworksDeleted: gone.length === 0 ? null : gone.map(({ name }) => name) })
}
