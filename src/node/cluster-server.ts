import { createServer, type Server } from 'node:https'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import { WebSocketServer, type WebSocket } from 'ws'
import {
  peerIdentity,
  serverTlsOptions,
  type NodeCredentials,
  type NodeIdentity,
  type NodeRole,
} from '../ca/index.js'
import type { Env } from '../env/env.js'
import { SwarmError, errorText } from '../model/errors.js'
import { formatHostPort, type HostPort } from './addresses.js'
import { callPrefix, decodeOrigin, encodeError, originHeader, type Caller } from './cluster-calls.js'

/** Takes over a WebSocket whose other end has proven who it is. */
export type SocketHandler = (socket: WebSocket, identity: NodeIdentity, remoteAddress: string) => void

/** What is behind one path of the cluster port. */
export interface SocketRoute {
  /** Whose certificates open it. */
  readonly roles: readonly NodeRole[]
  readonly accept: SocketHandler
  /** Also open to certificates whose time is over: raft elects a leader before anybody can get a new one. */
  readonly takesExpired?: true
  /** Tells removed nodes so in its own way. Elsewhere they are refused. */
  readonly takesRemoved?: true
}

/** Answers one call. What it throws is told to the caller, with its code if it is a `SwarmError`. */
export type CallHandler = (args: unknown, caller: Caller) => Promise<unknown>

export interface ClusterRoutes {
  /** By path, such as `/session`. */
  readonly sockets: ReadonlyMap<string, SocketRoute>
  /** By name. */
  readonly calls: ReadonlyMap<string, CallHandler>
  /** Calls that may be made with a certificate whose time is over, too: for the next one. */
  readonly expiredMayCall?: ReadonlySet<string>
  /** Whether the node was removed from the swarm: its certificate counts no longer. */
  readonly isRemoved: (nodeId: string) => boolean
}

/** The longest message that is taken from a peer. A full set of assignments of a busy node fits in. */
const maxMessageBytes = 64 * 1024 * 1024
/** What somebody without a certificate may send: a request for one is 500 bytes long. */
const maxAnonymousBodyBytes = 16 * 1024
const maxBodyBytes = 8 * 1024 * 1024
const requestTimeoutMs = 30_000
/** Managers keep connections to the leader for further calls, and close idle ones themselves. */
const keepAliveTimeoutMs = 60_000

/**
 * The one port of cluster traffic: TLS with certificates of the cluster's own CA. Behind it are WebSockets by
 * path, for who has a certificate of the right role, and calls, some of which anybody may make: a node that
 * joins has no certificate yet.
 */
