import { request as httpsRequest, type Agent } from 'node:https'
import type { ConnectionOptions, TLSSocket } from 'node:tls'
import Type from 'typebox'
import Value from 'typebox/value'
import type { NodeIdentity } from '../ca/index.js'
import type { Env } from '../env/env.js'
import { SwarmError, clusterError, type ErrorCode } from '../model/errors.js'
import { formatHostPort, type HostPort } from './addresses.js'

/** Calls between nodes: one JSON value there, one back, over HTTPS on the cluster port. */

export const callPrefix = '/call/'
/** Whose call a manager passes on. */
export const originHeader = 'skep-origin'

/** Who makes a call. */
export interface Caller {
  /** Undefined for a node that has no certificate of this swarm. */
  readonly identity: NodeIdentity | undefined
  /** The other end of the connection: the same, or the manager that passed the call on. */
  readonly sender: NodeIdentity | undefined
  /** Of the node that makes the call. */
  readonly remoteAddress: string
  readonly isForwarded: boolean
}

const OriginSchema = Type.Object({
  identity: Type.Optional(
    Type.Object({
      nodeId: Type.String(),
      role: Type.Union([Type.Literal('manager'), Type.Literal('worker'), Type.Literal('witness')]),
      clusterId: Type.String(),
    }),
  ),
  remoteAddress: Type.String(),
})

const AnswerSchema = Type.Object({
  result: Type.Optional(Type.Unknown()),
  code: Type.Optional(Type.String()),
  message: Type.Optional(Type.String()),
})

export interface CallOptions {
  readonly tls: ConnectionOptions
  /** Default 5 s. Behaviour: moby/swarmkit ca/certificates.go, the timeout of its calls. */
  readonly timeoutMs?: number
  /** Keeps connections for further calls. Default: each call has its own. */
  readonly agent?: Agent
  /** Looks at the other end when the handshake is over; what it throws ends the call. */
  readonly verify?: (socket: TLSSocket) => void
  /** Set where a manager passes on somebody's call. */
  readonly origin?: Pick<Caller, 'identity' | 'remoteAddress'>
}

export interface CallAnswer {
  readonly result: unknown
  /** This machine's address on the way to the other one. */
  readonly localAddress: string
}

const defaultTimeoutMs = 5000

/**
 * Makes one call.
 * @throws {SwarmError} what the other side threw; Unavailable where there is no connection to it;
 *   DeadlineExceeded.
 */
export function callNode(
  env: Env,
  address: HostPort,
  name: string,
  args: unknown,
  { tls, timeoutMs = defaultTimeoutMs, agent, verify, origin }: CallOptions,
): Promise<CallAnswer> {
  const body = Buffer.from(JSON.stringify(args ?? null))
  return new Promise((resolve, reject) => {
    const request = httpsRequest({
      ...tls,
      host: address.host,
      port: address.port,
      path: `${callPrefix}${name}`,
      method: 'POST',
      agent: agent ?? false,
      headers: {
        'Content-Type': 'application/json',
        'Content-Length': body.length,
        ...(origin === undefined ? {} : { [originHeader]: JSON.stringify(origin) }),
      },
    })
    const cancelTimer = env.after(timeoutMs, () => {
      request.destroy(clusterError('DeadlineExceeded', 'context deadline exceeded'))
    })
    let localAddress = ''
    request.on('socket', (socket) => {
      socket.once('secureConnect', () => {
        localAddress = socket.localAddress ?? ''
        try {
          verify?.(socket as TLSSocket)
        } catch (error) {
          request.destroy(error as Error)
        }
      })
    })
    request.on('error', (error) => {
      cancelTimer()
      reject(error instanceof SwarmError ? error : unreachable(address, error))
    })
    request.on('response', (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('error', (error) => {
        cancelTimer()
        reject(error instanceof SwarmError ? error : unreachable(address, error))
      })
      response.on('end', () => {
        cancelTimer()
        try {
          resolve({ result: readAnswer(name, Buffer.concat(chunks)), localAddress })
        } catch (error) {
          reject(error)
        }
      })
    })
    request.end(body)
  })
}

export function encodeError(error: unknown): { readonly code: ErrorCode; readonly message: string } {
  if (error instanceof SwarmError) return { code: error.code, message: error.message }
  return { code: 'Internal', message: 'the manager could not do this; its log says why' }
}

/** What `encodeError` wrote. */
export function decodeError(value: unknown): SwarmError {
  if (!Value.Check(AnswerSchema, value)) return clusterError('Internal', 'malformed error of another manager')
  return new SwarmError(knownCode(value.code ?? ''), value.message ?? '')
}

/** @throws {SwarmError} InvalidArgument. */
export function decodeOrigin(text: string): Pick<Caller, 'identity' | 'remoteAddress'> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw new SwarmError('InvalidArgument', 'malformed origin of a call', { cause: error })
  }
  if (!Value.Check(OriginSchema, value)) throw new SwarmError('InvalidArgument', 'malformed origin of a call')
  return { identity: value.identity, remoteAddress: value.remoteAddress }
}

function readAnswer(name: string, bytes: Buffer): unknown {
  let answer: unknown
  try {
    answer = JSON.parse(bytes.toString())
  } catch (error) {
    throw clusterError('Unimplemented', `the other node knows no call ${name}`, { cause: error })
  }
  if (!Value.Check(AnswerSchema, answer)) throw clusterError('Internal', `malformed answer to ${name}`)
  if (answer.code === undefined) return answer.result
  throw decodeError(answer)
}

const codes: readonly string[] = [
  'InvalidArgument',
  'FailedPrecondition',
  'OutOfRange',
  'Unauthenticated',
  'PermissionDenied',
  'NotFound',
  'AlreadyExists',
  'Unimplemented',
  'Unavailable',
  'DeadlineExceeded',
  'Aborted',
  'Internal',
  'Unknown',
] satisfies readonly ErrorCode[]

function knownCode(code: string): ErrorCode {
  return codes.includes(code) ? (code as ErrorCode) : 'Unknown'
}

const systemTexts: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connect: connection refused',
  EHOSTUNREACH: 'connect: no route to host',
  ENETUNREACH: 'connect: network is unreachable',
  ETIMEDOUT: 'i/o timeout',
  ECONNRESET: 'read: connection reset by peer',
}

/** In gRPC's words, which clients print. Behaviour: google.golang.org/grpc, as dockerd 28 shows it. */
function unreachable(address: HostPort, error: Error): SwarmError {
  const { code = '' } = error as NodeJS.ErrnoException
  const system = systemTexts[code]
  const desc =
    system === undefined
      ? `authentication handshake failed: ${error.message}`
      : `Error while dialing: dial tcp ${formatHostPort(address)}: ${system}`
  return clusterError('Unavailable', `connection error: desc = "transport: ${desc}"`, { cause: error })
}
