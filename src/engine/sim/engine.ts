import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Env } from '../../env/env.js'
import { errorText, SwarmError } from '../../model/errors.js'
import type { EngineRequest, EngineResponse, EngineStreamResponse, HostEngine } from '../interface.js'
import { failure, json, type SimAnswer } from './api/answer.js'
import { answer } from './api/router.js'
import { simApiVersion, simMinApiVersion } from './api/system.js'
import type { SimJournal } from './journal.js'
import { simEngineVersion, type SimWorld } from './world.js'

/** More than any body that the simulated engine understands. */
const maxBodyBytes = 4 << 20

/** Docker's API over a simulated world. */
export class SimulatedEngine implements HostEngine {
  readonly kind = 'simulated'
  readonly description = 'simulated engine (containers are not real)'
  readonly apiVersion = simApiVersion
  readonly minApiVersion = simMinApiVersion
  readonly world: SimWorld
  readonly #env: Env
  readonly #journal: SimJournal | undefined
  readonly #closed = new AbortController()

  /** @param journal keeps the world; closed with the engine. */
  constructor(env: Env, world: SimWorld, journal?: SimJournal) {
    this.#env = env
    this.world = world
    this.#journal = journal
  }

  async call(request: EngineRequest): Promise<EngineResponse> {
    const answered = await this.#ask(request, this.#closed.signal)
    const chunks = answered.body === undefined ? [] : [answered.body]
    for await (const chunk of answered.stream ?? []) chunks.push(chunk)
    return { status: answered.status, headers: headersOf(answered), body: Buffer.concat(chunks) }
  }

  async stream(request: EngineRequest, signal: AbortSignal): Promise<EngineStreamResponse> {
    const answered = await this.#ask(request, AbortSignal.any([signal, this.#closed.signal]))
    return { status: answered.status, body: answered.stream ?? wholeBody(answered) }
  }

  #ask(request: EngineRequest, signal: AbortSignal): Promise<SimAnswer> {
    const url = new URL(request.path, 'http://engine')
    return answer(this.world, request.method, url.pathname, {
      query: url.searchParams,
      body: request.body,
      signal,
    })
  }

  passThrough(request: IncomingMessage, response: ServerResponse, path: string, _apiVersion: string): void {
    this.#serve(request, response, path).catch((error: unknown) => {
      this.#env.log.warn({ path, err: errorText(error) }, 'an answer of the simulated engine broke off')
      response.destroy()
    })
  }

  async #serve(request: IncomingMessage, response: ServerResponse, path: string): Promise<void> {
    const url = new URL(path, 'http://engine')
    const gone = new AbortController()
    const onClose = () => gone.abort(new Error('the client has gone'))
    response.once('close', onClose)
    const signal = AbortSignal.any([gone.signal, this.#closed.signal])
    const answered = await this.#answer(request, url, signal)
    response.writeHead(answered.status, headersOf(answered))
    if (request.method === 'HEAD' || answered.stream === undefined) {
      response.end(request.method === 'HEAD' ? undefined : answered.body)
      return
    }
    response.flushHeaders()
    for await (const chunk of answered.stream) {
      if (response.destroyed) break
      if (!response.write(chunk)) await drained(response)
    }
    response.end()
  }

  async #answer(request: IncomingMessage, url: URL, signal: AbortSignal): Promise<SimAnswer> {
    try {
      const body = await readJson(request)
      return await answer(this.world, request.method ?? 'GET', url.pathname, {
        query: url.searchParams,
        body,
        signal,
      })
    } catch (error) {
      return failure(error)
    }
  }

  upgrade(request: IncomingMessage, socket: Duplex, _head: Buffer, path: string): void {
    const { pathname } = new URL(path, 'http://engine')
    const signal = this.#closed.signal
    answer(this.world, request.method ?? 'POST', pathname, {
      query: new URLSearchParams(),
      body: undefined,
      signal,
    })
      .then(({ status, body = Buffer.alloc(0) }) => {
        // Nothing that upgrades exists here: the answer is the refusal of the plain request.
        const refusal =
          status < 400
            ? json({ message: 'the simulated engine has no streams to take over' }, 501)
            : undefined
        const content = refusal?.body ?? body
        socket.end(
          Buffer.concat([
            Buffer.from(
              `HTTP/1.1 ${refusal?.status ?? status} Not Implemented\r\nContent-Type: application/json\r\n` +
                `Content-Length: ${content.length}\r\nConnection: close\r\n\r\n`,
            ),
            content,
          ]),
        )
      })
      .catch((error: unknown) => {
        this.#env.log.warn({ path, err: errorText(error) }, 'an upgrade could not be refused')
        socket.destroy()
      })
  }

  async close(): Promise<void> {
    this.#closed.abort(new SwarmError('Unavailable', 'the simulated engine is closed'))
    await this.#journal?.close()
  }
}

function headersOf({ contentType, body }: SimAnswer): Record<string, string> {
  return {
    'Api-Version': simApiVersion,
    'Docker-Experimental': 'false',
    Ostype: 'linux',
    Server: `Docker/${simEngineVersion} (linux)`,
    ...(contentType !== undefined && { 'Content-Type': contentType }),
    ...(body !== undefined && { 'Content-Length': String(body.length) }),
  }
}

async function* wholeBody({ body }: SimAnswer): AsyncGenerator<Buffer> {
  if (body !== undefined) yield body
}

function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      response.off('drain', done)
      response.off('close', done)
      resolve()
    }
    response.once('drain', done)
    response.once('close', done)
  })
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > maxBodyBytes) {
      throw new SwarmError('Unimplemented', 'the simulated engine takes no bodies of this size')
    }
    chunks.push(chunk)
  }
  if (size === 0 || !(request.headers['content-type'] ?? '').startsWith('application/json')) return undefined
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8')) as unknown
  } catch (error) {
    throw new SwarmError('InvalidArgument', `invalid JSON: ${errorText(error)}`, { cause: error })
  }
}
