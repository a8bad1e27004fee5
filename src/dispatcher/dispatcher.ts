import type { Env } from '../env/env.js'
import { errorText } from '../model/errors.js'
import type { LogOptions, LogSelector, TaskLogMessage } from '../model/logs.js'
import type { Commit, Store } from '../store/store.js'
import {
  CloseCode,
  protocolVersion,
  type AgentMessage,
  type Connection,
  type LogFrame,
  type LostNode,
} from '../wire/index.js'
import { DirectSessions } from './direct-sessions.js'
import { LogBroker } from './logs/log-broker.js'
import { NodeLiveness } from './node-liveness.js'
import { RateLimit } from './rate-limit.js'
import { RelayLink } from './relay/relay-link.js'
import { SessionRelay } from './relay/session-relay.js'
import { SessionFacts, concernsItsSession } from './session-facts.js'
import { Session, type SessionHost } from './session.js'
import { StoreWriter } from './store-writer.js'
import { reportedStatus } from './task-status.js'

/** Who is at the other end of a connection, proven by its certificate. */
export interface PeerIdentity {
  readonly nodeId: string
}

export interface DispatcherOptions {
  /** Node ID of this manager: statuses say which manager took them. */
  readonly managerId: string
  /** A connection to the leader's `acceptRelay`. Without it only a leader serves sessions. */
  readonly dialLeader?: () => Promise<Connection>
  /** Whether other managers are there to relay sessions. Default: never. */
  readonly hasRelays?: () => boolean
}

type StatusReport = Extract<AgentMessage, { readonly type: 'status' }>
type Hello = Extract<AgentMessage, { readonly type: 'hello' }>

const notLeaderText = 'this manager does not lead the swarm'

/** Sessions served in one turn, and time for them, before others get theirs. */
const pushesPerTurn = 100
const pushSliceMs = 4

/**
 * The managers' side of all nodes: who lives, what each is to run, what became of it, and their logs. That is
 * done by the leader, between `start` and `stop`; the others relay to it.
 *
 * Behaviour: moby/swarmkit manager/dispatcher/dispatcher.go. See DESIGN.md for what differs.
 */
export class Dispatcher {
  readonly #env: Env
  readonly #store: Store
  readonly #options: DispatcherOptions
  readonly #relay: SessionRelay | undefined
  #term: Term | undefined

