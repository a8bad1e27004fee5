import type { RawData, WebSocket } from 'ws'
import { closeReason, wholeBuffer } from '../wire/index.js'
import type { PeerConnection } from '../raft/transport/index.js'

/** An open WebSocket as a connection between members of raft. Errors of the socket end it. */
export function peerConnection(socket: WebSocket): PeerConnection {
  let onMessage: ((data: Uint8Array) => void) | undefined
  let onClose: ((code: number, reason: string) => void) | undefined
  let closed: { readonly code: number; readonly reason: string } | undefined
  let errorMessage = ''
  const early: Uint8Array[] = []
  socket.on('message', (data: RawData) => {
    const bytes = wholeBuffer(data)
    if (onMessage === undefined) early.push(bytes)
    else onMessage(bytes)
  })
  socket.on('error', (error) => (errorMessage = error.message))
  socket.on('close', (code: number, reason: Buffer) => {
    closed = { code, reason: reason.toString() || errorMessage }
    onClose?.(closed.code, closed.reason)
  })
  return {
    // A failure to send is one of the connection: it closes, and `onClose` tells.
    send: (data, onSent) => {
      if (socket.readyState === socket.OPEN) socket.send(data, () => onSent())
      else onSent()
    },
    close: (code, reason) => {
      if (socket.readyState === socket.OPEN) socket.close(code, closeReason(reason))
      else socket.terminate()
    },
    onMessage: (listener) => {
      onMessage = listener
      for (const message of early.splice(0)) listener(message)
    },
    onClose: (listener) => {
      onClose = listener
      if (closed !== undefined) listener(closed.code, closed.reason)
    },
  }
}
