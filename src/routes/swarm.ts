import type { FastifyInstance } from 'fastify'
import { formatUnlockKey } from '../ca/index.js'
import { clusterError } from '../model/errors.js'
import type { Cluster } from '../model/objects.js'
import type {
  SwarmInitRequest,
  SwarmJoinRequest,
  SwarmSpec,
  SwarmUnlockRequest,
} from '../model/spec/index.js'
import type { View } from '../store/store.js'
import type { Plain, RouteContext } from './context.js'
import { toSwarm } from './convert/swarm.js'
import { gateSwarmInit } from './decode/gates.js'
import { sendJson, sendNothing } from './http/answer.js'
import { lenientBoolean, objectVersion, rotateFlag } from './http/query.js'
import { swarmOperations as operations } from './schema/swarm.js'

/** Behaviour: moby daemon/server/router/swarm, daemon/cluster/swarm.go. */
export function swarmRoutes(app: FastifyInstance, { backend: { swarm }, events }: RouteContext): void {
  app.get('/swarm', { schema: operations.inspect }, async (_request, reply) => {
    const manager = await swarm.manager()
    return sendJson(reply, toSwarm(clusterOf(manager.view), manager))
  })

  app.post<{ Body: SwarmInitRequest }>(
    '/swarm/init',
    { schema: operations.init },
    async ({ body, apiVersion }, reply) => {
      const nodeId = await swarm.init(gateSwarmInit(body, apiVersion))
      events.attach()
      return sendJson(reply, nodeId)
    },
  )

  app.post<{ Body: SwarmJoinRequest }>(
    '/swarm/join',
    { schema: operations.join },
    async ({ body }, reply) => {
      await swarm.join(body)
      events.attach()
      return sendNothing(reply)
    },
  )

  app.post<Plain>('/swarm/leave', { schema: operations.leave }, async ({ query }, reply) => {
    await swarm.leave(lenientBoolean(query, 'force'))
    return sendNothing(reply)
  })

  app.post<Plain & { Body: SwarmSpec }>(
    '/swarm/update',
    { schema: operations.update },
    async ({ query, body }, reply) => {
      const version = objectVersion(query, 'swarm')
      const rotateWorkerToken = rotateFlag(query, 'rotateWorkerToken')
      const rotateManagerToken = rotateFlag(query, 'rotateManagerToken')
      const rotateManagerUnlockKey = rotateFlag(query, 'rotateManagerUnlockKey')
      const { control } = await swarm.manager()
      await control.updateSwarm({
        version,
        spec: body,
        rotateWorkerToken,
        rotateManagerToken,
        rotateManagerUnlockKey,
      })
      return sendNothing(reply)
    },
  )

  app.get('/swarm/unlockkey', { schema: operations.unlockKey }, async (_request, reply) => {
    const { view } = await swarm.manager()
    const { unlockKey } = clusterOf(view)
    return sendJson(reply, {
      UnlockKey: unlockKey === undefined ? '' : formatUnlockKey(Buffer.from(unlockKey, 'base64')),
    })
  })

  app.post<{ Body: SwarmUnlockRequest }>(
    '/swarm/unlock',
    { schema: operations.unlock },
    async ({ body }, reply) => {
      await swarm.unlock(body.UnlockKey ?? '')
      events.attach()
      return sendNothing(reply)
    },
  )
}

function clusterOf(view: View): Cluster {
  const [cluster] = view.clusters.list()
  if (cluster === undefined) throw clusterError('NotFound', 'cluster not found')
  return cluster
}
