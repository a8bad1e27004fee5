import type { WebSocket } from 'ws'
import { clientTlsOptions, type NodeCredentials } from '../ca/index.js'
import { formatHostPort, type HostPort } from './addresses.js'
import { openSocket } from './open-socket.js'
import type { Remotes } from './remotes.js'

export const sessionPath = '/session'

const defaultTimeoutMs = 5000

/**
 * Opens a session's connection with a manager, and remembers how that went.
 * @param address what `remotes` know the manager by.
 * @param options `reachable`: where it is asked, if that is somewhere else.
 * @throws {Error} when it does not answer, or refuses this node.
 */
export async function dialSession(
  remotes: Remotes,
  credentials: NodeCredentials,
  address: HostPort,
  {
    timeoutMs = defaultTimeoutMs,
    reachable = address,
  }: { readonly timeoutMs?: number; readonly reachable?: HostPort } = {},
): Promise<WebSocket> {
  const addr = formatHostPort(address)
  try {
    const socket = await openSocket(`wss://${formatHostPort(reachable)}${sessionPath}`, {
      tls: clientTlsOptions(credentials),
      timeoutMs,
    })
    remotes.succeeded(addr)
    // Whatever ended the session: the next one is better tried with another manager.
    socket.once('close', () => remotes.failed(addr))
    return socket
  } catch (error) {
    remotes.failed(addr)
    throw error
  }
}
