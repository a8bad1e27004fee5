import { Agent, request } from 'node:http'

/** A daemon to be measured, over its unix socket or TCP address. */
export class Target {
  readonly name: string
  readonly #host: string
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 64 })

  /** @param host as in DOCKER_HOST: `unix:///path` or `tcp://address:port`. */
  constructor(name: string, host: string) {
    this.name = name
    this.#host = host
  }

  /**
   * One call, read to its end.
   * @throws {Error} on any answer that is not 2xx.
   */
  call(method: string, path: string, body?: unknown): Promise<Buffer> {
    const payload = body === undefined ? undefined : JSON.stringify(body)
    const where = this.#host.startsWith('unix://')
      ? { socketPath: this.#host.slice('unix://'.length) }
      : { host: new URL(this.#host).hostname, port: new URL(this.#host).port }
    return new Promise((resolve, reject) => {
      const outgoing = request(
        {
          ...where,
          agent: this.#agent,
          method,
          path,
          headers:
            payload === undefined
              ? {}
              : { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(payload) },
        },
        (incoming) => {
          const pieces: Buffer[] = []
          incoming.on('data', (piece: Buffer) => pieces.push(piece))
          incoming.once('error', reject)
          incoming.once('end', () => {
            const answer = Buffer.concat(pieces)
            const status = incoming.statusCode ?? 0
            if (status >= 200 && status < 300) resolve(answer)
            else reject(new Error(`${this.name}: ${method} ${path}: ${status} ${answer.toString().trim()}`))
          })
        },
      )
      outgoing.once('error', reject)
      outgoing.end(payload)
    })
  }

  async json(method: string, path: string, body?: unknown): Promise<unknown> {
    return JSON.parse((await this.call(method, path, body)).toString()) as unknown
  }

  close(): void {
    this.#agent.destroy()
  }
}
