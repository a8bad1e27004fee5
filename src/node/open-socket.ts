import type { ConnectionOptions } from 'node:tls'
import { WebSocket } from 'ws'

/**
 * Opens a WebSocket to a manager. Errors of the open socket are followed by its `close`, and are for whoever
 * listens there.
 * @throws {Error} when nobody answers, or the manager refuses.
 */
export function openSocket(
  url: string,
  { tls, timeoutMs }: { readonly tls: ConnectionOptions; readonly timeoutMs: number },
): Promise<WebSocket> {
  const socket = new WebSocket(url, { ...tls, perMessageDeflate: false, handshakeTimeout: timeoutMs })
  return new Promise((resolve, reject) => {
    socket.once('open', () => resolve(socket))
    socket.on('error', reject)
    socket.once('unexpected-response', (request, response) => {
      reject(new Error(`the manager refuses this node: ${response.statusCode}`))
      request.destroy()
    })
  })
}
