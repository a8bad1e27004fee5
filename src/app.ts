import { posix } from 'node:path'
import type { IncomingMessage } from 'node:http'
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import type { Env } from './env/env.js'
import type { Backend } from './routes/backend.js'
import type { RouteContext } from './routes/context.js'
import { docsRoutes } from './routes/docs.js'
import { schemaController, useOwnCompilers } from './routes/decode/compiler.js'
import { acceptUpgrades } from './routes/engine.js'
import { EventHub } from './routes/events/hub.js'
import { sendError } from './routes/http/errors.js'
import { parseQuery } from './routes/http/query.js'
import { maxApiVersion, splitVersion } from './routes/http/versions.js'
import { dockerRoutes } from './routes/index.js'

export interface AppOptions {
  /** Largest body of a request that Skep reads itself; what goes to the engine has no limit. */
  readonly bodyLimitBytes?: number
}

/** A config of 1 MB is 1.4 MB of base64. */
const defaultBodyLimitBytes = 8 * 1024 * 1024
/** IDs and names in paths; Docker has no limit. */
const maxPathPartLength = 8192

/**
 * The HTTP server without a port: every route of Docker's API, with and without a version in front, the
 * OpenAPI document and its page. It listens to `connection` and `upgrade` of its `server`.
 */
export function createApp(env: Env, backend: Backend, options: AppOptions = {}): FastifyInstance {
  const versions = new WeakMap<IncomingMessage, string>()
  const closing = new AbortController()
  const events = new EventHub(env, backend.swarm)
  const app = Fastify({
    bodyLimit: options.bodyLimitBytes ?? defaultBodyLimitBytes,
    exposeHeadRoutes: false,
    forceCloseConnections: true,
    schemaController,
    rewriteUrl: (request) => {
      const { version, path } = splitVersion(request.url ?? '/')
      versions.set(request, version)
      return path
    },
    routerOptions: {
      maxParamLength: maxPathPartLength,
      querystringParser: (text) => ({ ...parseQuery(text) }),
    },
    frameworkErrors: (error, request, reply) => {
      request.apiVersion = maxApiVersion
      sendError(env, error, request, reply)
    },
    clientErrorHandler: (_error, socket) => {
      if (socket.writable) {
        socket.end(
          'HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n400 Bad Request',
        )
      } else {
        socket.destroy()
      }
    },
  })
  // A client that closes its side after the request still gets its answer.
  Object.assign(app.server, { httpAllowHalfOpen: true })
  acceptUpgrades(env, app.server, backend.engine)

  useOwnCompilers(app)
  app.decorateRequest('apiVersion', maxApiVersion)
  app.decorateRequest('rawBody', undefined)
  app.addHook('onRequest', (request, _reply, done) => {
    request.apiVersion = versions.get(request.raw) ?? maxApiVersion
    done()
  })
  app.setErrorHandler((error, request, reply) => sendError(env, error, request, reply))
  app.setNotFoundHandler(pageNotFound)
  app.addHook('preClose', async () => {
    closing.abort()
    events.close()
  })

  const context: RouteContext = { env, backend, events, closing: closing.signal }
  app.register(async (scope) => dockerRoutes(scope, context))
  app.register(async (scope) => docsRoutes(scope, context))
  return app
}

/** Behaviour: moby's router answers every unknown path and verb so, without the standard headers. */
function pageNotFound({ originalUrl }: FastifyRequest, reply: FastifyReply): FastifyReply {
  const [path = '', query] = originalUrl.split(/\?(.*)/s)
  const clean = posix.normalize(path)
  if (clean !== path) {
    reply.raw.setHeader('Location', query === undefined ? clean : `${clean}?${query}`)
    return reply.code(301).send()
  }
  reply.raw.setHeader('Content-Type', 'application/json')
  return reply.code(404).send(Buffer.from('{"message":"page not found"}\n'))
}
