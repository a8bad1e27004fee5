import { connect } from 'node:net'
import { HttpConnection } from './http-connection.js'

/** A daemon to be measured, over its unix socket or TCP address. */
export class Target {
  readonly name: string
  readonly #host: string
  readonly #idle: HttpConnection[] = []

  /** @param host as in DOCKER_HOST: `unix:///path` or `tcp://address:port`. */
  constructor(name: string, host: string) {
    this.name = name
    this.#host = host
  }

  /**
   * One call, read to its end, on a connection that no other call uses meanwhile.
   * @throws {Error} on any answer that is not 2xx.
   */
  async call(method: string, path: string, body?: unknown): Promise<void> {
    await this.#call(method, path, body, false)
  }

  /** @throws {Error} as `call`. */
  async json(method: string, path: string): Promise<unknown> {
    return JSON.parse((await this.#call(method, path, undefined, true)).toString()) as unknown
  }

  close(): void {
    for (const connection of this.#idle.splice(0)) connection.close()
  }

  async #call(method: string, path: string, body: unknown, keepBody: boolean): Promise<Buffer> {
    const connection = this.#takeIdle() ?? this.#connect()
    const answer = await connection.call(encodeRequest(method, path, body), keepBody)
    this.#idle.push(connection)
    if (answer.status >= 200 && answer.status < 300) return answer.body
    throw new Error(`${this.name}: ${method} ${path}: ${answer.status} ${answer.body.toString().trim()}`)
  }

  /** Daemons close what is idle for long. */
  #takeIdle(): HttpConnection | undefined {
    let connection = this.#idle.pop()
    while (connection?.isOpen === false) connection = this.#idle.pop()
    return connection
  }

  #connect(): HttpConnection {
    if (this.#host.startsWith('unix://'))
      return new HttpConnection(connect(this.#host.slice('unix://'.length)))
    const { hostname, port } = new URL(this.#host)
    return new HttpConnection(connect({ host: hostname, port: Number(port), noDelay: true }))
  }
}

function encodeRequest(method: string, path: string, body: unknown): string {
  const head = `${method} ${path} HTTP/1.1\r\nHost: skep-bench\r\n`
  if (body === undefined) return `${head}\r\n`
  const text = JSON.stringify(body)
  return `${head}Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`
}
