import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import {
  createServer,
  request as httpRequest,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, describe, it } from 'node:test'
import { DockerEngine } from '../../../src/engine/index.js'
import { silentLog } from '../../../src/env/log.js'
import { systemEnv } from '../../../src/env/system.js'
import { EngineServer } from '../../lib/engine-server.js'
import { eventually } from '../../lib/eventually.js'

type Listener = Parameters<Server['on']>[1]

/** An engine whose answers a test makes itself, with Skep's pass-through in front of it. */
class Rig {
  readonly dir = mkdtempSync(join(tmpdir(), 'skep-proxy-'))
  readonly server: Server
  handler: (request: IncomingMessage, response: ServerResponse) => void = () => undefined
  #front: EngineServer | undefined

  constructor() {
    this.server = createServer((request, response) => {
      if (request.url === '/version') {
        response.end(JSON.stringify({ Version: '1', ApiVersion: '1.41', MinAPIVersion: '1.24' }))
      } else if (request.url === '/v1.41/info') {
        response.end(JSON.stringify({ Swarm: { LocalNodeState: 'inactive' } }))
      } else this.handler(request, response)
    })
  }

  get engineSocket(): string {
    return join(this.dir, 'engine.sock')
  }

  async open(): Promise<string> {
    this.server.listen(this.engineSocket)
    await once(this.server, 'listening')
    const engine = await DockerEngine.open(systemEnv(silentLog), this.engineSocket)
    this.#front = await EngineServer.start(engine)
    return this.#front.socketPath
  }

  async stopEngine(): Promise<void> {
    this.server.closeAllConnections()
    this.server.close()
    await once(this.server, 'close')
  }

  async close(): Promise<void> {
    await this.#front?.stop()
    if (this.server.listening) await this.stopEngine()
    rmSync(this.dir, { recursive: true, force: true })
  }
}

