import type { KeyReadWriter, NodeIdentity } from '../ca/index.js'
import type { Env } from '../env/env.js'
import { clusterError } from '../model/errors.js'
import { noLeaderText } from '../manager/manager.js'
import { PeerClose } from '../raft/transport/index.js'
import { webSocketConnection } from '../wire/index.js'
import { defaultClusterPort, formatHostPort, parseHostPort, type HostPort } from './addresses.js'
import { ClusterServer, type SocketRoute } from './cluster-server.js'
import type { Founding } from './founding.js'
import { callLeader, managerCalls, writeCall } from './manager-calls.js'
import { ManagerRun } from './manager-run.js'
import { peerConnection } from './peer-socket.js'
import { raftPath } from './raft-dial.js'
import type { NodeState, SwarmDirectory } from './state-file.js'

export const sessionPath = '/session'

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
  readonly #stopped = new AbortController()

  private constructor(run: ManagerRun, server: ClusterServer, state: NodeState, listen: HostPort) {
    this.run = run
    this.#server = server
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
    const forward = (write: unknown) => {
      if (running.run?.leaderAddr === undefined) return Promise.reject(clusterError('Unknown', noLeaderText))
      return callLeader(env, keys, running.run, writeCall, write)
    }
    const server = new ClusterServer(env, identity.clusterId, keys.credentials, {
      sockets: new Map([
        [sessionPath, sessionRoute(() => running.run)],
        [raftPath, raftRoute(() => running.run)],
      ]),
      calls: managerCalls(env, { keys, identity, run: () => running.run }),
      isRemoved: (nodeId) => running.run?.manager.isRemoved(nodeId) ?? false,
    })
    const { listen, state } = await bind(server, options.state)
    directory.writeState(state)
    try {
      running.run = await ManagerRun.start(env, { findLocalNetwork, onRemoved, forward }, directory, {
        keys,
        identity,
        state,
        ...(founding !== undefined && { founding }),
      })
      return new ManagerSide(running.run, server, state, listen)
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
    await this.#server.close()
  }
}

/** Sessions are the leader's. */
function sessionRoute(run: () => ManagerRun | undefined): SocketRoute {
  return {
    roles: ['manager', 'worker'],
    servedElsewhere: () => (run()?.leads === true ? undefined : { leaderAddr: run()?.leaderAddr }),
    accept: (socket, peer, remoteAddress) =>
      run()?.manager.dispatcher.accept(webSocketConnection(socket), peer, remoteAddress),
  }
}

function raftRoute(run: () => ManagerRun | undefined): SocketRoute {
  return {
    roles: ['manager'],
    accept: (socket, { nodeId }) => {
      const transport = run()?.transport
      if (transport === undefined) socket.close(PeerClose.NotReady, 'this manager is starting')
      else transport.accept(peerConnection(socket), nodeId)
    },
  }
}

/** Listens, and puts the real port where the user asked for any. */
async function bind(
  server: ClusterServer,
  state: NodeState,
): Promise<{ listen: HostPort; state: NodeState }> {
  const wanted = parseHostPort(state.listenAddr, defaultClusterPort)
  const advertised = parseHostPort(state.advertiseAddr, defaultClusterPort)
  if (wanted === undefined || advertised === undefined)
    throw new Error('the node state has no usable addresses')
  const listen = await server.listen(wanted)
  if (wanted.port !== 0) return { listen, state }
  const advertise = { ...advertised, port: advertised.port === 0 ? listen.port : advertised.port }
  return {
    listen,
    state: { ...state, listenAddr: formatHostPort(listen), advertiseAddr: formatHostPort(advertise) },
  }
}

function ownAddress({ host, port }: HostPort): HostPort {
  if (host === '0.0.0.0') return { host: '127.0.0.1', port }
  return host === '::' ? { host: '::1', port } : { host, port }
}
