import type { WebSocket } from 'ws'
import type { KeyReadWriter, NodeIdentity } from '../ca/index.js'
import type { Env } from '../env/env.js'
import { clusterError } from '../model/errors.js'
import { noLeaderText, type Manager } from '../manager/manager.js'
import { PeerClose } from '../raft/transport/index.js'
import { CloseCode, webSocketConnection } from '../wire/index.js'
import type { HostPort } from './addresses.js'
import { bind } from './bind.js'
import { certificateCall } from './certificates.js'
import { ClusterServer, type SocketRoute } from './cluster-server.js'
import type { Founding } from './founding.js'
import { LeaderCalls, relayPath } from './leader-calls.js'
import { logsPath, serveLogs } from './log-relay.js'
import { managerCalls, writeCall } from './manager-calls.js'
import { ManagerRun } from './manager-run.js'
import { peerConnection } from './peer-socket.js'
import { raftPath } from './raft-dial.js'
import { sessionPath } from './session-dial.js'
import type { NodeState, SwarmDirectory } from './state-file.js'

const startingText = 'this manager is starting'

export interface ManagerSideOptions {
  readonly keys: KeyReadWriter
  readonly identity: NodeIdentity
  readonly state: NodeState
  /** Only at the founding of the swarm. */
  readonly founding?: Founding
  readonly findLocalNetwork: (nameOrId: string) => Promise<string | undefined>
  /** The other members took this one out. May be called again. */
  readonly onRemoved: () => void
}

/** What a node has while it is a manager: the cluster port and the manager behind it. */
export class ManagerSide {
  readonly run: ManagerRun
  /** With the real ports where the user asked for any. */
  readonly state: NodeState
  /** Where this node's own agent finds this manager. */
  readonly ownAddress: HostPort
  readonly #server: ClusterServer
  readonly #leader: LeaderCalls
  readonly #stopped = new AbortController()

  private constructor(
    run: ManagerRun,
    server: ClusterServer,
    leader: LeaderCalls,
    state: NodeState,
    listen: HostPort,
  ) {
    this.run = run
    this.#server = server
    this.#leader = leader
    this.state = state
    this.ownAddress = ownAddress(listen)
  }

  /**
   * Opens the port, then the manager.
   * @throws {SwarmError} when the port is taken or the state is damaged.
   */
  static async start(env: Env, directory: SwarmDirectory, options: ManagerSideOptions): Promise<ManagerSide> {
    const { keys, identity, founding, findLocalNetwork, onRemoved } = options
    const running: { run?: ManagerRun } = {}
    const leader = new LeaderCalls(env, keys, () => running.run?.leaderAddr)
    const forward = (write: unknown) => {
      if (running.run?.leaderAddr === undefined) return Promise.reject(clusterError('Unknown', noLeaderText))
      return leader.call(writeCall, write)
    }
    const server = new ClusterServer(env, identity.clusterId, keys.credentials, {
      sockets: new Map([
        [sessionPath, sessionRoute(() => running.run)],
        [relayPath, relayRoute(() => running.run)],
        [logsPath, logsRoute(env, () => running.run)],
        [raftPath, raftRoute(() => running.run)],
      ]),
      expiredMayCall: new Set([certificateCall]),
      calls: managerCalls(env, { keys, identity, leader, run: () => running.run }),
      isRemoved: (nodeId) => running.run?.manager.isRemoved(nodeId) ?? false,
    })
    const { listen, state } = await bind(server, options.state)
    directory.writeState(state)
    try {
      running.run = await ManagerRun.start(env, { findLocalNetwork, onRemoved, forward, leader }, directory, {
        keys,
        identity,
        state,
        ...(founding !== undefined && { founding }),
      })
      return new ManagerSide(running.run, server, leader, state, listen)
    } catch (error) {
      await server.close()
      throw error
    }
  }

  /** Aborted when this manager ends. */
  get stopped(): AbortSignal {
    return this.#stopped.signal
  }

  useCredentials({ credentials }: KeyReadWriter): void {
    this.#server.setCredentials(credentials)
  }

  async stop(): Promise<void> {
    this.#stopped.abort()
    await this.run.stop()
    this.#leader.close()
    await this.#server.close()
  }
}

/** Any manager takes sessions; who does not lead relays them. */
function sessionRoute(run: () => ManagerRun | undefined): SocketRoute {
  return {
    roles: ['manager', 'worker', 'witness'],
    takesRemoved: true,
    accept: (socket, peer, remoteAddress) => {
      const manager = run()?.manager
      if (manager === undefined) socket.close(CloseCode.NotLeader, startingText)
      else manager.dispatcher.accept(webSocketConnection(socket), peer, remoteAddress)
    },
  }
}

/** Sessions that other managers relay. */
function relayRoute(run: () => ManagerRun | undefined): SocketRoute {
  return managersOnly(run, (socket, manager) => manager.dispatcher.acceptRelay(webSocketConnection(socket)))
}

function logsRoute(env: Env, run: () => ManagerRun | undefined): SocketRoute {
  return managersOnly(run, (socket, { dispatcher }) =>
    serveLogs(env, socket, (selector, options, signal) => dispatcher.logs(selector, options, signal)),
  )
}

function managersOnly(
  run: () => ManagerRun | undefined,
  accept: (socket: WebSocket, manager: Manager) => void,
): SocketRoute {
  return {
    roles: ['manager'],
    accept: (socket) => {
      const manager = run()?.manager
      if (manager === undefined) socket.close(CloseCode.NotLeader, startingText)
      else accept(socket, manager)
    },
  }
}

function raftRoute(run: () => ManagerRun | undefined): SocketRoute {
  return {
    roles: ['manager', 'witness'],
    takesExpired: true,
    accept: (socket, { nodeId }) => {
      const transport = run()?.transport
      if (transport === undefined) socket.close(PeerClose.NotReady, startingText)
      else transport.accept(peerConnection(socket), nodeId)
    },
  }
}

function ownAddress({ host, port }: HostPort): HostPort {
  if (host === '0.0.0.0') return { host: '127.0.0.1', port }
  return host === '::' ? { host: '::1', port } : { host, port }
}
