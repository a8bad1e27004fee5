import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { findVolume } from '../control/lookup.js'
import { SwarmError } from '../model/errors.js'
import type { Volume } from '../model/objects.js'
import type { VolumeCreateOptions, VolumeUpdateOptions } from '../model/spec/index.js'
import { volumeNotMade } from '../scheduler/index.js'
import type { View } from '../store/store.js'
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
  app.get<Plain>(
    '/volumes',
    { schema: operations.list, onRequest: unless(({ volumes }) => volumes.size > 0) },
    async ({ url, query }, reply) => {
      const response = await engine.call({ method: 'GET', path: url })
      if (response.status !== 200) return relay(reply, response)
      const local = JSON.parse(response.body.toString()) as { readonly Volumes?: readonly object[] | null }
      const { view } = await swarm.manager()
      const shared = selectVolumes(view, Filters.parse(query, filterKeys)).map(toJson)
      return sendJson(reply, { ...local, Volumes: [...(local.Volumes ?? []), ...shared] })
    },
  )

  app.get<WithPath>(
    '/volumes/*',
    { schema: operations.inspect, onRequest: unless(isShared) },
    async ({ url, params }, reply) => {
      const response = await engine.call({ method: 'GET', path: url })
      if (response.status !== 404) return relay(reply, response)
      const { view } = await swarm.manager()
      return sendJson(reply, toJson(findVolume(view, params['*'])))
    },
  )

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

  app.delete<WithPath>(
    '/volumes/*',
    { schema: operations.remove, onRequest: unless(isShared) },
    async ({ url, query, params }, reply) => {
      const force = lenientBoolean(query, 'force')
      const response = await engine.call({ method: 'DELETE', path: url })
      // An engine that is forced takes a volume that is not there for removed.
      const mayBeShared = response.status === 404 || (response.status === 204 && force)
      if (!mayBeShared) return relay(reply, response)
      const { control } = await swarm.manager()
      await control.removeVolume({ id: params['*'], force })
      return sendNothing(reply, 204)
    },
  )

  /** Leaves a request to the engine, before anything of it is read, unless it concerns the cluster. */
  function unless(concerns: (view: View, request: FastifyRequest) => boolean) {
    return async (request: FastifyRequest, reply: FastifyReply) => {
      const view = await viewFor(request)
      if (view === undefined || !concerns(view, request)) handOver(engine, request, reply)
    }
  }

  /** What the cluster has, for requests that may concern its volumes. */
  async function viewFor({ apiVersion }: FastifyRequest): Promise<View | undefined> {
    if (isOlderThan(apiVersion, since) || !swarm.status().controlAvailable) return undefined
    try {
      return (await swarm.manager()).view
    } catch (error) {
      // Whoever asks for volumes gets those of this host in any case.
      if (error instanceof SwarmError) return undefined
      throw error
    }
  }
}

/** Whether a path names volumes of the cluster, be it several. */
function isShared(view: View, { params }: FastifyRequest): boolean {
  try {
    return findVolume(view, (params as WithPath['Params'])['*']) !== undefined
  } catch (error) {
    if (!(error instanceof SwarmError)) throw error
    return error.code !== 'NotFound'
  }
}

function toJson(volume: Volume): object {
  return toVolume(volume, volumeNotMade(volume))
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
