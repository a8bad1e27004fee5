import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { findVolume } from '../control/lookup.js'
import { SwarmError } from '../model/errors.js'
import type { Volume } from '../model/objects.js'
import type { VolumeCreateOptions, VolumeUpdateOptions } from '../model/spec/index.js'
import { volumeNotMade } from '../scheduler/index.js'
import type { View } from '../store/store.js'
import type { ManagerBackend } from './backend.js'
import type { Plain, RouteContext } from './context.js'
import { toVolume } from './convert/volume.js'
import { handOver } from './engine.js'
import { sendJson, sendNothing } from './http/answer.js'
import { relay } from './http/engine.js'
import { Filters } from './http/filters.js'
import { lenientBoolean, volumeVersion } from './http/query.js'
import { isOlderThan } from './http/versions.js'
import { volumeOperations as operations } from './schema/volumes.js'

interface WithPath extends Plain {
  /** Names may hold slashes. */
  Params: { '*': string }
}

/** The first API version that knows volumes of the cluster. */
const since = '1.42'
/** Filters of a list that volumes of the cluster understand; `dangling` they are by what mounts them. */
const filterKeys = ['dangling', 'driver', 'label', 'name']

/**
 * Volumes are this host's, which its engine knows, or the cluster's, which every manager knows. Requests
 * that cannot concern the cluster's go to the engine as they are.
 * Behaviour: moby daemon/server/router/volume, daemon/cluster/volumes.go.
 */
export function volumeRoutes(app: FastifyInstance, { backend: { engine, swarm } }: RouteContext): void {
  app.get<Plain>('/volumes', { schema: operations.list }, async (request, reply) => {
    const view = (await managerFor(request))?.view
    if (view === undefined || view.volumes.size === 0) return toEngine(request, reply)
    const response = await engine.call({ method: 'GET', path: request.url })
    if (response.status !== 200) return relay(reply, response)
    const local = JSON.parse(response.body.toString()) as { readonly Volumes?: readonly object[] | null }
    const shared = selectVolumes(view, Filters.parse(request.query, filterKeys)).map(toJson)
    return sendJson(reply, { ...local, Volumes: [...(local.Volumes ?? []), ...shared] })
  })

  app.get<WithPath>('/volumes/*', { schema: operations.inspect }, async (request, reply) => {
    const view = (await managerFor(request))?.view
    const found = view && findIfThere(view, request.params['*'])
    if (found === undefined) return toEngine(request, reply)
    const response = await engine.call({ method: 'GET', path: request.url })
    if (response.status !== 404) return relay(reply, response)
    return sendJson(reply, toJson(found()))
  })

  app.post<{ Body: VolumeCreateOptions }>(
    '/volumes/create',
    { schema: operations.create },
    async ({ body, rawBody, apiVersion }, reply) => {
      if (body.ClusterVolumeSpec === undefined || isOlderThan(apiVersion, since)) {
        const forwarded: unknown = JSON.parse(rawBody?.toString() || '{}')
        return relay(reply, await engine.call({ method: 'POST', path: '/volumes/create', body: forwarded }))
      }
      const { control } = await swarm.manager()
      const { id } = await control.createVolume({ options: body })
      // What was committed is seen by those who ask after it.
      const { view } = await swarm.manager()
      return sendJson(reply, toJson(findVolume(view, id)), 201)
    },
  )

  app.put<WithPath & { Body: VolumeUpdateOptions }>(
    '/volumes/*',
    { schema: operations.update, config: { since } },
    async ({ params, query, body }, reply) => {
      if (!swarm.status().controlAvailable) {
        throw new SwarmError(
          'Unavailable',
          'volume update only valid for cluster volumes, but swarm is unavailable',
        )
      }
      const version = volumeVersion(query)
      const { control } = await swarm.manager()
      const availability = body.Spec?.Availability
      await control.updateVolume({
        id: params['*'],
        version,
        ...(availability !== undefined && availability !== '' && { availability }),
      })
      return sendNothing(reply)
    },
  )

  app.delete<WithPath>('/volumes/*', { schema: operations.remove }, async (request, reply) => {
    const ref = request.params['*']
    const manager = await managerFor(request)
    if (manager === undefined || findIfThere(manager.view, ref) === undefined) return toEngine(request, reply)
    const force = lenientBoolean(request.query, 'force')
    const response = await engine.call({ method: 'DELETE', path: request.url })
    // An engine that is forced takes a volume that is not there for removed.
    const mayBeShared = response.status === 404 || (response.status === 204 && force)
    if (!mayBeShared) return relay(reply, response)
    await manager.control.removeVolume({ id: ref, force })
    return sendNothing(reply, 204)
  })

  /** The manager on this node, for requests that may concern the cluster's volumes. */
  async function managerFor({ apiVersion }: FastifyRequest): Promise<ManagerBackend | undefined> {
    if (isOlderThan(apiVersion, since) || !swarm.status().controlAvailable) return undefined
    try {
      return await swarm.manager()
    } catch (error) {
      // Whoever asks for volumes gets those of this host in any case.
      if (error instanceof SwarmError) return undefined
      throw error
    }
  }

  function toEngine(request: FastifyRequest, reply: FastifyReply): FastifyReply {
    handOver(engine, request, reply)
    return reply
  }
}

function toJson(volume: Volume): object {
  return toVolume(volume, volumeNotMade(volume))
}

/** What a path names, if anything of the cluster's: throws when used where it is ambiguous. */
function findIfThere(view: View, ref: string): (() => Volume) | undefined {
  try {
    const volume = findVolume(view, ref)
    return () => volume
  } catch (error) {
    if (!(error instanceof SwarmError)) throw error
    if (error.code === 'NotFound') return undefined
    return () => {
      throw error
    }
  }
}

function selectVolumes(view: View, filters: Filters): readonly Volume[] {
  const dangling = filters.get('dangling').map((value) => ['1', 'true'].includes(value.toLowerCase()))
  const mounted = dangling.length === 0 ? new Set<string>() : mountedSources(view)
  return view.volumes.list().filter(({ spec }) => {
    const isMounted = mounted.has(spec.Name) || mounted.has(`group:${spec.Group ?? ''}`)
    return (
      (!filters.has('name') || filters.get('name').some((part) => spec.Name.includes(part))) &&
      (!filters.has('driver') || filters.get('driver').includes(spec.Driver.Name)) &&
      filters.allowsLabels('label', spec.Labels) &&
      dangling.every((wanted) => wanted !== isMounted)
    )
  })
}

/** What the services' mounts of cluster volumes name. */
function mountedSources(view: View): ReadonlySet<string> {
  const mounts = view.services.list().flatMap(({ spec }) => spec.TaskTemplate?.ContainerSpec?.Mounts ?? [])
  return new Set(mounts.filter(({ Type }) => Type === 'cluster').map(({ Source = '' }) => Source))
}
