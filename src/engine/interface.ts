import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'

/**
 * The container engine of this host as an HTTP server of Docker's API: a real one behind a socket
 * (`docker/`: Docker or Podman) or the built-in simulated one (`sim/`). Whatever Skep does not answer
 * itself goes here.
 */
export interface HostEngine {
  readonly kind: 'docker' | 'podman' | 'simulated'
  /** For people: `Docker 20.10.24 at unix:///var/run/docker.sock`. */
  readonly description: string
  /** The newest and the oldest API version that the engine speaks: `1.41`. */
  readonly apiVersion: string
  readonly minApiVersion: string
  /**
   * One small call, answered whole. `path` has no version prefix: `/info`.
   * @throws {SwarmError} Unavailable when the engine cannot be reached.
   */
  call(request: EngineRequest): Promise<EngineResponse>
  /**
   * The head of an answer, with its body still to come: events, logs. The signal cuts it off.
   * @throws {SwarmError} Unavailable when the engine cannot be reached.
   */
  stream(request: EngineRequest, signal: AbortSignal): Promise<EngineStreamResponse>
  /**
   * Answers a client's request with the engine's own answer, byte for byte, streams and early hang-ups
   * included. `path` is the URL without version prefix, with its query; the engine's version is put in
   * front of it, clamped to what the engine speaks.
   */
  passThrough(request: IncomingMessage, response: ServerResponse, path: string, apiVersion: string): void
  /** The same for `Connection: Upgrade`: from the answer's head on it is a raw pipe with half-close. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer, path: string, apiVersion: string): void
  close(): Promise<void>
}

export interface EngineRequest {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE'
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: unknown
}

export interface EngineStreamResponse {
  readonly status: number
  readonly body: AsyncIterable<Buffer>
}

export interface EngineResponse {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: Buffer
}
