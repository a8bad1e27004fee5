import type { WebSocket } from 'ws'
import { Type } from 'typebox'
import { Compile } from 'typebox/compile'
import type { Env } from '../env/env.js'
import { clusterError, type SwarmError } from '../model/errors.js'
import type { LogOptions, LogSelector, TaskLogMessage } from '../model/logs.js'
import { LogOptionsSchema, decodeLogFrame, encodeLogFrame, wholeBuffer } from '../wire/index.js'
import { decodeError, encodeError } from './cluster-calls.js'

/**
 * Logs between two managers: the one whose client asks opens a WebSocket to the leader and says what it wants;
 * the leader sends frames of messages, perhaps an error, and closes.
 */
export const logsPath = '/logs'

const RequestSchema = Type.Object({
  selector: Type.Object({ serviceIds: Type.Array(Type.String()), taskIds: Type.Array(Type.String()) }),
  options: LogOptionsSchema,
})
const requestCheck = Compile(RequestSchema)

interface LogRequest {
  readonly selector: LogSelector
  readonly options: LogOptions
}

type ReadLogs = (
  selector: LogSelector,
  options: LogOptions,
  signal: AbortSignal,
) => AsyncIterable<TaskLogMessage>

const closeNormal = 1000
/** With more than this unsent the reader is slow. */
const unsentBytes = 256 * 1024
/** With so many messages unread nothing more is taken from the connection. */
const unreadMessages = 256

/** The leader's end: answers one request with what `read` gives. */
export function serveLogs(env: Env, socket: WebSocket, read: ReadLogs): void {
  const gone = new AbortController()
  socket.on('error', (error) => env.log.debug({ err: error.message }, 'a reader of logs broke off'))
  socket.once('close', () => gone.abort())
  socket.once('message', (data) => {
    sendLogs(socket, wholeBuffer(data), read, gone.signal).catch((error: unknown) => {
      if (gone.signal.aborted) return
      socket.send(JSON.stringify(encodeError(error)))
      socket.close(closeNormal)
    })
  })
}

async function sendLogs(
  socket: WebSocket,
  request: Buffer,
  read: ReadLogs,
  signal: AbortSignal,
): Promise<void> {
  const wanted: unknown = JSON.parse(request.toString())
  if (!requestCheck.Check(wanted)) throw clusterError('InvalidArgument', 'malformed request for logs')
  for await (const message of read(wanted.selector, wanted.options, signal)) {
    if (signal.aborted) return
    const sent = send(socket, encodeLogFrame({ subscriptionId: '', messages: [message] }))
    if (socket.bufferedAmount > unsentBytes) await sent
  }
  socket.close(closeNormal)
}

/** Resolves when the network has taken it, or the connection is gone. */
function send(socket: WebSocket, frame: Uint8Array): Promise<void> {
  return new Promise((resolve) => socket.send(frame, () => resolve()))
}

/**
 * The other end. Nothing is asked before the first read.
 * @throws {SwarmError} as the leader's `Dispatcher.logs`; Unavailable without a leader, or when the connection
 *   with it breaks.
 */
export async function* readLogs(
  dial: () => Promise<WebSocket>,
  request: LogRequest,
  signal: AbortSignal,
): AsyncGenerator<TaskLogMessage, void, undefined> {
  if (signal.aborted) return
  const socket = await dial()
  const unread: TaskLogMessage[] = []
  let end: { readonly error: SwarmError | undefined } | undefined
  let wake: () => void = () => undefined
  const finish = (error?: SwarmError) => {
    end ??= { error }
    wake()
  }
  const onAbort = () => socket.terminate()
  signal.addEventListener('abort', onAbort, { once: true })
  socket.on('message', (data, isBinary) => {
    try {
      if (!isBinary) {
        finish(decodeError(JSON.parse(wholeBuffer(data).toString())))
        return
      }
      for (const { nodeId = '', serviceId = '', ...message } of decodeLogFrame(wholeBuffer(data)).messages)
        unread.push({ ...message, nodeId, serviceId })
      if (unread.length > unreadMessages) socket.pause()
      wake()
    } catch (error) {
      finish(clusterError('Internal', 'malformed logs from the leader', { cause: error }))
    }
  })
  socket.once('close', (code) => {
    if (code === closeNormal || signal.aborted) finish()
    else finish(clusterError('Unavailable', 'the connection with the leader broke while it read the logs'))
  })
  try {
    socket.send(JSON.stringify(request))
    for (;;) {
      const message = unread.shift()
      if (message !== undefined) {
        yield message
      } else if (end !== undefined) {
        if (end.error !== undefined) throw end.error
        return
      } else {
        const awake = new Promise<void>((resolve) => (wake = resolve))
        socket.resume()
        await awake
      }
    }
  } finally {
    signal.removeEventListener('abort', onAbort)
    socket.terminate()
  }
}
