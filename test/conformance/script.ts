import type { Reply, RequestOptions } from '../lib/http-client.js'

/** One HTTP call as it goes out. */
export interface Call {
  readonly method: string
  readonly path: string
  /** Sent as JSON. */
  readonly body?: unknown
  /** Sent as it is, in place of `body`. */
  readonly raw?: string
  readonly headers?: Record<string, string>
}

/** What a step may ask of the daemon it runs against. Nothing asked here is recorded. */
export interface Context {
  /** Where the daemon's cluster port is to listen, the same for both in the normalised answers. */
  readonly listenAddr: string
  request(method: string, path: string, options?: RequestOptions): Promise<Reply>
  /** The body of `GET path`. Throws unless it is a 200. */
  get(path: string): Promise<unknown>
  /** `Version.Index` of the object at `path`. */
  version(path: string): Promise<number>
  /** What an earlier step saved. */
  id(name: string): string
  save(name: string, id: string): void
  /** Polls until `test` holds for the body of `GET path`. */
  until(what: string, path: string, test: (body: unknown) => boolean): Promise<void>
}

/** One recorded call of the script. */
export interface Step {
  /** Unique; accepted differences refer to it. */
  readonly name: string
  /** Brings the daemon to where the call makes sense, and waits for it. */
  readonly before?: (context: Context) => Promise<void>
  readonly call: Call | ((context: Context) => Call | Promise<Call>)
  /** Keeps the ID in the answer (`ID`, `Id`, or the whole body) under this name. */
  readonly save?: string
  /** Only these members of the body are compared: the rest is the engine's own. */
  readonly pick?: readonly string[]
  /** The list has several items and must come by ID; asserted on both sides. */
  readonly byId?: true
}

export const v = '/v1.41'

/** A filter query in the old list form. */
export function filters(value: Record<string, readonly string[]>): string {
  return `filters=${encodeURIComponent(JSON.stringify(value))}`
}

export function get(name: string, path: string | ((c: Context) => string), more: Partial<Step> = {}): Step {
  return { name, call: (c) => ({ method: 'GET', path: typeof path === 'string' ? path : path(c) }), ...more }
}

export function remove(name: string, path: string): Step {
  return { name, call: { method: 'DELETE', path } }
}

export function post(
  name: string,
  path: string | ((c: Context) => string | Promise<string>),
  body?: unknown,
  more: Partial<Step> = {},
): Step {
  return {
    name,
    call: async (c) => ({
      method: 'POST',
      path: typeof path === 'string' ? path : await path(c),
      ...(body !== undefined && {
        body: typeof body === 'function' ? (body as (c: Context) => unknown)(c) : body,
      }),
    }),
    ...more,
  }
}

/** A POST whose body goes out byte for byte. */
export function postRaw(name: string, path: string, raw: string, contentType = 'application/json'): Step {
  return { name, call: { method: 'POST', path, raw, headers: { 'Content-Type': contentType } } }
}