export class ClusterServer {
  readonly #env: Env
  readonly #clusterId: string
  readonly #routes: ClusterRoutes
  readonly #server: Server
  #rootPem: string
  readonly #webSockets = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    maxPayload: maxMessageBytes,
  })

  constructor(env: Env, clusterId: string, credentials: NodeCredentials, routes: ClusterRoutes) {
    this.#env = env
    this.#clusterId = clusterId
    this.#routes = routes
    this.#rootPem = credentials.rootPem
    this.#server = createServer({
      ...serverTlsOptions(credentials),
      requestTimeout: requestTimeoutMs,
      keepAliveTimeout: keepAliveTimeoutMs,
    })
    this.#server.on('request', (request, response) => this.#call(request, response))
    this.#server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      this.#upgrade(request, socket, head)
    })
    this.#server.on('tlsClientError', (error) =>
      env.log.debug({ err: error.message }, 'TLS handshake failed'),
    )
  }

  /**
   * @returns the address with the real port.
   * @throws {SwarmError} Unknown when the address is taken or not this machine's.
   */
  listen(address: HostPort): Promise<HostPort> {
    return new Promise((resolve, reject) => {
      const onError = (error: Error) => {
        const text = `could not listen on ${formatHostPort(address)} for cluster traffic: ${error.message}`
        reject(new SwarmError('Unknown', text, { cause: error }))
      }
      this.#server.once('error', onError)
      this.#server.listen(address.port, address.host, () => {
        this.#server.off('error', onError)
        this.#server.on('error', (error) =>
          this.#env.log.error({ err: error.message }, 'the cluster port failed'),
        )
        const bound = this.#server.address()
        resolve(typeof bound === 'object' && bound !== null ? { ...address, port: bound.port } : address)
      })
    })
  }

  /** Certificates that were renewed; connections that exist stay. */
  setCredentials(credentials: NodeCredentials): void {
    this.#rootPem = credentials.rootPem
    this.#server.setSecureContext(serverTlsOptions(credentials))
  }

  async close(): Promise<void> {
    for (const socket of this.#webSockets.clients) socket.terminate()
    this.#webSockets.close()
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve())
      this.#server.closeAllConnections()
    })
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', (error) => this.#env.log.debug({ err: error.message }, 'a cluster connection broke'))
    const route = this.#routes.sockets.get(request.url ?? '')
    if (route === undefined) {
      refuse(socket, '404 Not Found', `no such path: ${request.url ?? ''}`)
      return
    }
    let identity: NodeIdentity
    try {
      identity = this.#authorize(socket as TLSSocket, route)
    } catch (error) {
      refuse(socket, '403 Forbidden', errorText(error))
      return
    }
    this.#webSockets.handleUpgrade(request, socket, head, (webSocket) => {
      route.accept(webSocket, identity, request.socket.remoteAddress ?? '')
    })
  }

  /** @throws {SwarmError} PermissionDenied, Unauthenticated. */
  #authorize(socket: TLSSocket, { roles, takesExpired, takesRemoved }: SocketRoute): NodeIdentity {
    const identity = this.#peer(socket, takesExpired === true)
    if (identity === undefined)
      throw new SwarmError('PermissionDenied', 'a certificate of this swarm is needed')
    if (identity.clusterId !== this.#clusterId) {
      throw new SwarmError('PermissionDenied', 'the certificate is of another swarm')
    }
    if (!roles.includes(identity.role)) {
      throw new SwarmError('PermissionDenied', `a node that is a ${identity.role} may not do that`)
    }
    if (takesRemoved !== true && this.#routes.isRemoved(identity.nodeId)) {
      throw new SwarmError(
        'PermissionDenied',
        `Permission denied: node ${identity.nodeId} was removed from swarm`,
      )
    }
    return identity
  }

  #peer(socket: TLSSocket, takesExpired: boolean): NodeIdentity | undefined {
    return takesExpired
      ? peerIdentity(socket, { rootPem: this.#rootPem, nowMs: this.#env.nowMs() })
      : peerIdentity(socket)
  }

  #call(request: IncomingMessage, response: ServerResponse): void {
    request.on('error', (error) => this.#env.log.debug({ err: error.message }, 'a cluster call broke'))
    const url = request.url ?? ''
    const name = url.startsWith(callPrefix) ? url.slice(callPrefix.length) : ''
    const handler = this.#routes.calls.get(name)
    if (handler === undefined || request.method !== 'POST') {
      response.writeHead(404).end()
      return
    }
    this.#answer(name, handler, request).then(
      (result) => sendJson(response, 200, { result: result ?? null }),
      (error: unknown) => {
        if (!(error instanceof SwarmError)) {
          this.#env.log.error({ err: errorText(error), call: url }, 'a cluster call failed')
        }
        sendJson(response, 400, encodeError(error))
      },
    )
  }

  async #answer(name: string, handler: CallHandler, request: IncomingMessage): Promise<unknown> {
    const caller = this.#caller(request, this.#routes.expiredMayCall?.has(name) === true)
    const args = await readJson(request, caller.sender === undefined ? maxAnonymousBodyBytes : maxBodyBytes)
    return handler(args, caller)
  }

  /**
   * Who calls: whom the certificate names, unless it is a manager that passes on another's call. Whoever has
   * no certificate of this swarm, or one that counts no longer, is nobody.
   */
  #caller(request: IncomingMessage, takesExpired: boolean): Caller {
    const peer = this.#peer(request.socket as TLSSocket, takesExpired)
    const isMember = peer?.clusterId === this.#clusterId && !this.#routes.isRemoved(peer.nodeId)
    const sender = isMember ? peer : undefined
    const remoteAddress = request.socket.remoteAddress ?? ''
    const origin = request.headers[originHeader]
    if (typeof origin !== 'string') return { identity: sender, sender, remoteAddress, isForwarded: false }
    if (sender?.role !== 'manager') {
      throw new SwarmError('PermissionDenied', 'only managers pass calls on')
    }
    const { identity, remoteAddress: originAddress } = decodeOrigin(origin)
    const isRemoved = identity !== undefined && this.#routes.isRemoved(identity.nodeId)
    return {
      identity: isRemoved ? undefined : identity,
      sender,
      remoteAddress: originAddress,
      isForwarded: true,
    }
  }
}

/** @throws {SwarmError} InvalidArgument. */
async function readJson(request: IncomingMessage, maxBytes: number): Promise<unknown> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length
    if (length > maxBytes) throw new SwarmError('InvalidArgument', 'the call is too long')
    chunks.push(chunk)
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString()) as unknown
  } catch (error) {
    throw new SwarmError('InvalidArgument', 'the call is no JSON', { cause: error })
  }
}

function sendJson(response: ServerResponse, status: number, body: unknown): void {
  const bytes = Buffer.from(JSON.stringify(body))
  response
    .writeHead(status, { 'Content-Type': 'application/json', 'Content-Length': bytes.length })
    .end(bytes)
}

function refuse(socket: Duplex, status: string, text: string): void {
  const body = JSON.stringify({ message: text })
  socket.end(
    `HTTP/1.1 ${status}\r\nContent-Type: application/json\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  )
}