  constructor(env: Env, store: Store, options: DispatcherOptions) {
    this.#env = env
    this.#store = store
    this.#options = options
    if (options.dialLeader === undefined) return
    this.#relay = new SessionRelay(env, {
      dial: options.dialLeader,
      leads: () => this.#term !== undefined,
      serve: (connection, peer) => this.accept(connection, peer, peer.addr),
    })
  }

  /**
   * This manager leads now.
   * @param formerLeaderId node of the manager that led before: why else would this one lead?
   */
  start(formerLeaderId?: string): void {
    if (this.#term !== undefined) return
    const lost = this.#relay?.recentlyLost() ?? []
    const former = formerLeaderId === undefined ? [] : [{ nodeId: formerLeaderId, agoMs: 0 }]
    this.#term = new Term(this.#env, this.#store, this.#options, [...former, ...lost])
    this.#relay?.leaderChanged()
  }

  /** It no longer leads: sessions end, nothing is written any more. */
  stop(): Promise<void> {
    this.#term?.stop()
    this.#term = undefined
    return Promise.resolve()
  }

  /** Another manager leads, or none: relayed sessions look for the leader. */
  leaderChanged(): void {
    this.#relay?.leaderChanged()
  }

  /** This manager ends. */
  async close(): Promise<void> {
    await this.stop()
    await this.#relay?.stop()
  }

  /** Serves a connection of the node `identity.nodeId`, whose address is `remoteAddress`. */
  accept(connection: Connection, identity: PeerIdentity, remoteAddress: string): void {
    if (this.#term !== undefined) this.#term.accept(connection, identity, remoteAddress)
    else if (this.#relay !== undefined)
      this.#relay.accept(connection, { nodeId: identity.nodeId, addr: remoteAddress })
    else connection.close(CloseCode.NotLeader, notLeaderText)
  }

  /** Serves the sessions that another manager relays. */
  acceptRelay(connection: Connection): void {
    if (this.#term === undefined) connection.close(CloseCode.NotLeader, notLeaderText)
    else this.#term.acceptRelay(connection)
  }

  /**
   * The logs of all matching tasks, wherever they are; in the order of their time where the end is known.
   * Ends by itself unless following; with `signal` in any case.
   * @throws {SwarmError} InvalidArgument for an empty selector; Unavailable when this manager does not
   *   lead; at the end Unknown with `warning: incomplete log stream. …` when something is missing.
   */
  logs(selector: LogSelector, options: LogOptions, signal: AbortSignal): AsyncIterable<TaskLogMessage> {
    return LogBroker.read(this.#term?.logs, selector, options, signal)
  }
}

/** One time of leadership. */
class Term implements SessionHost {
  readonly logs: LogBroker
  readonly #env: Env
  readonly #store: Store
  readonly #options: DispatcherOptions
  readonly #writer: StoreWriter
  readonly #liveness: NodeLiveness
  readonly #facts: SessionFacts
  readonly #rateLimit: RateLimit
  readonly #unwatch: () => void
  /** All connections, also those that have not said hello yet. */
  readonly #connections = new Set<Session>()
  readonly #direct: DirectSessions
  /** From managers that relay. */
  readonly #links = new Set<RelayLink>()
  /** The one valid session of each node. */
  readonly #sessions = new Map<string, Session>()
  /** Sessions with something to send; of those some are to hear of themselves and the managers first. */
  readonly #toPush = new Set<Session>()
  readonly #toTell = new Set<Session>()
  #pushScheduled = false

  /** @param lost nodes whose connections broke before this manager led. */
  constructor(env: Env, store: Store, options: DispatcherOptions, lost: readonly LostNode[]) {
    this.#env = env
    this.#store = store
    this.#options = options
    this.#writer = new StoreWriter(env, store)
    this.#rateLimit = new RateLimit(env)
    this.#facts = new SessionFacts(store.view, options.managerId)
    this.#liveness = new NodeLiveness(env, store.view, this.#writer, (nodeId) => {
      this.#sessions.get(nodeId)?.close(CloseCode.Silent, 'heartbeat failure')
    })
    this.logs = new LogBroker(env, store.view, (nodeId) => this.#openSession(nodeId))
    this.#liveness.start(this.#facts.heartbeatPeriodMs)
    this.#liveness.lostBefore(lost)
    this.#direct = new DirectSessions(env, () => options.hasRelays?.() === true)
    this.#unwatch = store.watch((commit) => this.#onCommit(commit))
  }

  stop(): void {
    this.#unwatch()
    this.#liveness.stop()
    this.#direct.stop()
    this.#writer.stop()
    this.logs.stop()
    this.#sessions.clear()
    for (const session of this.#connections) session.close(CloseCode.NotLeader, 'node must disconnect')
    for (const link of this.#links) link.close(CloseCode.NotLeader, 'this manager does not lead any more')
  }

  accept(connection: Connection, { nodeId }: PeerIdentity, addr: string): void {
    const session = this.#serve(connection, nodeId, addr)
    if (session !== undefined && nodeId !== this.#options.managerId) this.#direct.add(session)
  }

  acceptRelay(connection: Connection): void {
    const link = new RelayLink(this.#env, connection, {
      accept: (relayed, { nodeId, addr }) => void this.#serve(relayed, nodeId, addr),
      onLost: (nodes) => this.#liveness.lostBefore(nodes),
      onClosed: (closed) => this.#links.delete(closed),
    })
    this.#links.add(link)
  }

  onMessage(session: Session, message: AgentMessage): void {
    if (message.type === 'hello') {
      this.#hello(session, message)
      return
    }
    if (this.#sessions.get(session.nodeId) !== session) {
      session.close(CloseCode.BadMessage, 'the first message must be a hello')
      return
    }
    this.#liveness.heard(session.nodeId)
    switch (message.type) {
      case 'heartbeat': {
        const periodMs = this.#drawPeriodMs()
        this.#liveness.heard(session.nodeId, periodMs)
        session.send({ type: 'heartbeat', periodMs })
        break
      }
      case 'description':
        this.#logged(session, 'description', this.#liveness.describe(session.nodeId, message.description))
        break
      case 'resync':
        session.resync()
        break
      case 'status':
        this.#logged(session, 'status report', this.#takeReport(session, message))
        break
      case 'leave':
        session.isLeaving = true
        this.#liveness.left(session.nodeId)
        break
      case 'log-end':
        this.logs.onEnd(session.nodeId, message.subscriptionId, message.errors)
        break
      default:
        message satisfies never
    }
  }

  onLogFrame(session: Session, frame: LogFrame): void {
    if (this.#sessions.get(session.nodeId) !== session) return
    this.#liveness.heard(session.nodeId)
    this.logs.onFrame(session.nodeId, frame)
  }

  onClosed(session: Session): void {
    this.#connections.delete(session)
    this.#direct.delete(session)
    this.#toPush.delete(session)
    this.#toTell.delete(session)
    if (this.#sessions.get(session.nodeId) !== session) return
    this.#sessions.delete(session.nodeId)
    this.logs.onNodeLost(session.nodeId)
    if (!session.isLeaving) this.#liveness.lost(session.nodeId)
  }

  #serve(connection: Connection, nodeId: string, addr: string): Session | undefined {
    const session = new Session(this.#env, this.#store.view, this, { connection, nodeId, addr })
    if (session.isClosed) return undefined
    this.#connections.add(session)
    return session
  }

  #hello(session: Session, hello: Hello): void {
    const { nodeId } = session
    session.greeted()
    if (hello.protocol !== protocolVersion) {
      const text = `this manager speaks version ${protocolVersion} of the protocol, not ${hello.protocol}`
      session.close(CloseCode.Version, text)
    } else if (this.#isBlacklisted(nodeId)) {
      session.close(CloseCode.NodeRemoved, `node ${nodeId} was removed from swarm`)
    } else if (this.#store.view.nodes.get(nodeId) === undefined) {
      session.close(CloseCode.NotFound, `node ${nodeId} not found`)
    } else if (!this.#rateLimit.take(nodeId)) {
      session.close(CloseCode.RateLimit, `node ${nodeId} exceeded rate limit count of registrations`)
    } else {
      this.#logged(session, 'registration', this.#register(session, hello))
    }
  }

  async #register(session: Session, { description }: Hello): Promise<void> {
    const { nodeId } = session
    const previous = this.#sessions.get(nodeId)
    this.#sessions.set(nodeId, session)
    if (previous !== undefined && previous !== session) {
      this.logs.onNodeLost(nodeId)
      previous.close(CloseCode.Replaced, 'the node opened another session')
    }
    await this.#liveness.opened(nodeId, session.addr, description, this.#facts.heartbeatPeriodMs)
    if (session.isClosed || this.#sessions.get(nodeId) !== session) return
    this.#toTell.add(session)
    this.#push(session)
  }

  /** Answers only once all is committed: what is acknowledged is never lost. */
  async #takeReport(session: Session, { report, updates }: StatusReport): Promise<void> {
    const { nodeId } = session
    const refused: { taskId: string; reason: string }[] = []
    const own = updates.filter(({ taskId }) => {
      const task = this.#store.view.tasks.get(taskId)
      if (task === undefined || task.nodeId === nodeId) return task !== undefined
      refused.push({ taskId, reason: 'cannot update a task not assigned this node' })
      return false
    })
    if (own.length > 0) {
      await this.#writer.write((tx) => {
        const applied = { atMs: tx.nowMs, by: this.#options.managerId }
        for (const { taskId, status: reported } of own) {
          const task = tx.tasks.get(taskId)
          const status = task === undefined ? undefined : reportedStatus(task, reported, applied)
          if (status !== undefined) tx.update('tasks', taskId, { status })
        }
      }, own.length)
    }
    session.send({ type: 'status-ack', report, refused })
  }

  #onCommit(commit: Commit): void {
    if (this.#facts.onCommit(commit)) for (const session of this.#sessions.values()) this.#tellOpen(session)
    for (const change of commit.changes) {
      if (change.table === 'tasks') {
        const session = this.#sessions.get(change.after?.nodeId ?? change.before?.nodeId ?? '')
        if (session?.touch(change.id) === true) this.#push(session)
      } else if (change.table === 'nodes') {
        if (change.after === undefined) this.#removeNode(change.id)
        else if (concernsItsSession(change.before, change.after))
          this.#tellOpen(this.#sessions.get(change.id))
      }
    }
    this.logs.onCommit(commit)
  }

  #removeNode(nodeId: string): void {
    const session = this.#sessions.get(nodeId)
    this.#sessions.delete(nodeId)
    this.#liveness.removed(nodeId)
    this.#rateLimit.forget(nodeId)
    this.logs.onNodeLost(nodeId)
    session?.close(CloseCode.NodeRemoved, `node ${nodeId} was removed from swarm`)
  }

  #tellOpen(session: Session | undefined): void {
    if (session?.isOpen !== true) return
    this.#toTell.add(session)
    this.#push(session)
  }

  /** All that one turn brings for a node is one message. */
  #push(session: Session): void {
    this.#toPush.add(session)
    if (this.#pushScheduled) return
    this.#pushScheduled = true
    setImmediate(() => this.#pushSome())
  }

  #pushSome(): void {
    const startMs = this.#env.monotonicMs()
    let count = 0
    for (const session of this.#toPush) {
      if (count++ === pushesPerTurn || this.#env.monotonicMs() - startMs > pushSliceMs) {
        setImmediate(() => this.#pushSome())
        return
      }
      this.#toPush.delete(session)
      if (this.#toTell.delete(session)) this.#tell(session)
      session.pushAssignments()
    }
    this.#pushScheduled = false
  }

  /** The first message of a session opens it; whatever else is sent comes after it. */
  #tell(session: Session): void {
    const node = this.#store.view.nodes.get(session.nodeId)
    if (node === undefined) return
    session.send(this.#facts.message(session.id, node))
    if (session.isOpen) return
    session.isOpen = true
    this.logs.onNodeOpened(session.nodeId)
  }

  #openSession(nodeId: string): Session | undefined {
    const session = this.#sessions.get(nodeId)
    return session?.isOpen === true ? session : undefined
  }

  /** Spread by a tenth to either side, so that nodes that started together do not beat together. */
  #drawPeriodMs(): number {
    const periodMs = this.#facts.heartbeatPeriodMs
    const spreadMs = Math.ceil(periodMs / 10)
    return periodMs - spreadMs + this.#env.randomInt(2 * spreadMs + 1)
  }

  #isBlacklisted(nodeId: string): boolean {
    return this.#store.view.clusters
      .list()
      .some(({ blacklistedCertificates }) => nodeId in blacklistedCertificates)
  }

  /** A write failed: leadership is lost, or about to be. The node will say it again to the next leader. */
  #logged(session: Session, what: string, work: Promise<void>): void {
    work.catch((error: unknown) => {
      this.#env.log.warn({ node: session.nodeId, err: errorText(error) }, `could not commit a ${what}`)
      session.close(CloseCode.NotLeader, 'the manager could not commit')
    })
  }
}
