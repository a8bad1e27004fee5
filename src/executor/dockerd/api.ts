import type { DockerEngine } from '../../engine/index.js'
import type { EngineRequest } from '../../engine/interface.js'
import { readAll, type EngineStream } from '../../engine/docker/connection.js'
import { readLines } from '../../engine/docker/multiplexed.js'
import type { ContainerCreateBody, ContainerInspect } from '../../engine/types.js'
import { SwarmError, type ErrorCode } from '../../model/errors.js'

const codes: Readonly<Record<number, ErrorCode>> = {
  400: 'InvalidArgument',
  401: 'Unauthenticated',
  403: 'PermissionDenied',
  404: 'NotFound',
  409: 'AlreadyExists',
  501: 'Unimplemented',
  503: 'Unavailable',
}

export interface EngineInfo {
  readonly NCPU?: number
  readonly MemTotal?: number
  readonly Architecture?: string
  readonly OSType?: string
  readonly ServerVersion?: string
  readonly Labels?: readonly string[] | null
  readonly Plugins?: Readonly<Record<string, readonly string[] | null>> | null
}

export interface ContainerSummary {
  readonly Id: string
  readonly Labels: Readonly<Record<string, string>> | null
}

/**
 * The engine calls that tasks need. All throw `SwarmError` with the engine's text: Unavailable when it
 * cannot be reached, NotFound, AlreadyExists (a conflict) and so on by its status.
 */
export class EngineApi {
  readonly engine: DockerEngine

  constructor(engine: DockerEngine) {
    this.engine = engine
  }

  async info(): Promise<EngineInfo> {
    return this.#json<EngineInfo>({ method: 'GET', path: '/info' })
  }

  inspectContainer(id: string, signal?: AbortSignal): Promise<ContainerInspect> {
    return this.#json<ContainerInspect>(
      { method: 'GET', path: `/containers/${encodeURIComponent(id)}/json` },
      signal,
    )
  }

  /** Containers in every state that carry a label, `key=value`. */
  listContainers(label: string): Promise<readonly ContainerSummary[]> {
    const filters = encodeURIComponent(JSON.stringify({ label: [label] }))
    return this.#json({ method: 'GET', path: `/containers/json?all=1&filters=${filters}` })
  }

  /** @returns the container's ID. */
  async createContainer(name: string, body: ContainerCreateBody, signal: AbortSignal): Promise<string> {
    const path = `/containers/create?name=${encodeURIComponent(name)}`
    const { Id } = await this.#json<{ Id: string }>({ method: 'POST', path, body }, signal)
    return Id
  }

  async startContainer(id: string, signal: AbortSignal): Promise<void> {
    await this.#done({ method: 'POST', path: `/containers/${id}/start` }, signal)
  }

  /** @param timeout seconds until the kill. */
  async stopContainer(id: string, timeout: number, signal: AbortSignal): Promise<void> {
    await this.#done({ method: 'POST', path: `/containers/${id}/stop?t=${timeout}` }, signal)
  }

  /** Kills it and takes its anonymous volumes along. */
  async removeContainer(id: string, signal?: AbortSignal): Promise<void> {
    await this.#done({ method: 'DELETE', path: `/containers/${id}?force=1&v=1` }, signal)
  }

  async hasImage(image: string, signal: AbortSignal): Promise<boolean> {
    try {
      await this.#done({ method: 'GET', path: `/images/${image}/json` }, signal)
      return true
    } catch (error) {
      if (error instanceof SwarmError && error.code === 'NotFound') return false
      throw error
    }
  }

  /** @param registryAuth base64url JSON as clients send it in `X-Registry-Auth`. */
  async pullImage(image: string, registryAuth: string | undefined, signal: AbortSignal): Promise<void> {
    const at = image.indexOf('@')
    const colon = at < 0 ? image.lastIndexOf(':') : -1
    const isTagged = colon > image.lastIndexOf('/')
    const query = new URLSearchParams(
      at >= 0
        ? { fromImage: untagged(image.slice(0, at)), tag: image.slice(at + 1) }
        : isTagged
          ? { fromImage: image.slice(0, colon), tag: image.slice(colon + 1) }
          : { fromImage: image, tag: 'latest' },
    )
    const { body } = await this.#open(
      {
        method: 'POST',
        path: `/images/create?${query.toString()}`,
        ...(registryAuth !== undefined &&
          registryAuth !== '' && { headers: { 'X-Registry-Auth': registryAuth } }),
      },
      signal,
    )
    for await (const line of readLines(body)) {
      const text = line.toString('utf8').trim()
      if (text === '') continue
      const { error } = JSON.parse(text) as { error?: string }
      if (error !== undefined) throw new SwarmError('Unknown', error)
    }
  }

  /** Makes a volume, unless one of that name and driver is there. */
  async createVolume(
    body: {
      readonly Name: string
      readonly Driver: string
      readonly DriverOpts: Readonly<Record<string, string>>
      readonly Labels: Readonly<Record<string, string>>
    },
    signal: AbortSignal,
  ): Promise<void> {
    await this.#done({ method: 'POST', path: '/volumes/create', body }, signal)
  }

  /** The body of a container's log, as a stream. */
  async logs(id: string, query: URLSearchParams, signal: AbortSignal): Promise<AsyncIterable<Buffer>> {
    const { body } = await this.#open(
      { method: 'GET', path: `/containers/${id}/logs?${query.toString()}` },
      signal,
    )
    return body
  }

  /** The engine's container events from `sinceMs` on, one JSON text each, until it ends or `signal` does. */
  async events(sinceMs: number | undefined, signal: AbortSignal): Promise<AsyncIterable<Buffer>> {
    const filters = encodeURIComponent(JSON.stringify({ type: ['container'] }))
    const since = sinceMs === undefined ? '' : `&since=${(sinceMs / 1000).toFixed(3)}`
    const { body } = await this.#open({ method: 'GET', path: `/events?filters=${filters}${since}` }, signal)
    return readLines(body)
  }

  async #json<T>(request: EngineRequest, signal?: AbortSignal): Promise<T> {
    const { body } = await this.#open(request, signal)
    return JSON.parse((await readBody(body, signal)).toString('utf8')) as T
  }

  async #done(request: EngineRequest, signal?: AbortSignal): Promise<void> {
    const { body } = await this.#open(request, signal)
    await readBody(body, signal)
  }

  /** @throws {SwarmError} for every status from 400 on. */
  async #open(request: EngineRequest, signal?: AbortSignal): Promise<EngineStream> {
    const answer = await this.engine.stream(request, signal)
    if (answer.status < 400) return answer
    const text = (await readBody(answer.body, signal)).toString('utf8')
    throw new SwarmError(codes[answer.status] ?? 'Unknown', messageOf(text))
  }
}

async function readBody(body: AsyncIterable<Buffer>, signal: AbortSignal | undefined): Promise<Buffer> {
  try {
    return await readAll(body)
  } catch (error) {
    if (signal?.aborted === true) throw signal.reason
    const reason = error instanceof Error ? error.message : String(error)
    throw new SwarmError('Unavailable', `an answer of the container engine broke off: ${reason}`, {
      cause: error,
    })
  }
}

function messageOf(text: string): string {
  try {
    const { message } = JSON.parse(text) as { message?: unknown }
    return typeof message === 'string' ? message : text.trim()
  } catch {
    // Some refusals are plain text.
    return text.trim()
  }
}

/** `localhost:5000/a:1` without `:1`. */
function untagged(name: string): string {
  const colon = name.lastIndexOf(':')
  return colon > name.lastIndexOf('/') ? name.slice(0, colon) : name
}
