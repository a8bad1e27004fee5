import { SwarmError } from '../../../model/errors.js'
import { formatTime } from '../../../model/time.js'
import { familiarReference, simDigest, simImageSizeBytes, type SimImage } from '../images.js'
import type { SimWorld } from '../world.js'
import { flag, json, jsonLine, type SimAnswer, type SimRequest } from './answer.js'
import { Filters } from './filters.js'

function mustFind(world: SimWorld, name: string): SimImage {
  const image = world.images.find(name)
  if (image === undefined) throw new SwarmError('NotFound', `No such image: ${name}`)
  return image
}

/** `GET /images/json` */
export function list(world: SimWorld, { query }: SimRequest): SimAnswer {
  const filters = Filters.parse(query, ['before', 'dangling', 'label', 'reference', 'since'])
  const images = world.images
    .list()
    .filter(({ tags }) => filters.flag('dangling') !== true || tags.length === 0)
    .filter(({ tags }) => filters.any('reference', (wanted) => tags.some((tag) => matchesName(tag, wanted))))
  return json(
    images.map((image) => ({
      Id: image.id,
      ParentId: '',
      RepoTags: image.tags.length === 0 ? ['<none>:<none>'] : image.tags,
      RepoDigests: image.digests,
      Created: Math.floor(image.createdAtMs / 1000),
      Size: simImageSizeBytes,
      VirtualSize: simImageSizeBytes,
      SharedSize: -1,
      Labels: null,
      Containers: world.usersOfImage(image.id).length,
    })),
  )
}

function matchesName(tag: string, wanted: string): boolean {
  const pattern = wanted
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '[^/]*')
    .replaceAll('?', '[^/]')
  return new RegExp(`^${pattern}$`).test(tag) || new RegExp(`^${pattern}:[^:]*$`).test(tag)
}

/** `GET /images/{name}/json` */
export function inspect(world: SimWorld, { params }: SimRequest): SimAnswer {
  const image = mustFind(world, params['name'] ?? '')
  return json({
    Id: image.id,
    RepoTags: image.tags,
    RepoDigests: image.digests,
    Parent: '',
    Comment: 'made by the simulated engine',
    Created: formatTime(image.createdAtMs),
    DockerVersion: '',
    Author: '',
    Config: { Env: [], Cmd: null, Entrypoint: null, Labels: null, Volumes: null, WorkingDir: '' },
    Architecture: 'amd64',
    Os: 'linux',
    Size: simImageSizeBytes,
    VirtualSize: simImageSizeBytes,
    GraphDriver: { Name: 'simulated', Data: null },
    RootFS: { Type: 'layers', Layers: [image.id] },
    Metadata: { LastTagTime: formatTime(image.createdAtMs) },
  })
}

/** `POST /images/create`: a pull, with the progress lines that clients read. */
export function pull(world: SimWorld, { query, signal }: SimRequest): SimAnswer {
  const from = query.get('fromImage') ?? ''
  if (from === '') throw new SwarmError('Unimplemented', 'the simulated engine cannot import images')
  const tag = query.get('tag') ?? ''
  const name = tag === '' ? from : `${from}${tag.includes(':') ? '@' : ':'}${tag}`
  const reference = familiarReference(name)
  async function* answer(): AsyncGenerator<Buffer> {
    const { repository, tag: id = reference.digest ?? '' } = reference
    yield jsonLine({ status: `Pulling from ${repository}`, id })
    const image = await world.images.pull(name, { delayMs: 0 }, signal)
    yield jsonLine({ status: `Digest: ${simDigest(reference)}` })
    yield jsonLine({ status: `Status: Downloaded newer image for ${image.tags[0] ?? name}` })
  }
  return { status: 200, contentType: 'application/json', stream: answer() }
}

/** `POST /images/{name}/tag` */
export function tag(world: SimWorld, { params, query }: SimRequest): SimAnswer {
  const image = mustFind(world, params['name'] ?? '')
  world.images.tag(image, `${query.get('repo') ?? ''}:${query.get('tag') || 'latest'}`)
  return { status: 201 }
}

/** `DELETE /images/{name}` */
export function remove(world: SimWorld, { params, query }: SimRequest): SimAnswer {
  const name = params['name'] ?? ''
  const image = mustFind(world, name)
  const [user] = world.usersOfImage(image.id)
  if (user !== undefined && !flag(query, 'force') && image.tags.length <= 1) {
    const short = user.id.slice(0, 12)
    throw new SwarmError(
      'AlreadyExists',
      `conflict: unable to remove repository reference "${name}" (must force) - container ${short} is using its referenced image ${image.id.slice(7, 19)}`,
    )
  }
  return json(world.images.remove(image, name))
}

/** `POST /images/prune` */
export function prune(world: SimWorld, { query }: SimRequest): SimAnswer {
  const filters = Filters.parse(query, ['dangling', 'label', 'label!', 'until'])
  const all = filters.flag('dangling') === false
  const gone = world.images
    .list()
    .filter((image) => (all || image.tags.length === 0) && world.usersOfImage(image.id).length === 0)
    .flatMap((image) => world.images.remove(image, image.id))
  return json({ ImagesDeleted: gone.length === 0 ? null : gone, SpaceReclaimed: 0 })
}

/** `GET /distribution/{name}/json`: every tag exists, with the digest that a pull gives. */
export function distribution(_world: SimWorld, { params }: SimRequest): SimAnswer {
  const reference = familiarReference(params['name'] ?? '')
  return json({
    Descriptor: {
      mediaType: 'application/vnd.docker.distribution.manifest.v2+json',
      digest: simDigest(reference),
      size: 527,
    },
    Platforms: [{ architecture: 'amd64', os: 'linux' }],
  })
}
