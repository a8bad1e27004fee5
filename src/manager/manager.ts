import { allocatorLoop } from '../allocator/index.js'
import type { NodeCredentials } from '../ca/index.js'
import { createControl } from '../control/index.js'
import type { ControlContext } from '../control/context.js'
import type { Control } from '../control/interface.js'
import { localNetworksIn } from '../control/services/resolve-networks.js'
import { Dispatcher } from '../dispatcher/index.js'
import type { Env } from '../env/env.js'
import type { EventLog } from '../events/event-log.js'
import { SwarmError, errorText } from '../model/errors.js'
import type { LogOptions, LogSelector, TaskLogMessage } from '../model/logs.js'
import type { Cluster, Node } from '../model/objects.js'
import { orchestratorLoops } from '../orchestrator/index.js'
import { NoLeaderError, type RaftDriver } from '../raft/index.js'
import { rebalancerLoop, schedulerLoop } from '../scheduler/index.js'
import { LoopRunner } from '../store/loop.js'
import type { Store, View } from '../store/store.js'
import type { Connection } from '../wire/index.js'
import { CaServer } from './ca-server.js'
import { bootstrap, type LeaderNode, type NewCluster } from './bootstrap.js'
import { forwardingControl, serviceSpecIn, type Forward } from './forwarding-control.js'
import { hasNotReachedLeader, LeaderAccess, noLeaderText } from './leader-access.js'
import { ManagerMembers, type MemberLog } from './manager-members.js'
import { resign } from './resign.js'
import { RoleManager } from './role-manager.js'
import { RootRotation, clusterTlsInfo, unconvergedNodes } from './root-rotation.js'

/** What a manager needs of its member of the raft cluster. */
export type RaftMember = MemberLog & Pick<RaftDriver, 'readIndex'>

/** What a manager that does not lead asks of the one that does. */
export interface LeaderRelay {
  /** A connection for sessions. @throws {SwarmError} Unavailable without a leader, or a way to it. */
  readonly dialSessions: () => Promise<Connection>
  /** As `Dispatcher.logs`. */
  readonly logs: (
    selector: LogSelector,
    options: LogOptions,
    signal: AbortSignal,
  ) => AsyncIterable<TaskLogMessage>
}

export { noLeaderText } from './leader-access.js'

/**
 * A manager: the replica of the cluster's objects, and, while this member leads, all that works on them.
 */
export class Manager {
  /** Writes from this node's API: here or, where another manager leads, there. */
  readonly control: Control
  /** Writes on this manager's own store. */
  readonly leaderControl: Control
  /** The same for a node whose engine has other networks of its own. */
  readonly controlFor: (findLocalNetwork: ControlContext['findLocalNetwork']) => Control
  readonly dispatcher: Dispatcher
  readonly caServer: CaServer
  readonly members: ManagerMembers
  readonly events: EventLog
  readonly #env: Env
  readonly #store: Store
  readonly #raft: RaftMember
  readonly #node: LeaderNode
  readonly #newCluster: NewCluster | undefined
  /** Leadership comes and goes faster than parts start and stop: one change after the other. */
  #transitions: Promise<void> = Promise.resolve()
  #loops: LoopRunner | undefined
  #roleManager: RoleManager | undefined
  #rootRotation: RootRotation | undefined
  #ready = false
  readonly #leader: LeaderAccess
  readonly #relay: LeaderRelay
  #hadLeader = false
  /** Node of the manager that led last, other than this one. */
  #formerLeaderId: string | undefined

  constructor(
    env: Env,
    store: Store,
    options: {
      readonly raft: RaftMember
      readonly node: LeaderNode
      readonly newCluster: NewCluster | undefined
      /** Hands a write to the leader. */
      readonly forward: Forward
      /** Name of the host engine's network that is called so. */
      readonly findLocalNetwork: (nameOrId: string) => Promise<string | undefined>
      /** The way to the leader, for what this manager relays. */
      readonly leader: LeaderRelay
      /** What happens in the store, kept on this node. */
      readonly events: EventLog
      /** This node's own, for external CAs. */
      readonly credentials: () => NodeCredentials
    },
  ) {
    this.#env = env
    this.#store = store
    this.#raft = options.raft
    this.#node = options.node
    this.#newCluster = options.newCluster
    this.events = options.events
    this.members = new ManagerMembers(options.raft, store)
    this.controlFor = (findLocalNetwork) =>
      createControl(env, store, {
        findLocalNetwork,
        members: this.members,
        credentials: options.credentials,
      })
    this.leaderControl = this.controlFor(options.findLocalNetwork)
    this.#leader = new LeaderAccess(env, () => options.raft.leadership.leaderId !== undefined)
    this.control = forwardingControl(
      this.leaderControl,
      () => this.members.leads,
      async (name, args) => {
        const { findLocalNetwork } = options
        const localNetworks = await localNetworksIn({ store, findLocalNetwork }, serviceSpecIn(name, args))
        return this.#leader.persist(() => options.forward({ name, args, localNetworks }), hasNotReachedLeader)
      },
    )
    this.caServer = new CaServer(env, store, options.credentials)
    this.#relay = options.leader
    this.dispatcher = new Dispatcher(env, store, {
      managerId: options.node.id,
      dialLeader: () => options.leader.dialSessions(),
      hasRelays: () => this.members.hasOtherManagers(options.node.id),
    })
  }

  get view(): View {
    return this.#store.view
  }

