import { createServer, type Server } from 'node:https'
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import { WebSocketServer, type WebSocket } from 'ws'
import { peerIdentity, serverTlsOptions, type NodeCredentials, type NodeIdentity } from '../ca/index.js'
import type { Env } from '../env/env.js'
import { SwarmError, errorText } from '../model/errors.js'
import { formatHostPort, type HostPort } from './addresses.js'

/** Takes over a WebSocket whose other end has proven who it is. */
export type SocketHandler = (socket: WebSocket, identity: NodeIdentity, remoteAddress: string) => void

/** The longest message that is taken from a peer. A full set of assignments of a busy node fits in. */
const maxMessageBytes = 64 * 1024 * 1024

/**
 * The one port of cluster traffic: TLS with certificates of the cluster's own CA, and behind it WebSockets
 * by path. Whoever has no certificate of this cluster gets none of them.
 */
export class ClusterServer {
  readonly #env: Env
  readonly #clusterId: string
  readonly #handlers: ReadonlyMap<string, SocketHandler>
  readonly #server: Server
  readonly #webSockets = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    maxPayload: maxMessageBytes,
  })

  /** @param handlers by path, such as `/session`. */
  constructor(
    env: Env,
    clusterId: string,
    credentials: NodeCredentials,
    handlers: ReadonlyMap<string, SocketHandler>,
  ) {
    this.#env = env
    this.#clusterId = clusterId
    this.#handlers = handlers
    this.#server = createServer(serverTlsOptions(credentials))
    this.#server.on('request', (_request, response) => {
      response.writeHead(404).end()
    })
    this.#server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      this.#upgrade(request, socket, head)
    })
    this.#server.on('tlsClientError', (error) =>
      env.log.debug({ err: error.message }, 'TLS handshake failed'),
    )
  }

  /**
   * @returns the address with the real port.
   * @throws {SwarmError} Unavailable when the address is taken or not this machine's.
   */
  listen(address: HostPort): Promise<HostPort> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', (error) => {
        const text = `could not listen on ${formatHostPort(address)} for cluster traffic: ${error.message}`
        reject(new SwarmError('Unknown', text, { cause: error }))
      })
      this.#server.listen(address.port, address.host, () => {
        const bound = this.#server.address()
        resolve(typeof bound === 'object' && bound !== null ? { ...address, port: bound.port } : address)
      })
    })
  }

  /** Certificates that were renewed; connections that exist stay. */
  setCredentials(credentials: NodeCredentials): void {
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
    const handler = this.#handlers.get(request.url ?? '')
    if (handler === undefined) {
      refuse(socket, 404, `no such path: ${request.url ?? ''}`)
      return
    }
    let identity: NodeIdentity
    try {
      identity = this.#authenticate(socket as TLSSocket)
    } catch (error) {
      refuse(socket, 403, errorText(error))
      return
    }
    this.#webSockets.handleUpgrade(request, socket, head, (webSocket) => {
      handler(webSocket, identity, request.socket.remoteAddress ?? '')
    })
  }

  /** @throws {SwarmError} PermissionDenied, Unauthenticated. */
  #authenticate(socket: TLSSocket): NodeIdentity {
    const identity = peerIdentity(socket)
    if (identity === undefined)
      throw new SwarmError('PermissionDenied', 'a certificate of this swarm is needed')
    if (identity.clusterId !== this.#clusterId) {
      throw new SwarmError('PermissionDenied', 'the certificate is of another swarm')
    }
    return identity
  }
}

function refuse(socket: Duplex, status: number, text: string): void {
  const body = JSON.stringify({ message: text })
  socket.end(
    `HTTP/1.1 ${status} ${status === 404 ? 'Not Found' : 'Forbidden'}\r\nContent-Type: application/json\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  )
}
