import { once } from 'node:events'
import { request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http'
import { connect, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Env } from '../../env/env.js'
import { errorText } from '../../model/errors.js'
import { keepOpen, unreachable } from './connection.js'

/**
 * Hands a client's request to the engine and the engine's answer to the client, as it is.
 *
 * Plain requests go through Node's HTTP parser on both sides, since the client's connection may carry
 * requests for Skep before and after. Upgraded ones are a pipe of bytes: nothing of the answer is parsed
 * but its status.
 */

const hopByHop = new Set([
  'connection',
  'expect',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

/** Name and value in turns, as Node keeps them, without what belongs to one connection. */
function endToEnd(rawHeaders: readonly string[]): [name: string, value: string][] {
  const headers: [string, string][] = []
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? ''
    if (!hopByHop.has(name.toLowerCase())) headers.push([name, rawHeaders[index + 1] ?? ''])
  }
  return headers
}

/** As Node wants them: one entry per name, with all its values. */
function grouped(headers: readonly [name: string, value: string][]): Map<string, string[]> {
  const groups = new Map<string, string[]>()
  const names = new Map<string, string>()
  for (const [name, value] of headers) {
    const known = names.get(name.toLowerCase()) ?? name
    names.set(name.toLowerCase(), known)
    groups.set(known, [...(groups.get(known) ?? []), value])
  }
  return groups
}

const single = (values: readonly string[]): string | string[] =>
  values.length === 1 ? (values[0] ?? '') : [...values]

/** Answers `request` with the engine's answer to the same request at `path`. */
export function passThrough(
  env: Env,
  socketPath: string,
  request: IncomingMessage,
  response: ServerResponse,
  path: string,
): void {
  const outgoing = httpRequest({
    socketPath,
    agent: false,
    method: request.method ?? 'GET',
    path,
    headers: {
      ...Object.fromEntries([...grouped(endToEnd(request.rawHeaders))].map(([n, v]) => [n, single(v)])),
      ...keepOpen,
    },
    setHost: false,
  })
  outgoing.once('response', (incoming) => relayAnswer(env, incoming, response, path))
  outgoing.once('error', (error) => {
    if (response.headersSent || response.destroyed) {
      response.destroy()
      return
    }
    const body = `${JSON.stringify({ message: unreachable(socketPath, error).message })}\n`
    // What the client still sends is of no use to anyone.
    request.unpipe(outgoing)
    request.resume()
    response.writeHead(503, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) })
    response.end(body)
  })
  // A client that hangs up ends the engine's work too: builds, followed logs, waits.
  response.once('close', () => outgoing.destroy())
  request.once('error', () => outgoing.destroy())
  request.pipe(outgoing)
}

function relayAnswer(env: Env, incoming: IncomingMessage, response: ServerResponse, path: string): void {
  response.statusCode = incoming.statusCode ?? 502
  response.statusMessage = incoming.statusMessage ?? ''
  response.sendDate = false
  for (const [name, values] of grouped(endToEnd(incoming.rawHeaders)))
    response.setHeader(name, single(values))
  const { headers } = incoming
  if (
    headers['content-length'] === undefined &&
    headers['transfer-encoding'] === undefined &&
    mayHaveBody(incoming)
  ) {
    // The engine took the connection over (attach without upgrade): its end is the end of the body.
    response.removeHeader('Transfer-Encoding')
    response.shouldKeepAlive = false
  }
  incoming.once('error', (error) => {
    env.log.debug({ path, err: errorText(error) }, 'an answer of the engine broke off')
    response.destroy()
  })
  // At once: clients wait for the head of an answer whose body comes much later.
  response.flushHeaders()
  incoming.pipe(response)
}

function mayHaveBody({ statusCode = 0, req }: IncomingMessage & { req?: { method?: string } }): boolean {
  return statusCode >= 200 && statusCode !== 204 && statusCode !== 304 && req?.method !== 'HEAD'
}

/** Pipes an upgraded connection. `socket` is the client's, `head` what it has already sent behind the head. */
export function upgrade(
  env: Env,
  socketPath: string,
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  path: string,
): void {
  const engine = connect({ path: socketPath, allowHalfOpen: true })
  const fail = (error: unknown) => {
    env.log.debug({ path, err: errorText(error) }, 'an upgraded connection broke off')
    engine.destroy()
    socket.destroy()
  }
  let connected = false
  socket.once('error', fail)
  engine.once('error', (error) => {
    if (connected) {
      fail(error)
      return
    }
    const body = `${JSON.stringify({ message: unreachable(socketPath, error).message })}\n`
    socket.end(
      'HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nConnection: close\r\n' +
        `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
    )
  })
  engine.once('connect', () => {
    connected = true
    void wholeBody(request, socket, head).then((body) => {
      // In one piece: a body that reaches dockerd later than its head ends up on the container's stdin.
      engine.write(Buffer.concat([Buffer.from(requestHead(request, path), 'latin1'), body]))
      socket.pipe(engine)
      relayUpgrade(engine, socket)
    }, fail)
  })
  // One side gone for good: the other has nothing to wait for.
  socket.once('close', () => engine.destroy())
  engine.once('close', () => {
    if (!socket.writableEnded) socket.end()
  })
}

/**
 * What `request` says it carries along (some clients send the options of an attach as its body), and what has
 * come behind it. `head` is the part that is already here.
 */
async function wholeBody(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<Buffer> {
  const length = Number(request.headers['content-length'] ?? 0)
  let body = head
  while (body.length < length) {
    if (!socket.readable) throw new Error('the client hung up within its request')
    const chunk = socket.read() as Buffer | null
    if (chunk === null) await once(socket, 'readable')
    else body = Buffer.concat([body, chunk])
  }
  return body
}

function requestHead(request: IncomingMessage, path: string): string {
  const lines = [`${request.method ?? 'POST'} ${path} HTTP/1.1`]
  for (let index = 0; index + 1 < request.rawHeaders.length; index += 2) {
    lines.push(`${request.rawHeaders[index] ?? ''}: ${request.rawHeaders[index + 1] ?? ''}`)
  }
  return `${lines.join('\r\n')}\r\n\r\n`
}

/**
 * Hands the engine's bytes on. After a refusal nothing more of the client may reach the engine: its next
 * request on this connection would pass by Skep's routes.
 */
function relayUpgrade(engine: Socket, socket: Duplex): void {
  let seen = Buffer.alloc(0)
  const onHead = (chunk: Buffer) => {
    seen = Buffer.concat([seen, chunk.subarray(0, 16)])
    if (seen.length < 12) return
    engine.off('data', onHead)
    const status = seen.toString('latin1', 9, 12)
    if (status === '101' || status === '200') return
    socket.unpipe(engine)
    socket.resume()
    engine.end()
  }
  engine.on('data', onHead)
  engine.pipe(socket)
}