describe('pass-through', () => {
  let rig = new Rig()
  let socketPath = ''
  const open = async () => {
    rig = new Rig()
    socketPath = await rig.open()
  }
  afterEach(() => rig.close())
  after(() => rig.close())

  const get = async (path: string, options: { method?: string; headers?: Record<string, string> } = {}) => {
    const request = httpRequest({ socketPath, path, agent: false, ...options })
    request.end()
    const [response] = (await once(request, 'response')) as [IncomingMessage]
    return { request, response }
  }
  const read = async (stream: AsyncIterable<Buffer>) => {
    const chunks: Buffer[] = []
    for await (const chunk of stream) chunks.push(chunk)
    return Buffer.concat(chunks)
  }

  it('keeps bodies and headers as they are, both ways', async () => {
    await open()
    const sent = randomBytes(3_000_000)
    let seen: IncomingMessage | undefined
    rig.handler = (request, response) => {
      seen = request
      response.sendDate = false
      response.writeHead(
        201,
        'Made',
        [
          ['X-Twice', 'a'],
          ['X-Twice', 'b'],
          ['Docker-Content-Digest', 'sha256:1'],
        ].flat(),
      )
      request.pipe(response)
    }
    const request = httpRequest({
      socketPath,
      path: '/v1.41/images/load?quiet=1',
      method: 'POST',
      agent: false,
      headers: { 'X-Registry-Auth': 'e30=', 'Content-Type': 'application/x-tar' },
    })
    request.end(sent)
    const [response] = (await once(request, 'response')) as [IncomingMessage]
    assert.deepEqual(await read(response), sent)
    assert.equal(response.statusCode, 201)
    assert.equal(response.statusMessage, 'Made')
    assert.equal(response.headers['x-twice'], 'a, b')
    assert.equal(response.headers['date'], undefined)
    assert.equal(seen?.url, '/v1.41/images/load?quiet=1')
    assert.equal(seen?.headers['x-registry-auth'], 'e30=')
    assert.equal(seen?.headers['content-type'], 'application/x-tar')
    // An engine told to close does so between its answer and the request's last write.
    assert.equal(seen?.headers['connection'], 'keep-alive')
  })

  it('asks in a version that the engine speaks', async () => {
    await open()
    const paths: (string | undefined)[] = []
    rig.handler = (request, response) => {
      paths.push(request.url)
      response.end()
    }
    for (const path of ['/v1.51/a', '/v1.30/a', '/v1.12/a', '/a?b=/v1.99/c']) await get(path)
    assert.deepEqual(paths, ['/v1.41/a', '/v1.30/a', '/v1.24/a', '/v1.41/a?b=/v1.99/c'])
  })

  it('gives the head away before the body comes', async () => {
    await open()
    let end = (): void => undefined
    rig.handler = (_request, response) => {
      response.flushHeaders()
      end = () => response.end('late')
    }
    const { response } = await get('/events')
    assert.equal(response.statusCode, 200)
    end()
    assert.equal((await read(response)).toString(), 'late')
  })

  it('lets the engine wait for a slow client', async () => {
    await open()
    let written = 0
    let full = false
    rig.handler = (_request, response) => {
      const chunk = Buffer.alloc(65_536)
      const more = () => {
        while (written < 200_000_000) {
          written += chunk.length
          if (!response.write(chunk)) {
            full = true
            response.once('drain', more)
            return
          }
        }
      }
      more()
    }
    const { response } = await get('/images/get')
    response.pause()
    await eventually('the engine to be held up', () => full)
    let before = -1
    await eventually('the stream to stand still', async () => {
      const still = written === before
      before = written
      await new Promise((resolve) => setTimeout(resolve, 100))
      return still
    })
    assert.ok(written < 20_000_000, `${written} bytes are somewhere in between`)
    response.destroy()
  })

  it('ends the engine’s work when the client hangs up', async () => {
    await open()
    let gone = false
    rig.handler = (_request, response) => {
      response.write('first')
      response.once('close', () => {
        gone = true
      })
    }
    const { response } = await get('/containers/a/logs?follow=1')
    response.once('error', () => undefined)
    await once(response, 'data')
    response.destroy()
    await eventually('the engine to see it', () => gone)
  })

  it('breaks the answer off when the engine does', async () => {
    await open()
    rig.handler = (_request, response) => {
      response.write('first')
      setImmediate(() => response.destroy())
    }
    const { response } = await get('/containers/a/logs?follow=1')
    await assert.rejects(read(response), /aborted/)
  })

  it('says so when the engine is away', async () => {
    await open()
    await rig.stopEngine()
    const request = httpRequest({ socketPath, path: '/build', method: 'POST', agent: false })
    request.end(Buffer.alloc(100_000))
    const [response] = (await once(request, 'response')) as [IncomingMessage]
    assert.equal(response.statusCode, 503)
    assert.equal(response.headers['content-type'], 'application/json')
    const { message } = JSON.parse((await read(response)).toString()) as { message: string }
    assert.match(message, /^the container engine at unix:\/\/.* cannot be reached: /)
  })

  it('does not frame an answer that ends with its connection', async () => {
    await open()
    rig.handler = (request) => {
      request.socket.end(
        'HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\nraw bytes',
      )
    }
    const socket = connect(socketPath)
    socket.write('POST /v1.41/containers/a/attach HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n')
    const answer = (await read(socket)).toString()
    assert.match(answer, /^HTTP\/1\.1 200 OK\r\n/)
    assert.doesNotMatch(answer, /chunked/i)
    assert.match(answer, /\r\n\r\nraw bytes$/)
  })

  const upgradeHead = (path: string, protocol = 'tcp') =>
    `POST ${path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: ${protocol}\r\nX-Odd-Case: 1\r\n\r\n`
  const onUpgrade = (listener: (request: IncomingMessage, socket: Socket, head: Buffer) => void) =>
    rig.server.on('upgrade', listener as Listener)
  const until = async (socket: Socket, text: string) => {
    let seen = ''
    while (!seen.includes(text)) seen += String((await once(socket, 'data'))[0])
    return seen
  }

  it('pipes an upgraded connection with half-close', async () => {
    await open()
    let head: IncomingMessage | undefined
    onUpgrade((request, socket, first) => {
      head = request
      socket.write('HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n')
      const chunks: Buffer[] = [first]
      socket.on('data', (chunk) => chunks.push(chunk))
      // Answers only when the client has nothing more to say: as `wc` does.
      socket.once('end', () => socket.end(`got ${Buffer.concat(chunks).toString()}`))
    })
    const socket = connect({ path: socketPath, allowHalfOpen: true })
    // The first bytes come along with the head.
    socket.write(`${upgradeHead('/v1.51/exec/a/start')}one `)
    await until(socket, '101 UPGRADED')
    socket.end('two')
    assert.equal((await read(socket)).toString().replace(/^[\s\S]*\r\n\r\n/, ''), 'got one two')
    assert.equal(head?.url, '/v1.41/exec/a/start')
    assert.ok(head?.rawHeaders.includes('X-Odd-Case'))
  })

  it('sends the body of an upgrade together with its head, as dockerd needs it', async () => {
    await open()
    const firsts: string[] = []
    onUpgrade((_request, socket, first) => {
      firsts.push(first.toString())
      socket.write('HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n')
      socket.pipe(socket)
    })
    const head = upgradeHead('/containers/a/attach').replace('Host: x', 'Host: x\r\nContent-Length: 8')
    const socket = connect({ path: socketPath, allowHalfOpen: true })
    socket.write(head)
    socket.write('{"a')
    // The rest comes when Skep has read the first part.
    await new Promise((resolve) => setImmediate(resolve))
    await new Promise((resolve) => setImmediate(resolve))
    socket.write('":1} ')
    await until(socket, '101 UPGRADED')
    socket.end('stdin')
    assert.equal((await read(socket)).toString(), 'stdin')
    assert.deepEqual(firsts, ['{"a":1} '])
  })

  it('pipes an answer of 200 that takes the connection over', async () => {
    await open()
    onUpgrade((_request, socket) => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\n')
      socket.pipe(socket)
    })
    const socket = connect({ path: socketPath, allowHalfOpen: true })
    socket.write(upgradeHead('/containers/a/attach'))
    await until(socket, '200 OK')
    socket.end('echo')
    assert.equal((await read(socket)).toString(), 'echo')
  })

  it('ends the connection after a refused upgrade, so that nothing passes by the routes', async () => {
    await open()
    const paths: (string | undefined)[] = []
    rig.handler = (request, response) => {
      paths.push(request.url)
      response.end('should not be')
    }
    onUpgrade((request, socket) => {
      paths.push(request.url)
      socket.write('HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno')
      // As a server that keeps the connection for the next request.
      socket.once('end', () => socket.end())
      socket.resume()
    })
    const socket = connect({ path: socketPath, allowHalfOpen: true })
    socket.write(upgradeHead('/containers/a/attach'))
    const answer = await until(socket, '\r\n\r\nno')
    assert.match(answer, /^HTTP\/1\.1 404/)
    socket.write('GET /v1.41/services HTTP/1.1\r\nHost: x\r\n\r\n')
    assert.equal((await read(socket)).toString(), '')
    assert.deepEqual(paths, ['/v1.41/containers/a/attach'])
  })

  it('ends the engine’s side when an upgraded client is gone', async () => {
    await open()
    let gone = false
    onUpgrade((_request, socket) => {
      socket.write('HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n')
      socket.on('error', () => undefined)
      socket.once('close', () => {
        gone = true
      })
      const write = () => {
        if (!gone) socket.write('x', () => setImmediate(write))
      }
      write()
    })
    const socket = connect(socketPath)
    socket.write(upgradeHead('/session', 'h2c'))
    await until(socket, '101')
    socket.destroy()
    await eventually('the engine to see it', () => gone)
  })

  it('refuses an upgrade when the engine is away', async () => {
    await open()
    await rig.stopEngine()
    const socket = connect(socketPath)
    socket.write(upgradeHead('/exec/a/start'))
    assert.match((await read(socket)).toString(), /^HTTP\/1\.1 503 [\s\S]*"message":"the container engine/)
  })

  it('refuses an engine that is in a swarm of its own', async () => {
    rig = new Rig()
    rig.server.removeAllListeners('request')
    rig.server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      const answer =
        request.url === '/version'
          ? { ApiVersion: '1.41', Version: '20' }
          : { Swarm: { LocalNodeState: 'active' } }
      response.end(JSON.stringify(answer))
    })
    rig.server.listen(rig.engineSocket)
    await once(rig.server, 'listening')
    await assert.rejects(
      DockerEngine.open(systemEnv(silentLog), rig.engineSocket),
      /is itself in swarm mode \(active\)/,
    )
  })
})