  /** Leads, and has started all that a leader does. */
  get isLeading(): boolean {
    return this.#ready && this.members.leads
  }

  /** Whether the node was removed from the swarm: its certificate counts no longer. */
  isRemoved(nodeId: string): boolean {
    return this.#store.view.clusters
      .list()
      .some(({ blacklistedCertificates }) => nodeId in blacklistedCertificates)
  }

  get rootRotationInProgress(): boolean {
    return this.#cluster().rootCa.rotation !== undefined
  }

  /** What `GET /swarm` shows of the root. */
  get tlsInfo() {
    return clusterTlsInfo(this.#cluster())
  }

  /** What a user ought to see to, for `/info`. */
  get warnings(): readonly string[] {
    const [cluster] = this.view.clusters.list()
    if (cluster?.rootCa.rotation === undefined) return []
    const down = unconvergedNodes(this.view).filter(({ status }) => status.state !== 'ready')
    if (down.length === 0) return []
    const names = down.map(({ id, description }) => description?.Hostname ?? id).join(', ')
    return [
      `WARNING: the rotation of the root CA waits for nodes that are down: ${names}. It goes on when they are back or removed.`,
    ]
  }

  /** Makes a manager that leaves the swarm a worker, out of raft. @throws {SwarmError} as a demotion. */
  resign(nodeId: string): Promise<void> {
    return resign(this.#env, this.#store, this.leaderControl, nodeId)
  }

  managerStatus(node: Node) {
    return this.members.statusOf(node.id)
  }

  /** Logs are read where the nodes' sessions are: on the leader. */
  logs(selector: LogSelector, options: LogOptions, signal: AbortSignal): AsyncIterable<TaskLogMessage> {
    return this.members.leads
      ? this.dispatcher.logs(selector, options, signal)
      : this.#relay.logs(selector, options, signal)
  }

  /**
   * Resolves when reads of `view` show all that was committed before the call.
   * @throws {SwarmError} Unknown when there is no leader.
   */
  readBarrier(): Promise<void> {
    return this.#leader.persist(
      () => this.#raft.readIndex(),
      (error) => error instanceof NoLeaderError,
    )
  }

  /**
   * Resolves when there is a leader and the cluster is set up, so that requests can be answered.
   * @throws {SwarmError} Unknown when there is no leader.
   */
  async ready(): Promise<void> {
    await this.#leader.persist(
      () => (this.#isServing() ? Promise.resolve() : Promise.reject(new NotServingError())),
      (error) => error instanceof NotServingError,
    )
  }

  /** Told by raft whenever this member starts or stops to lead. */
  onLeadership(leads: boolean): void {
    this.#leader.onChange(this.#hadLeader)
    this.#hadLeader = this.#raft.leadership.leaderId !== undefined
    if (!leads) {
      this.#store.leadershipLost()
      this.#formerLeaderId = this.#leaderNodeId() ?? this.#formerLeaderId
      this.dispatcher.leaderChanged()
    }
    this.#transitions = this.#transitions.then(() => (leads ? this.#startLeading() : this.#stopLeading()))
  }

  async stop(): Promise<void> {
    this.#transitions = this.#transitions.then(() => this.#stopLeading())
    await this.#transitions
    await this.dispatcher.close()
  }

  #leaderNodeId(): string | undefined {
    const { leaderId } = this.#raft.leadership
    return this.members.list().find(({ id }) => id === leaderId)?.nodeId
  }

  /** A leader when it has started everything, a follower when it has the cluster's objects and a leader. */
  #isServing(): boolean {
    const { isLeader, leaderId } = this.#raft.leadership
    return isLeader ? this.#ready : leaderId !== undefined && this.#store.view.clusters.size > 0
  }

  #cluster(): Cluster {
    const [cluster] = this.#store.view.clusters.list()
    if (cluster === undefined) throw new SwarmError('Unknown', noLeaderText)
    return cluster
  }

  async #startLeading(): Promise<void> {
    if (this.#loops !== undefined || !this.members.leads) return
    try {
      const isMember = (nodeId: string) => this.members.has(nodeId)
      await bootstrap(this.#env, this.#store, this.#newCluster, this.#node, isMember)
    } catch (error) {
      // Leadership went while it was taken up; whoever leads now does the same.
      this.#env.log.warn({ err: errorText(error) }, 'could not take up leadership')
      return
    }
    this.#loops = new LoopRunner(this.#env, this.#store, [
      ...orchestratorLoops,
      allocatorLoop,
      schedulerLoop,
      rebalancerLoop,
    ])
    this.#loops.start()
    this.dispatcher.start(this.#formerLeaderId)
    this.#roleManager = new RoleManager(this.#env, this.#store, this.members, this.#node.id)
    this.#rootRotation = new RootRotation(this.#env, this.#store)
    this.#ready = true
    this.#env.log.info({ node: this.#node.id }, 'this manager leads the swarm')
  }

  async #stopLeading(): Promise<void> {
    if (this.#loops === undefined) return
    const loops = this.#loops
    const roleManager = this.#roleManager
    const rootRotation = this.#rootRotation
    this.#loops = undefined
    this.#roleManager = undefined
    this.#rootRotation = undefined
    this.#ready = false
    await Promise.all([loops.stop(), this.dispatcher.stop(), roleManager?.stop(), rootRotation?.stop()])
  }
}

/** The manager is starting, or there is no leader. */
class NotServingError extends Error {
  override readonly name = 'NotServingError'
}
