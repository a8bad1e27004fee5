import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Env } from '../../env/env.js'
import { errorText, SwarmError } from '../../model/errors.js'
import type { EngineRequest, EngineResponse, HostEngine } from '../interface.js'
import { clampApiVersion, compareApiVersions } from './api-version.js'
import { EngineConnection, readAll, type EngineStream } from './connection.js'
import { passThrough, upgrade } from './proxy.js'

/** The newest API that Skep's own calls were written for; newer engines are asked in this one. */
const newestKnownApi = '1.51'

interface VersionAnswer {
  readonly Version?: string
  readonly ApiVersion?: string
  readonly MinAPIVersion?: string
  readonly Components?: readonly { readonly Name?: string }[] | null
}

/** A container engine behind a unix socket: Docker, or Podman's Docker-compatible service. */
export class DockerEngine implements HostEngine {
  readonly kind: 'docker' | 'podman'
  readonly description: string
  readonly apiVersion: string
  readonly minApiVersion: string
  readonly #env: Env
  readonly #connection: EngineConnection
  readonly #closed = new AbortController()
  readonly #prefix: string

  private constructor(env: Env, connection: EngineConnection, answer: VersionAnswer) {
    this.#env = env
    this.#connection = connection
    const isPodman = (answer.Components ?? []).some(({ Name = '' }) => /podman/i.test(Name))
    this.kind = isPodman ? 'podman' : 'docker'
    this.apiVersion = answer.ApiVersion ?? '1.24'
    this.minApiVersion = answer.MinAPIVersion ?? '1.12'
    const name = isPodman ? 'Podman' : 'Docker'
    this.description = `${name} ${answer.Version ?? ''} at unix://${connection.socketPath}`
    const own = compareApiVersions(this.apiVersion, newestKnownApi) > 0 ? newestKnownApi : this.apiVersion
    this.#prefix = `/v${own}`
  }

  /**
   * Connects to the engine at `socketPath` and asks what it is.
   * @throws {SwarmError} Unavailable when it cannot be reached; FailedPrecondition when it is in a swarm of
   *   its own, or when what answers is no engine.
   */
  static async open(env: Env, socketPath: string): Promise<DockerEngine> {
    const connection = new EngineConnection(socketPath)
    const version = await readJson(connection, '/version')
    if (typeof version !== 'object' || version === null || !('ApiVersion' in version)) {
      throw new SwarmError(
        'FailedPrecondition',
        `what answers at unix://${socketPath} is no container engine`,
      )
    }
    const engine = new DockerEngine(env, connection, version as VersionAnswer)
    const info = (await readJson(connection, `${engine.#prefix}/info`)) as {
      Swarm?: { LocalNodeState?: string }
    }
    const state = info.Swarm?.LocalNodeState ?? ''
    if (state !== '' && state !== 'inactive') {
      throw new SwarmError(
        'FailedPrecondition',
        `${engine.description} is itself in swarm mode (${state}); Skep takes the place of that mode: ` +
          'run "docker swarm leave" on that engine, or start skepd with --engine simulated',
      )
    }
    return engine
  }

  async call(request: EngineRequest): Promise<EngineResponse> {
    const { status, headers, body } = await this.stream(request)
    try {
      return { status, headers, body: await readAll(body) }
    } catch (error) {
      throw new SwarmError(
        'Unavailable',
        `an answer of the container engine broke off: ${errorText(error)}`,
        {
          cause: error,
        },
      )
    }
  }

  /**
   * The head of an answer, with its body still to come: logs, events, progress. The signal cuts it off.
   * @throws {SwarmError} Unavailable when the engine cannot be reached.
   */
  stream(request: EngineRequest, signal?: AbortSignal): Promise<EngineStream> {
    const until = signal === undefined ? this.#closed.signal : AbortSignal.any([signal, this.#closed.signal])
    return this.#connection.send({ ...request, path: this.#prefix + request.path }, until)
  }

  passThrough(request: IncomingMessage, response: ServerResponse, path: string, apiVersion: string): void {
    passThrough(this.#env, this.#connection.socketPath, request, response, this.#pathFor(path, apiVersion))
  }

  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer, path: string, apiVersion: string): void {
    upgrade(this.#env, this.#connection.socketPath, request, socket, head, this.#pathFor(path, apiVersion))
  }

  #pathFor(path: string, apiVersion: string): string {
    return `/v${clampApiVersion(apiVersion, this.minApiVersion, this.apiVersion)}${path}`
  }

  close(): Promise<void> {
    this.#closed.abort(new SwarmError('Unavailable', 'the connection to the container engine is closed'))
    return Promise.resolve()
  }
}

async function readJson(connection: EngineConnection, path: string): Promise<unknown> {
  const answer = await connection.send({ method: 'GET', path })
  const body = (await readAll(answer.body)).toString('utf8')
  try {
    return JSON.parse(body) as unknown
  } catch (error) {
    throw new SwarmError(
      'FailedPrecondition',
      `what answers at unix://${connection.socketPath} is no container engine: ${errorText(error)}`,
      { cause: error },
    )
  }
}
