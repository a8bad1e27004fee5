import { WebSocket } from 'ws'
import { Agent } from '../agent/index.js'
import {
  certificateIdentity,
  clientTlsOptions,
  parseCertificate,
  tlsInfo,
  type KeyReadWriter,
  type NodeIdentity,
} from '../ca/index.js'
import type { Env } from '../env/env.js'
import type { Executor } from '../executor/interface.js'
import type { Manager } from '../manager/manager.js'
import { webSocketConnection, type Connection } from '../wire/index.js'
import { formatHostPort, parseHostPort, defaultClusterPort, type HostPort } from './addresses.js'
import { ClusterServer } from './cluster-server.js'
import type { Founding } from './founding.js'
import { ManagerRun } from './manager-run.js'
import type { NodeState, SwarmDirectory } from './state-file.js'

/** What this host brings into a swarm. */
export interface Host {
  readonly hostname: string
  readonly executor: Executor
  /** Name of the engine's own network that is called `nameOrId`, if there is one. */
  readonly findLocalNetwork: (nameOrId: string) => Promise<string | undefined>
}

interface Start {
  readonly keys: KeyReadWriter
  readonly state: NodeState
  /** Only at the founding; later the recorded addresses are used. */
  readonly founding?: Founding
}

const sessionPath = '/session'

/** One run of this node as a member of a swarm, from start to stop: cluster port, manager, agent. */
export class SwarmRun {
  readonly nodeId: string
  readonly state: NodeState
  readonly #server: ClusterServer
  readonly #managerRun: ManagerRun
  readonly #agent: Agent

  private constructor(
    nodeId: string,
    state: NodeState,
    parts: { readonly server: ClusterServer; readonly managerRun: ManagerRun; readonly agent: Agent },
  ) {
    this.nodeId = nodeId
    this.state = state
    this.#server = parts.server
    this.#managerRun = parts.managerRun
    this.#agent = parts.agent
  }

  /**
   * Brings all parts up. When one of them fails, those before it are stopped again.
   * @throws {SwarmError} when the cluster port is taken or the state is damaged.
   */
  static async start(env: Env, host: Host, directory: SwarmDirectory, start: Start): Promise<SwarmRun> {
    const identity = certificateIdentity(start.keys.certificate)
    let managerRun: ManagerRun | undefined
    const server = new ClusterServer(
      env,
      identity.clusterId,
      start.keys.credentials,
      new Map([
        [
          sessionPath,
          (socket: WebSocket, peer: NodeIdentity, remoteAddress: string) =>
            managerRun?.manager.dispatcher.accept(webSocketConnection(socket), peer, remoteAddress),
        ],
      ]),
    )
    const { listen, state } = await bind(server, start)
    directory.writeState(state)
    try {
      managerRun = await ManagerRun.start(env, host, directory, { ...start, state, identity })
    } catch (error) {
      await server.close()
      throw error
    }
    const agent = new Agent(env, {
      nodeId: identity.nodeId,
      hostname: host.hostname,
      executor: host.executor,
      dbPath: directory.workerDatabase,
      dial: () => dial(start.keys, ownAddress(listen)),
      describe: (description) => ({ ...description, TLSInfo: tlsInfoOf(start.keys) }),
    })
    await agent.start()
    return new SwarmRun(identity.nodeId, state, { server, managerRun, agent })
  }

  get manager(): Manager {
    return this.#managerRun.manager
  }

  remoteManagers(): readonly { readonly nodeId: string; readonly addr: string }[] {
    return this.manager.view.nodes
      .list()
      .flatMap(({ id, managerAddr }) =>
        managerAddr === undefined ? [] : [{ nodeId: id, addr: managerAddr }],
      )
  }

  /** Ends the run; containers go on. */
  async stop(): Promise<void> {
    await this.#agent.stop()
    await this.#stopManager()
  }

  /** Ends the run for good: the containers of the swarm's tasks go with it. */
  async leave(): Promise<void> {
    await this.#agent.leave()
    await this.#stopManager()
  }

  async #stopManager(): Promise<void> {
    await this.#managerRun.stop()
    await this.#server.close()
  }
}

/** Listens, and puts the real port where the user asked for any. */
async function bind(
  server: ClusterServer,
  { state }: Start,
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

/** What the node shows of the root that it trusts. */
function tlsInfoOf({ credentials }: KeyReadWriter) {
  return tlsInfo(credentials.rootPem, parseCertificate(credentials.rootPem))
}

/** Where this node's own agent finds its manager. */
function ownAddress({ host, port }: HostPort): HostPort {
  if (host === '0.0.0.0') return { host: '127.0.0.1', port }
  return host === '::' ? { host: '::1', port } : { host, port }
}

function dial(keys: KeyReadWriter, address: HostPort): Promise<Connection> {
  const socket = new WebSocket(`wss://${formatHostPort(address)}${sessionPath}`, {
    ...clientTlsOptions(keys.credentials),
    perMessageDeflate: false,
  })
  return new Promise((resolve, reject) => {
    socket.once('open', () => resolve(webSocketConnection(socket)))
    socket.once('error', reject)
  })
}
