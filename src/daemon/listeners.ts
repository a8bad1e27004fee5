import { chmodSync, rmSync, statSync, mkdirSync } from 'node:fs'
import { createConnection, createServer, type Server, type Socket } from 'node:net'
import type { Server as HttpServer } from 'node:http'
import { dirname } from 'node:path'
import { createServer as createTlsServer } from 'node:tls'
import type { ListenAddress, TlsFiles } from './config.js'
import { OptionError } from './options.js'

/**
 * All addresses of the API at once: each is a socket server that hands its connections to one HTTP
 * server, which itself listens nowhere.
 */
export class Listeners {
  readonly #http: HttpServer
  readonly #tls: TlsFiles | undefined
  readonly #servers: Server[] = []
  readonly #sockets = new Set<Socket>()

  constructor(http: HttpServer, tls: TlsFiles | undefined) {
    this.#http = http
    this.#tls = tls
  }

  /**
   * @returns the address as bound, with the real port.
   * @throws {OptionError} when it is taken or may not be bound.
   */
  async listen(address: ListenAddress): Promise<ListenAddress> {
    const accept = (socket: Socket) => {
      this.#sockets.add(socket)
      socket.once('close', () => this.#sockets.delete(socket))
      this.#http.emit('connection', socket)
    }
    const server =
      address.kind === 'tcp' && this.#tls !== undefined
        ? createTlsServer(tlsOptions(this.#tls)).on('secureConnection', accept)
        : // Clients half-close after their last request, and still wait for the answer.
          createServer({ allowHalfOpen: true }, accept)
    if (address.kind === 'unix') await makeRoomForSocket(address.path)
    await bind(server, address)
    this.#servers.push(server)
    if (address.kind === 'unix') {
      chmodSync(address.path, 0o660)
      return address
    }
    const bound = server.address()
    return typeof bound === 'object' && bound !== null ? { ...address, port: bound.port } : address
  }

  /** No new connections from now on. */
  stopAccepting(): void {
    for (const server of this.#servers) server.close()
  }

  /** Cuts every connection that is still open. */
  destroyConnections(): void {
    for (const socket of this.#sockets) socket.destroy()
  }
}

function tlsOptions(tls: TlsFiles) {
  const verify =
    tls.clientCa === undefined ? {} : { ca: tls.clientCa, requestCert: true, rejectUnauthorized: true }
  return { cert: tls.cert, key: tls.key, minVersion: 'TLSv1.2' as const, allowHalfOpen: true, ...verify }
}

/** A socket file that nobody listens on is left from a daemon that died: it goes. */
async function makeRoomForSocket(path: string): Promise<void> {
  mkdirSync(dirname(path), { recursive: true })
  const stat = statSync(path, { throwIfNoEntry: false })
  if (stat === undefined) return
  if (!stat.isSocket())
    throw new OptionError(`cannot listen on unix://${path}: a file that is no socket is in the way`)
  if (await answers(path)) throw new OptionError(`cannot listen on unix://${path}: another process does`)
  rmSync(path)
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createConnection(path)
    probe.once('connect', () => {
      probe.destroy()
      resolve(true)
    })
    probe.once('error', () => resolve(false))
  })
}

function bind(server: Server, address: ListenAddress): Promise<void> {
  const name = address.kind === 'unix' ? `unix://${address.path}` : `tcp://${address.host}:${address.port}`
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const why = error.code === 'EADDRINUSE' ? 'the address is already in use' : error.message
      reject(new OptionError(`cannot listen on ${name}: ${why}`, { cause: error }))
    })
    server.once('listening', () => resolve())
    if (address.kind === 'unix') server.listen(address.path)
    else server.listen(address.port, address.host)
  })
}
