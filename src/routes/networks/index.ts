import type { FastifyInstance } from 'fastify'
import { SwarmError } from '../../model/errors.js'
import type { NetworkSpec } from '../../model/spec/index.js'
import type { View } from '../../store/store.js'
import type { SwarmBackend } from '../backend.js'
import type { Plain, RouteContext } from '../context.js'
import { toNetworkInspect, type NetworkInspect } from '../convert/network.js'
import { gateNetworkSpec } from '../decode/gates.js'
import { sendJson, sendNothing } from '../http/answer.js'
import { relay } from '../http/engine.js'
import { Filters } from '../http/filters.js'
import { strictBoolean } from '../http/query.js'
import { networkOperations as operations } from '../schema/networks.js'
import { connectRoutes } from './connect.js'
import { findNetworkToInspect, findNetworkToRemove, visibleNetworks } from './find.js'
import { localNetwork, localNetworks } from './local.js'
import { listFilterKeys, predefinedNames, selectNetworks, wantsDangling } from './match.js'
import { pruneNetworks } from './prune.js'

interface WithPath extends Plain {
  /** Names may hold slashes. */
  Params: { '*': string }
}

/**
 * Networks are the cluster's, which every manager knows, or this host's, which its engine knows.
 * Behaviour: moby daemon/server/router/network, daemon/cluster/networks.go.
 */
export function networkRoutes(app: FastifyInstance, context: RouteContext): void {
  const { env, backend } = context
  const { engine, swarm } = backend

  for (const url of ['/networks', '/networks/']) {
    app.get<Plain>(
      url,
      { schema: url === '/networks' ? operations.list : { hide: true } },
      async ({ query }, reply) => {
        const filters = Filters.parse(query, listFilterKeys)
        const dangling = wantsDangling(filters)
        const local = await localNetworks(env, engine, filters.toQuery(['dangling']))
        const view = await viewIfManager(swarm)
        // Nobody here knows of containers on other hosts: to Docker all of them are unused.
        const shared = dangling === false ? [] : visibleNetworks(view).map(toNetworkInspect)
        const known = new Set(shared.map(({ Id }) => Id))
        const all = [...shared, ...local.filter(({ Id }) => !known.has(Id))]
        return sendJson(reply, selectNetworks(all, filters).map(toSummary))
      },
    )
  }

  app.get<WithPath>('/networks/*', { schema: operations.inspect }, async ({ params, query }, reply) => {
    const verbose = strictBoolean(query, 'verbose')
    const local = await localNetworks(env, engine)
    const found = findNetworkToInspect(local, await viewIfManager(swarm), params['*'], query.scope ?? '')
    const { network, owner } = found
    return sendJson(reply, owner === 'swarm' ? network : await localNetwork(engine, network.Id, verbose))
  })

  app.post<{ Body: NetworkSpec }>(
    '/networks/create',
    { schema: operations.create },
    async ({ body, rawBody, apiVersion }, reply) => {
      const spec = gateNetworkSpec(body, apiVersion)
      const view = await viewIfManager(swarm)
      checkNameIsFree(view, spec.Name ?? '')
      if (!belongsToSwarm(spec)) {
        const forwarded: unknown = JSON.parse(rawBody?.toString() ?? '{}')
        return relay(reply, await engine.call({ method: 'POST', path: '/networks/create', body: forwarded }))
      }
      checkMayCreate(swarm, spec)
      const { control } = await swarm.manager()
      const { id } = await control.createNetwork({ spec })
      return sendJson(reply, { Id: id, Warning: '' }, 201)
    },
  )

  app.delete<WithPath>('/networks/*', { schema: operations.remove }, async ({ params }, reply) => {
    const local = await localNetworks(env, engine)
    const { network, owner } = findNetworkToRemove(local, await viewIfManager(swarm), params['*'])
    if (owner === 'engine') {
      const path = `/networks/${encodeURIComponent(network.Id)}`
      return relay(reply, await engine.call({ method: 'DELETE', path }))
    }
    const { control } = await swarm.manager()
    await control.removeNetwork({ id: network.Id })
    return sendNothing(reply, 204)
  })

  app.post<Plain>(
    '/networks/prune',
    { schema: operations.prune, config: { since: '1.25' } },
    async ({ query }, reply) => sendJson(reply, await pruneNetworks(context, query)),
  )

  connectRoutes(app, context)
}

/** What the cluster has, as far as this node can say. */
async function viewIfManager(swarm: SwarmBackend): Promise<View | undefined> {
  try {
    return (await swarm.manager()).view
  } catch (error) {
    // Whoever asks for networks gets those of this host in any case.
    if (error instanceof SwarmError) return undefined
    throw error
  }
}

/** A list says nothing of containers. */
function toSummary({ Containers: _containers, ...summary }: NetworkInspect): Partial<NetworkInspect> {
  return summary
}

function belongsToSwarm({ Driver: driver, Scope: scope }: NetworkSpec): boolean {
  return driver === 'overlay' || scope === 'swarm'
}

/** A network of this host may not have the name of one of the cluster's, those of `bridge` included. */
function checkNameIsFree(view: View | undefined, name: string): void {
  const isTaken = view?.networks.by('name', name.toLowerCase()).some(({ spec }) => spec.Name === name)
  if (isTaken === true && name !== '') {
    throw new SwarmError('AlreadyExists', `network with name ${name} already exists`)
  }
}

/** @throws {SwarmError} PermissionDenied. */
function checkMayCreate(swarm: SwarmBackend, { Name: name = '', Driver: driver }: NetworkSpec): void {
  const { state, controlAvailable } = swarm.status()
  if (predefinedNames.has(name)) {
    throw new SwarmError('PermissionDenied', `${name} is a pre-defined network and cannot be created`)
  }
  if (state === 'inactive') {
    throw new SwarmError(
      'PermissionDenied',
      driver === 'overlay'
        ? 'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.'
        : 'cannot create a swarm scoped network when swarm is not active',
    )
  }
  if (state === 'active' && !controlAvailable) {
    throw new SwarmError(
      'PermissionDenied',
      'Cannot create a multi-host network from a worker node. Please create the network from a manager node.',
    )
  }
}
