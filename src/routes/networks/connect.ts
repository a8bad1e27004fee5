import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { SwarmError, clusterError } from '../../model/errors.js'
import type { RouteContext, WithId } from '../context.js'
import { handOver } from '../engine.js'
import { networkOperations } from '../schema/networks.js'
import { findNetworkToInspect } from './find.js'
import { localNetworks } from './local.js'

/** Containers join networks of this host; those of the cluster only where a user may attach to them. */
export function connectRoutes(app: FastifyInstance, context: RouteContext): void {
  const { env, backend } = context

  const decide = async (request: FastifyRequest<WithId>, reply: FastifyReply) => {
    const { id } = request.params
    const view = backend.swarm.localManager()?.view
    if (view !== undefined && view.networks.size > 0) {
      const local = await localNetworks(env, backend.engine)
      checkAttachable(id, () => findNetworkToInspect(local, view, id, ''))
    }
    handOver(backend.engine, request, reply)
  }

  for (const action of ['connect', 'disconnect'] as const) {
    app.post<WithId>(
      `/networks/:id/${action}`,
      { schema: networkOperations[action], onRequest: decide },
      (_request, reply) => reply,
    )
  }
}

/** What is not there is for the engine to say: it may miss the container first. */
function checkAttachable(ref: string, find: () => ReturnType<typeof findNetworkToInspect>): void {
  let found
  try {
    found = find()
  } catch (error) {
    if (error instanceof SwarmError) return
    throw error
  }
  if (found.owner === 'engine') return
  const refusal =
    found.network.Attachable === true
      ? clusterError(
          'Unimplemented',
          'attaching single containers to networks of the swarm is not available yet',
        )
      : clusterError('PermissionDenied', `network ${ref} not manually attachable`)
  // Docker answers 500 whatever the reason.
  throw new SwarmError('Unknown', `Could not attach to network ${ref}: ${refusal.message}`)
}
