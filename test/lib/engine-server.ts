import { createServer, type Server } from 'node:http'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { HostEngine } from '../../src/engine/index.js'

/** Serves an engine's API on a unix socket, as skepd does, but with none of Skep's own routes. */
export class EngineServer {
  readonly socketPath: string
  readonly #dir: string
  readonly #server: Server

  private constructor(dir: string, server: Server) {
    this.#dir = dir
    this.socketPath = join(dir, 'engine.sock')
    this.#server = server
  }

  static async start(engine: HostEngine): Promise<EngineServer> {
    const split = (url: string) => {
      const match = /^\/v([\d.]+)(\/.*)$/.exec(url)
      return match === null ? { version: '', path: url } : { version: match[1] ?? '', path: match[2] ?? '' }
    }
    const server = createServer((request, response) => {
      const { version, path } = split(request.url ?? '/')
      engine.passThrough(request, response, path, version)
    })
    server.on('upgrade', (request, socket, head) => {
      const { version, path } = split(request.url ?? '/')
      engine.upgrade(request, socket, head, path, version)
    })
    const started = new EngineServer(mkdtempSync(join(tmpdir(), 'skep-engine-')), server)
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(started.socketPath, resolve)
    })
    return started
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve())
    })
    rmSync(this.#dir, { recursive: true, force: true })
  }
}
