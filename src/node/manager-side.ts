import { clientTlsOptions, type KeyReadWriter, type NodeIdentity } from '../ca/index.js'
import type { Env } from '../env/env.js'
import { clusterError } from '../model/errors.js'
import { noLeaderText } from '../manager/manager.js'
import { webSocketConnection } from '../wire/index.js'
import { defaultClusterPort, formatHostPort, parseHostPort, type HostPort } from './addresses.js'
import { certificateCall, rootCaCall } from './certificates.js'
import { callNode } from './cluster-calls.js'
import { ClusterServer, type CallHandler, type SocketRoute } from './cluster-server.js'
import type { Founding } from './founding.js'
import { ManagerRun } from './manager-run.js'
import type { NodeState, SwarmDirectory } from './state-file.js'

export const sessionPath = '/session'

export interface ManagerSideOptions {
  readonly keys: KeyReadWriter
  readonly identity: NodeIdentity
  readonly state: NodeState
  /** Only at the founding of the swarm. */
  readonly founding?: Founding
  readonly findLocalNetwork: (nameOrId: string) => Promise<string | undefined>
}

/** What a node has while it is a manager: the cluster port and the manager behind it. */
export class ManagerSide {
  readonly run: ManagerRun
  /** With the real ports where the user asked for any. */
  readonly state: NodeState
  /** Where this node's own agent finds this manager. */
  readonly ownAddress: HostPort
  readonly #server: ClusterServer

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
    const { keys, identity, founding, findLocalNetwork } = options
    const running: { run?: ManagerRun } = {}
    const server = new ClusterServer(env, identity.clusterId, keys.credentials, {
      sockets: new Map([[sessionPath, sessionRoute(() => running.run)]]),
      calls: certificateCalls(env, keys, () => running.run),
      isRemoved: (nodeId) => running.run?.manager.isRemoved(nodeId) ?? false,
    })
    const { listen, state } = await bind(server, options.state)
    directory.writeState(state)
    try {
      running.run = await ManagerRun.start(env, { findLocalNetwork }, directory, {
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

  useCredentials({ credentials }: KeyReadWriter): void {
    this.#server.setCredentials(credentials)
  }

  async stop(): Promise<void> {
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

function certificateCalls(
  env: Env,
  keys: KeyReadWriter,
  run: () => ManagerRun | undefined,
): ReadonlyMap<string, CallHandler> {
  return new Map<string, CallHandler>([
    [rootCaCall, () => Promise.resolve({ rootPem: keys.credentials.rootPem })],
    [
      certificateCall,
      leaderOnly(env, keys, certificateCall, run, (args, { identity }, { manager }) =>
        manager.caServer.issue(args, identity),
      ),
    ],
  ])
}

/** Answers a call on the leader; any other manager passes it on, once. */
export function leaderOnly(
  env: Env,
  keys: KeyReadWriter,
  name: string,
  run: () => ManagerRun | undefined,
  answer: (args: unknown, caller: Parameters<CallHandler>[1], run: ManagerRun) => Promise<unknown>,
): CallHandler {
  return async (args, caller) => {
    const here = run()
    if (here?.leads === true) return answer(args, caller, here)
    const leader = parseHostPort(here?.leaderAddr ?? '', defaultClusterPort)
    if (leader === undefined || leader.host === '') throw clusterError('Unavailable', noLeaderText)
    if (caller.isForwarded) {
      throw clusterError('Unavailable', `more than one redirect to leader from: ${caller.remoteAddress}`)
    }
    const { identity, remoteAddress } = caller
    const { result } = await callNode(env, leader, name, args, {
      tls: clientTlsOptions(keys.credentials),
      origin: { identity, remoteAddress },
    })
    return result
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
