import type { RawData, WebSocket } from 'ws'
import { CloseCode, closeReason, type Connection } from './connection.js'

/**
 * An open WebSocket as a connection. Errors of the socket end it: they are followed by `close`, whose
 * reason then names the error.
 */
export function webSocketConnection(socket: WebSocket): Connection {
  return new WebSocketConnection(socket)
}

class WebSocketConnection implements Connection {
  readonly #socket: WebSocket
  #early: (string | Buffer)[] = []
  #onMessage: ((data: string | Buffer) => void) | undefined
  #onClose: ((code: number, reason: string) => void) | undefined
  #closed: { readonly code: number; readonly reason: string } | undefined
  #error = ''

  constructor(socket: WebSocket) {
    this.#socket = socket
    socket.on('message', (data: RawData, isBinary: boolean) => {
      const bytes = wholeBuffer(data)
      const message = isBinary ? bytes : bytes.toString()
      if (this.#onMessage === undefined) this.#early.push(message)
      else this.#onMessage(message)
    })
    socket.on('error', (error) => {
      this.#error = error.message
    })
    socket.on('close', (code: number, reason: Buffer) => this.#ended(code, reason.toString() || this.#error))
    if (socket.readyState === socket.CLOSED) this.#ended(CloseCode.Broken, '')
  }

  get bufferedAmount(): number {
    return this.#socket.bufferedAmount
  }

  send(data: string | Uint8Array): void {
    // A failure to send is one of the connection: it closes, and `onClose` tells.
    if (this.#socket.readyState === this.#socket.OPEN) this.#socket.send(data, () => undefined)
  }

  close(code: number, reason: string): void {
    if (this.#socket.readyState === this.#socket.OPEN) this.#socket.close(code, closeReason(reason))
    else if (this.#socket.readyState === this.#socket.CONNECTING) this.#socket.terminate()
  }

  onMessage(listener: (data: string | Buffer) => void): void {
    this.#onMessage = listener
    for (const message of this.#early.splice(0)) listener(message)
  }

  onClose(listener: (code: number, reason: string) => void): void {
    this.#onClose = listener
    if (this.#closed !== undefined) listener(this.#closed.code, this.#closed.reason)
  }

  #ended(code: number, reason: string): void {
    if (this.#closed !== undefined) return
    this.#closed = { code, reason }
    this.#onClose?.(code, reason)
  }
}

/** A message of `ws` in one piece. */
export function wholeBuffer(data: RawData): Buffer {
  if (Buffer.isBuffer(data)) return data
  return Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data)
}
