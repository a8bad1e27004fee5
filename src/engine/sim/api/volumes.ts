import { SwarmError } from '../../../model/errors.js'
import { formatTime } from '../../../model/time.js'
import type { SimVolume } from '../volumes.js'
import type { SimWorld } from '../world.js'
import { flag, json, noContent, record, stringRecord, type SimAnswer, type SimRequest } from './answer.js'
import { volumeMountpoint } from './container-views.js'
import { Filters } from './filters.js'

function view(volume: SimVolume): object {
  return {
    CreatedAt: formatTime(volume.createdAtMs),
    Driver: volume.driver,
    Labels: Object.keys(volume.labels).length === 0 ? null : volume.labels,
    Mountpoint: volumeMountpoint(volume.name),
    Name: volume.name,
    Options: Object.keys(volume.options).length === 0 ? null : volume.options,
    Scope: 'local',
  }
}

function mustFind(world: SimWorld, name: string): SimVolume {
  const volume = world.volumes.get(name)
  if (volume === undefined) throw new SwarmError('NotFound', `get ${name}: no such volume`)
  return volume
}

export function list(world: SimWorld, { query }: SimRequest): SimAnswer {
  const filters = Filters.parse(query, ['dangling', 'driver', 'label', 'name'])
  const dangling = filters.flag('dangling')
  const volumes = world.volumes
    .list()
    .filter(
      (volume) =>
        filters.any('name', (name) => volume.name.includes(name)) &&
        filters.any('driver', (driver) => volume.driver === driver) &&
        filters.labels(volume.labels) &&
        (dangling === undefined || (world.usersOfVolume(volume.name).length === 0) === dangling),
    )
  return json({ Volumes: volumes.map(view), Warnings: null })
}

export function create(world: SimWorld, { body }: SimRequest): SimAnswer {
  const { Name, Driver, Labels, DriverOpts } = record(body)
  const volume = world.volumes.ensure(typeof Name === 'string' ? Name : '', {
    driver: typeof Driver === 'string' ? Driver : undefined,
    labels: stringRecord(Labels),
    options: stringRecord(DriverOpts),
  })
  return json(view(volume), 201)
}

export function inspect(world: SimWorld, { params }: SimRequest): SimAnswer {
  return json(view(mustFind(world, params['name'] ?? '')))
}

export function remove(world: SimWorld, { params, query }: SimRequest): SimAnswer {
  const name = params['name'] ?? ''
  const volume = world.volumes.get(name)
  if (volume === undefined) {
    if (flag(query, 'force')) return noContent
    throw new SwarmError('NotFound', `get ${name}: no such volume`)
  }
  const users = world.usersOfVolume(name)
  if (users.length > 0) {
    throw new SwarmError('AlreadyExists', `remove ${name}: volume is in use - [${users.join(', ')}]`)
  }
  world.volumes.remove(volume)
  return noContent
}

export function prune(world: SimWorld, { query }: SimRequest): SimAnswer {
  const filters = Filters.parse(query, ['all', 'label', 'label!'])
  const all = filters.flag('all') === true
  const gone = world.volumes
    .list()
    .filter(
      (volume) =>
        (all || volume.anonymous) &&
        filters.labels(volume.labels) &&
        world.usersOfVolume(volume.name).length === 0,
    )
  for (const volume of gone) world.volumes.remove(volume)
  return json({ VolumesDeleted: gone.length === 0 ? null : gone.map(({ name }) => name), SpaceReclaimed: 0 })
}
