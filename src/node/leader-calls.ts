import { Agent } from 'node:https'
import type { WebSocket } from 'ws'
import { clientTlsOptions, type KeyReadWriter } from '../ca/index.js'
import type { Env } from '../env/env.js'
import { clusterError } from '../model/errors.js'
import type { LogOptions, LogSelector, TaskLogMessage } from '../model/logs.js'
import { noLeaderText, type LeaderRelay } from '../manager/manager.js'
import { webSocketConnection, type Connection } from '../wire/index.js'
import { defaultClusterPort, formatHostPort, parseHostPort, type HostPort } from './addresses.js'
import { callNode, type Caller } from './cluster-calls.js'
import { logsPath, readLogs } from './log-relay.js'
import { openSocket } from './open-socket.js'

/** Sessions that a manager relays to the leader. */
export const relayPath = '/relay'

/** As long as clients' requests may take. */
const forwardTimeoutMs = 20_000
/** Less than what the other side waits for the next call on a connection. */
const idleTimeoutMs = 15_000
/** Within an election timeout: by then another manager may lead. */
const relayHandshakeTimeoutMs = 2000

/** What a manager that does not lead asks of the one that does, on connections that are kept. */
export class LeaderCalls implements LeaderRelay {
  readonly #env: Env
  readonly #keys: KeyReadWriter
  readonly #leaderAddr: () => string | undefined
  readonly #agent = new Agent({ keepAlive: true, timeout: idleTimeoutMs })

  constructor(env: Env, keys: KeyReadWriter, leaderAddr: () => string | undefined) {
    this.#env = env
    this.#keys = keys
    this.#leaderAddr = leaderAddr
  }

  /**
   * Makes a call, as this manager or for somebody else.
   * @throws {SwarmError} what the leader threw; Unavailable when there is none.
   */
  async call(
    name: string,
    args: unknown,
    origin?: Pick<Caller, 'identity' | 'remoteAddress'>,
  ): Promise<unknown> {
    const { result } = await callNode(this.#env, this.#leader(), name, args, {
      tls: clientTlsOptions(this.#keys.credentials),
      timeoutMs: forwardTimeoutMs,
      agent: this.#agent,
      ...(origin !== undefined && { origin }),
    })
    return result
  }

  async dialSessions(): Promise<Connection> {
    return webSocketConnection(await this.#dial(relayPath))
  }

  logs(selector: LogSelector, options: LogOptions, signal: AbortSignal): AsyncIterable<TaskLogMessage> {
    return readLogs(() => this.#dial(logsPath), { selector, options }, signal)
  }

  /** Closes connections that are kept for later. */
  close(): void {
    this.#agent.destroy()
  }

  #leader(): HostPort {
    const leader = parseHostPort(this.#leaderAddr() ?? '', defaultClusterPort)
    if (leader === undefined || leader.host === '') throw clusterError('Unavailable', noLeaderText)
    return leader
  }

  async #dial(path: string): Promise<WebSocket> {
    return openSocket(`wss://${formatHostPort(this.#leader())}${path}`, {
      tls: clientTlsOptions(this.#keys.credentials),
      timeoutMs: relayHandshakeTimeoutMs,
    })
  }
}
