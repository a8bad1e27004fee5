import { request as httpRequest, type IncomingHttpHeaders, type OutgoingHttpHeaders } from 'node:http'

/** Where a daemon listens. */
export type Endpoint = { readonly socketPath: string } | { readonly host: string; readonly port: number }

export interface Reply {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
  /** The body as text. */
  readonly text: string
  /** The body parsed as JSON. Throws when it is not JSON. */
  json(): unknown
}

export interface RequestOptions {
  readonly headers?: OutgoingHttpHeaders
  /** A string or Buffer goes out as it is (no Content-Type added); anything else as JSON. */
  readonly body?: unknown
  readonly timeoutMs?: number
}

/** One HTTP call on a connection of its own. Rejects on a broken connection or after `timeoutMs` (30 s). */
export function request(
  endpoint: Endpoint,
  method: string,
  path: string,
  options: RequestOptions = {},
): Promise<Reply> {
  const { body, timeoutMs = 30_000 } = options
  const raw = body === undefined || typeof body === 'string' || Buffer.isBuffer(body)
  const payload = raw ? body : JSON.stringify(body)
  const headers: OutgoingHttpHeaders = { ...options.headers }
  if (!raw) headers['Content-Type'] ??= 'application/json'
  // An explicit length: dockerd tells a body of length 0 from a chunked one.
  if (payload !== undefined) headers['Content-Length'] ??= Buffer.byteLength(payload)
  return new Promise((resolve, reject) => {
    const call = httpRequest(
      { ...endpoint, method, path, headers, agent: false, signal: AbortSignal.timeout(timeoutMs) },
      (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('error', reject)
        response.on('end', () => {
          const whole = Buffer.concat(chunks)
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            body: whole,
            text: whole.toString('utf8'),
            json: () => JSON.parse(whole.toString('utf8')) as unknown,
          })
        })
      },
    )
    call.on('error', reject)
    call.end(payload)
  })
}
