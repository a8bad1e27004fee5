import { readFileSync } from 'node:fs'
import { request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { homedir } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'

/** The flag with which a command names its daemon. */
export const hostFlag = { host: { type: 'string', short: 'H' } } as const
export const hostHelp =
  '  -H, --host URL           The daemon, as in DOCKER_HOST (default: $DOCKER_HOST, or this machine’s)'

/** What a daemon is sent: JSON, or a stream of some media type. */
export type Body = { readonly json: unknown } | { readonly stream: Readable; readonly mediaType: string }

/** A daemon's refusal. */
export class DaemonError extends Error {
  override readonly name = 'DaemonError'
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

/** The API of one daemon, found as the docker CLI finds it. */
export class DaemonClient {
  readonly #where: RequestOptions
  readonly #send: typeof httpRequest
  readonly #url: string

  /**
   * @param url `unix:///path` or `tcp://address:port`; absent = DOCKER_HOST, or the daemon's default socket.
   * @throws {Error} for other URLs, and when the files of DOCKER_CERT_PATH cannot be read.
   */
  constructor(url: string | undefined, environment: NodeJS.ProcessEnv = process.env) {
    const given = url ?? environment['DOCKER_HOST'] ?? ''
    this.#url = given === '' ? `unix://${defaultSocket(environment)}` : given
    const tls = tlsOptions(environment)
    this.#where = { ...address(this.#url), ...(this.#url.startsWith('tcp://') && tls) }
    this.#send = tls !== undefined && this.#url.startsWith('tcp://') ? httpsRequest : httpRequest
  }

  /**
   * One call; the body of the answer is still to be read.
   * @throws {DaemonError} with the daemon's message for any answer that is not 2xx.
   */
  async open(method: string, path: string, body?: Body): Promise<IncomingMessage> {
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      const json = body !== undefined && 'json' in body ? Buffer.from(JSON.stringify(body.json)) : undefined
      const mediaType = body === undefined || 'json' in body ? 'application/json' : body.mediaType
      const outgoing = this.#send(
        {
          ...this.#where,
          method,
          path,
          agent: false,
          headers: {
            ...(body !== undefined && { 'Content-Type': mediaType }),
            ...(json !== undefined && { 'Content-Length': json.length }),
          },
        },
        resolve,
      )
      outgoing.once('error', (error) => {
        reject(new Error(`Cannot connect to the daemon at ${this.#url}: ${error.message}`, { cause: error }))
      })
      if (body === undefined || 'json' in body) outgoing.end(json)
      else body.stream.once('error', (error) => outgoing.destroy(error)).pipe(outgoing)
    })
    const status = answer.statusCode ?? 0
    if (status >= 200 && status < 300) return answer
    throw new DaemonError(status, messageOf((await readAll(answer)).toString()))
  }

  /** One call with a JSON answer; undefined where the answer is empty. */
  async json(method: string, path: string, body?: Body): Promise<unknown> {
    const text = (await readAll(await this.open(method, path, body))).toString()
    return text === '' ? undefined : JSON.parse(text)
  }
}

async function readAll(answer: IncomingMessage): Promise<Buffer> {
  const pieces: Buffer[] = []
  for await (const piece of answer as AsyncIterable<Buffer>) pieces.push(piece)
  return Buffer.concat(pieces)
}

function messageOf(text: string): string {
  try {
    const { message } = JSON.parse(text) as { readonly message?: unknown }
    if (typeof message === 'string') return message
  } catch {
    // Not the daemon's own words, then: a proxy's, for one.
  }
  return text.trim()
}

function defaultSocket(environment: NodeJS.ProcessEnv): string {
  if (process.getuid?.() === 0) return '/var/lib/skep/skepd.sock'
  return join(environment['XDG_DATA_HOME'] ?? join(homedir(), '.local/share'), 'skep/skepd.sock')
}

function address(url: string): RequestOptions {
  if (url.startsWith('unix://')) return { socketPath: url.slice('unix://'.length) }
  if (!url.startsWith('tcp://'))
    throw new Error(`invalid host "${url}": must be unix:///path or tcp://address:port`)
  const { hostname, port } = new URL(url)
  return { host: hostname.replace(/^\[|\]$/g, ''), port: port === '' ? 2375 : Number(port) }
}

/** As the docker CLI: DOCKER_TLS_VERIFY and DOCKER_CERT_PATH. */
function tlsOptions(environment: NodeJS.ProcessEnv) {
  if ((environment['DOCKER_TLS_VERIFY'] ?? '') === '') return undefined
  const folder = environment['DOCKER_CERT_PATH'] ?? join(homedir(), '.docker')
  const [ca, cert, key] = ['ca.pem', 'cert.pem', 'key.pem'].map((name) => readFileSync(join(folder, name)))
  return { ca, cert, key }
}
