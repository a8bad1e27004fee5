import type { IncomingMessage } from 'node:http'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { SwarmError } from '../model/errors.js'
import type { RouteContext } from './context.js'
import { checkContentType } from './decode/body.js'
import { engineRoutes } from './engine.js'
import { eventRoutes } from './events/index.js'
import { readBody } from './http/body.js'
import { checkVersionRange, isOlderThan, maxApiVersion } from './http/versions.js'
import { networkRoutes } from './networks/index.js'
import { nodeRoutes } from './nodes.js'
import { placementRoutes } from './placement.js'
import { recoveryRoutes } from './recovery.js'
import { configRoutes, secretRoutes } from './secrets.js'
import { historyRoutes } from './services/history.js'
import { serviceRoutes } from './services/index.js'
import { swarmRoutes } from './swarm.js'
import { systemRoutes } from './system.js'
import { taskRoutes } from './tasks.js'
import { volumeRoutes } from './volumes.js'

/**
 * Docker's API: what all its routes have in common, and the routes. Paths come here without their version,
 * which stands in `request.apiVersion`.
 */
export function dockerRoutes(app: FastifyInstance, context: RouteContext): void {
  const { daemon } = context.backend

  // What is thrown in a hook becomes the answer, as with a promise that is rejected.
  app.addHook('onRequest', (request, reply, done) => {
    // `/services/`: to moby's router a part of a path has at least one character.
    if (Object.values(request.params as Record<string, string>).includes('')) {
      reply.callNotFound()
      return
    }
    context.events.attach()
    const { raw } = reply
    raw.setHeader('Api-Version', maxApiVersion)
    raw.setHeader('Ostype', 'linux')
    raw.setHeader('Server', `Docker/${daemon.version} (linux)`)
    checkVersionRange(request.apiVersion)
    checkSince(request)
    raw.setHeader('Docker-Experimental', 'false')
    done()
  })

  // Bodies are read by the schemas of their routes, whatever their media type says.
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (request: FastifyRequest, payload: IncomingMessage) =>
    readBody(payload, request.routeOptions.bodyLimit),
  )
  app.addHook('preValidation', (request, _reply, done) => {
    if (request.routeOptions.schema?.body !== undefined) {
      const { body } = request
      request.rawBody = Buffer.isBuffer(body) ? body : undefined
      checkContentType(request.headers['content-type'] ?? '', (request.rawBody?.length ?? 0) > 0)
    }
    done()
  })
  app.options('/*', { schema: { hide: true } }, (_request, reply) => reply.send())

  systemRoutes(app, context)
  swarmRoutes(app, context)
  recoveryRoutes(app, context)
  nodeRoutes(app, context)
  serviceRoutes(app, context)
  historyRoutes(app, context)
  taskRoutes(app, context)
  secretRoutes(app, context)
  configRoutes(app, context)
  networkRoutes(app, context)
  volumeRoutes(app, context)
  placementRoutes(app, context)
  eventRoutes(app, context)
  engineRoutes(app, context)
}

function checkSince({ method, url, apiVersion, routeOptions }: FastifyRequest): void {
  const { since } = routeOptions.config
  if (since === undefined || !isOlderThan(apiVersion, since)) return
  const [path = ''] = url.split('?')
  throw new SwarmError('InvalidArgument', `${method} ${path} requires minimum API version ${since}`)
}
