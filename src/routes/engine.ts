import type { IncomingMessage, Server } from 'node:http'
import type { Duplex } from 'node:stream'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { HostEngine } from '../engine/interface.js'
import type { Env } from '../env/env.js'
import { errorText } from '../model/errors.js'
import type { RouteContext } from './context.js'
import { checkVersionRange, splitVersion } from './http/versions.js'

type Method = 'GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE'

/** What the engine answers, and Skep only hands on: methods and paths; `*` = the rest of the path. */
const passedOn: readonly (readonly [methods: readonly Method[], paths: readonly string[], since?: string])[] =
  [
    [['GET', 'POST', 'DELETE', 'HEAD', 'PUT'], ['/containers/*']],
    [['GET', 'POST'], ['/exec/*']],
    [['GET', 'POST', 'DELETE'], ['/images/*']],
    [['POST'], ['/build', '/build/*', '/commit', '/auth', '/session', '/grpc']],
    [['GET', 'POST', 'DELETE', 'PUT'], ['/plugins/*']],
    [['POST'], ['/volumes/*']],
    [['GET'], ['/plugins', '/system/df']],
    [['GET'], ['/distribution/*'], '1.30'],
  ]

/** Where a client may take the connection over. */
const upgradable = [
  /^\/containers\/[^/]+\/attach(\/ws)?$/,
  /^\/exec\/[^/]+\/start$/,
  /^\/session$/,
  /^\/grpc$/,
]

/** The engine's own part of the API, handed on byte for byte. */
export function engineRoutes(app: FastifyInstance, { backend: { engine } }: RouteContext): void {
  for (const [methods, paths, since] of passedOn) {
    for (const url of paths) {
      app.route({
        method: [...methods],
        url,
        schema: { hide: true },
        ...(since !== undefined && { config: { since } }),
        // Before anything of the body is read.
        onRequest: async (request, reply) => handOver(engine, request, reply),
        handler: (_request, reply) => reply,
      })
    }
  }
}

/** Leaves the rest of the request and the whole answer to the engine. */
export function handOver(engine: HostEngine, request: FastifyRequest, reply: FastifyReply): void {
  reply.hijack()
  for (const name of reply.raw.getHeaderNames()) reply.raw.removeHeader(name)
  engine.passThrough(request.raw, reply.raw, request.url, request.apiVersion)
}

/**
 * Requests that ask to take the connection over. Those that may go to the engine; all others are ordinary
 * requests to which clients (Java's, for one) add an offer to speak another protocol.
 */
export function acceptUpgrades(env: Env, server: Server, engine: HostEngine): void {
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    // Without a listener an early hang-up would end the process.
    socket.on('error', (error) => env.log.debug({ err: errorText(error) }, 'a connection broke off'))
    const { version, path } = splitVersion(request.url ?? '/')
    const [pathname = ''] = path.split('?')
    if (upgradable.some((pattern) => pattern.test(pathname)) && isAcceptable(version)) {
      engine.upgrade(request, socket, head, path, version)
    } else {
      readAgain(server, request, socket, head)
    }
  })
}

function isAcceptable(version: string): boolean {
  try {
    checkVersionRange(version)
    return true
  } catch {
    // The ordinary route answers with the reason.
    return false
  }
}

/** Feeds the request to the server once more, without its wish to upgrade. */
function readAgain(server: Server, request: IncomingMessage, socket: Duplex, head: Buffer): void {
  const lines = [`${request.method ?? 'GET'} ${request.url ?? '/'} HTTP/${request.httpVersion}`]
  for (let at = 0; at + 1 < request.rawHeaders.length; at += 2) {
    const name = request.rawHeaders[at] ?? ''
    if (!['upgrade', 'connection', 'http2-settings'].includes(name.toLowerCase())) {
      lines.push(`${name}: ${request.rawHeaders[at + 1] ?? ''}`)
    }
  }
  socket.unshift(Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), head]))
  server.emit('connection', socket)
}
