import type { FastifyInstance, FastifyRequest } from 'fastify'
import { findService } from '../../control/lookup.js'
import { SwarmError } from '../../model/errors.js'
import type { ServiceSpec } from '../../model/spec/index.js'
import type { Plain, RouteContext, WithId } from '../context.js'
import { encodeService, encodeServiceWithSpec } from '../convert/service.js'
import { gateServiceSpec } from '../decode/gates.js'
import { sendJson, sendNothing, sendObject } from '../http/answer.js'
import { objectVersion, strictBoolean, type Query } from '../http/query.js'
import { serviceOperations as operations } from '../schema/services.js'
import { withDefaults } from './defaults.js'
import { listServices } from './list.js'
import { streamLogs } from './logs.js'

/** Behaviour: moby daemon/server/router/swarm, daemon/cluster/services.go. */
export function serviceRoutes(app: FastifyInstance, context: RouteContext): void {
  const { swarm } = context.backend

  app.get<Plain>('/services', { schema: operations.list }, (request, reply) =>
    listServices(swarm, request, reply),
  )

  app.get<WithId>('/services/:id', { schema: operations.inspect }, async ({ params, query }, reply) => {
    const insertDefaults = strictBoolean(query, 'insertDefaults')
    const { view } = await swarm.manager()
    const service = findService(view, params.id)
    if (!insertDefaults) return sendObject(reply, service, encodeService)
    return sendObject(reply, service, ({ spec }) => encodeServiceWithSpec(service, withDefaults(spec)))
  })

  app.post<{ Body: ServiceSpec }>(
    '/services/create',
    { schema: operations.create },
    async (request, reply) => {
      const spec = gateServiceSpec(request.body, request.apiVersion)
      const { control } = await swarm.manager()
      const { id } = await control.createService({ spec, ...registryAuth(request) })
      return sendJson(reply, { ID: id, Warnings: null }, 201)
    },
  )

  app.post<WithId & { Body: ServiceSpec }>(
    '/services/:id/update',
    { schema: operations.update },
    async (request, reply) => {
      const { query } = request
      const spec = gateServiceSpec(request.body, request.apiVersion)
      const version = objectVersion(query, 'service')
      const registryAuthFrom = registryAuthSource(query)
      const rollback = rollbackOption(query)
      const { control } = await swarm.manager()
      await control.updateService({
        id: request.params.id,
        version,
        spec,
        ...registryAuth(request),
        registryAuthFrom,
        rollback,
      })
      return sendJson(reply, { Warnings: null })
    },
  )

  app.delete<WithId>('/services/:id', { schema: operations.remove }, async ({ params }, reply) => {
    const { control } = await swarm.manager()
    await control.removeService({ id: params.id })
    return sendNothing(reply)
  })

  app.get<WithId>('/services/:id/logs', { schema: operations.logs }, (request, reply) =>
    streamLogs(context, request, reply, (view) => ({ service: findService(view, request.params.id) })),
  )
}

/** Credentials for the nodes' pulls. They are passed on as they came: only an engine reads them. */
function registryAuth({ headers }: Pick<FastifyRequest, 'headers'>): { readonly registryAuth?: string } {
  const value = headers['x-registry-auth']
  return typeof value === 'string' && value !== '' ? { registryAuth: value } : {}
}

function registryAuthSource({ registryAuthFrom: value = '' }: Query): 'spec' | 'previous-spec' {
  if (value === '' || value === 'spec') return 'spec'
  if (value === 'previous-spec') return value
  throw new SwarmError('InvalidArgument', `invalid registryAuthFrom '${value}'`)
}

function rollbackOption({ rollback: value = '' }: Query): 'none' | 'previous' {
  if (value === '' || value === 'none') return 'none'
  if (value === 'previous') return value
  throw new SwarmError('Unknown', `unrecognized rollback option ${value}`)
}
