import { sleep, type Env } from '../../env/env.js'
import { SwarmError, errorText } from '../../model/errors.js'
import {
  CloseCode,
  decodeRelayFrame,
  encodeRelayFrame,
  type Connection,
  type LostNode,
  type RelayedPeer,
  type RelayFrame,
} from '../../wire/index.js'

/** What a manager needs to relay sessions. */
export interface SessionRelayHost {
  /** This manager leads, and serves sessions itself. */
  readonly leads: () => boolean
  /** A connection to the leader's `Dispatcher.acceptRelay`. @throws where there is no leader, or no way to it. */
  readonly dial: () => Promise<Connection>
  /** Where sessions go once this manager leads. */
  readonly serve: (connection: Connection, peer: RelayedPeer) => void
}

/** Tries to reach a leader are so far apart at most. */
const maxRetryMs = 250
const firstRetryMs = 20
/** A node whose session alone was turned away comes back to the leader within this. */
const reopenMs = 1000
/** Without a leader for so long, nodes had better look for another manager. */
const patienceMs = 5000
/** With more than this unsent to a node the leader is told. */
const slowBytes = 256 * 1024
const slowPollMs = 200
/** A new leader is told of connections that broke so long ago at most. */
const rememberLostMs = 20_000

interface RelayedAgent {
  readonly connection: Connection
  readonly peer: RelayedPeer
  /** The first message, said again to each leader. */
  greeting: string | undefined
  /** Undefined while the leader does not have this session. */
  channel: number | undefined
  cancelTimer: () => void
}

interface Link {
  readonly connection: Connection
  readonly closed: Promise<void>
  /** Whoever closes does not wait for the other side: it may be gone. */
  readonly close: (code: number, reason: string) => void
}

/**
 * A manager that does not lead, between agents and the leader. All its sessions share one connection. When
 * the leader changes, they are opened anew with the next one, and the agents' connections stay as they are.
 */
export class SessionRelay {
  readonly #env: Env
  readonly #host: SessionRelayHost
  readonly #agents = new Set<RelayedAgent>()
  readonly #byChannel = new Map<number, RelayedAgent>()
  /** When connections broke, monotonic, by node. */
  readonly #lost = new Map<string, number>()
  readonly #stopping = new AbortController()
  #link: Link | undefined
  #lastChannel = 0
  #running: Promise<void> | undefined
  /** Since when no leader is at hand. */
  #leaderlessMs: number

  constructor(env: Env, host: SessionRelayHost) {
    this.#env = env
    this.#host = host
    this.#leaderlessMs = env.monotonicMs()
  }

  /** How many sessions are relayed. */
  get size(): number {
    return this.#agents.size
  }

  /** Takes the connection of a node, until this manager leads or the connection ends. */
  accept(connection: Connection, peer: RelayedPeer): void {
    if (this.#stopping.signal.aborted || this.#isLeaderless()) {
      connection.close(CloseCode.NotLeader, 'the swarm has no leader')
      return
    }
    const agent: RelayedAgent = {
      connection,
      peer,
      greeting: undefined,
      channel: undefined,
      cancelTimer: () => undefined,
    }
    this.#agents.add(agent)
    this.#lost.delete(peer.nodeId)
    connection.onMessage((data) => this.#fromAgent(agent, data))
    connection.onClose((code, reason) => this.#agentClosed(agent, code, reason))
    this.#start()
  }

  /** There may be another leader than the one that the sessions are with. */
  leaderChanged(): void {
    this.#link?.close(CloseCode.GoingAway, 'another manager leads')
    this.#start()
  }

  /** Nodes whose connections broke a short while ago: the one who begins to lead must know. */
  recentlyLost(): readonly LostNode[] {
    const nowMs = this.#env.monotonicMs()
    for (const [nodeId, atMs] of this.#lost) if (nowMs - atMs > rememberLostMs) this.#lost.delete(nodeId)
    return [...this.#lost].map(([nodeId, atMs]) => ({ nodeId, agoMs: nowMs - atMs }))
  }

  /** Ends all sessions. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    for (const agent of this.#agents) this.#dismiss(agent, CloseCode.GoingAway, 'this manager stops')
    this.#link?.close(CloseCode.GoingAway, 'this manager stops')
    await this.#running
  }

  #isLeaderless(): boolean {
    if (this.#running === undefined || this.#link !== undefined) return false
    return this.#env.monotonicMs() - this.#leaderlessMs > patienceMs
  }

  #start(): void {
    if (this.#running !== undefined || this.#stopping.signal.aborted || !this.#isNeeded()) return
    // Nobody looked for a leader while there was nobody to relay for.
    this.#leaderlessMs = this.#env.monotonicMs()
    this.#running = this.#run().finally(() => {
      this.#running = undefined
    })
  }

  /** There is anybody to relay for, or news of who is not there any more. */
  #isNeeded(): boolean {
    return this.#agents.size > 0 || this.recentlyLost().length > 0
  }

  /** Keeps a link to whoever leads. */
  async #run(): Promise<void> {
    const { signal } = this.#stopping
    let delayMs = firstRetryMs
    while (!signal.aborted && this.#isNeeded()) {
      if (this.#host.leads()) {
        this.#handOver()
        return
      }
      try {
        const connection = await this.#host.dial()
        // It may have become the leader while it looked for one.
        if (this.#host.leads()) connection.close(CloseCode.GoingAway, 'this manager leads')
        else {
          const link = this.#open(connection)
          delayMs = firstRetryMs
          await link.closed
        }
        this.#leaderlessMs = this.#env.monotonicMs()
      } catch (error) {
        this.#env.log.debug({ err: errorText(error) }, 'no leader to relay sessions to')
        if (this.#isLeaderless()) {
          for (const agent of this.#agents)
            this.#dismiss(agent, CloseCode.NotLeader, 'the swarm has no leader')
        }
      }
      await sleep(this.#env, delayMs / 2 + this.#env.randomInt(delayMs / 2), signal).catch(() => undefined)
      delayMs = Math.min(2 * delayMs, maxRetryMs)
    }
  }

  #open(connection: Connection): Link {
    let onClosed: () => void = () => undefined
    const closed = new Promise<void>((resolve) => (onClosed = resolve))
    const ended = () => {
      if (this.#link !== link) return
      this.#link = undefined
      for (const agent of this.#byChannel.values()) agent.channel = undefined
      this.#byChannel.clear()
      onClosed()
    }
    const link: Link = {
      connection,
      closed,
      close: (code, reason) => {
        connection.close(code, reason)
        ended()
      },
    }
    this.#link = link
    connection.onMessage((data) => this.#fromLeader(link, data))
    const nodes = this.recentlyLost()
    if (nodes.length > 0) this.#send({ kind: 'lost', channel: 0, nodes })
    for (const agent of this.#agents) this.#attach(agent)
    connection.onClose((code, reason) => {
      this.#env.log.info({ code, reason }, 'the connection that relays sessions to the leader ended')
      ended()
    })
    if (this.#stopping.signal.aborted) link.close(CloseCode.GoingAway, 'this manager stops')
    return link
  }

  #send(frame: RelayFrame): void {
    this.#link?.connection.send(encodeRelayFrame(frame))
  }

  /** Opens a session with the leader for an agent that has said who it is. */
  #attach(agent: RelayedAgent): void {
    if (this.#link === undefined || agent.channel !== undefined || agent.greeting === undefined) return
    const channel = ++this.#lastChannel
    agent.channel = channel
    this.#byChannel.set(channel, agent)
    this.#send({ kind: 'open', channel, peer: agent.peer })
    this.#send({ kind: 'message', channel, data: agent.greeting })
  }

  #fromAgent(agent: RelayedAgent, data: string | Buffer): void {
    if (agent.greeting === undefined && typeof data === 'string') {
      agent.greeting = data
      this.#attach(agent)
    } else if (agent.channel !== undefined) {
      this.#send({ kind: 'message', channel: agent.channel, data })
    }
    // What is said while there is no leader is said again, or moot, when the next one opens the session.
  }

  #fromLeader(link: Link, data: string | Buffer): void {
    try {
      const frame = typeof data === 'string' ? undefined : decodeRelayFrame(data)
      const agent = frame === undefined ? undefined : this.#byChannel.get(frame.channel)
      if (agent === undefined) return
      if (frame?.kind === 'message') this.#toAgent(agent, frame.data)
      else if (frame?.kind === 'close') this.#leaderClosed(agent, frame.code, frame.reason)
    } catch (error) {
      if (!(error instanceof SwarmError)) throw error
      this.#env.log.warn({ err: errorText(error) }, 'bad message from the leader')
      link.close(CloseCode.BadMessage, error.message)
    }
  }

  #toAgent(agent: RelayedAgent, data: string | Buffer): void {
    agent.connection.send(data)
    if (agent.connection.bufferedAmount > slowBytes) this.#watchDrain(agent)
  }

  /** The leader leaves a slow worker alone until it has taken what was sent. */
  #watchDrain(agent: RelayedAgent): void {
    const { channel } = agent
    if (channel === undefined) return
    const bytes = agent.connection.bufferedAmount
    this.#send({ kind: 'buffered', channel, bytes })
    agent.cancelTimer()
    if (bytes === 0) return
    agent.cancelTimer = this.#env.after(slowPollMs, () => this.#watchDrain(agent))
  }

  /** The leader ended one session: with a reason that is for the agent, or because it leads no longer. */
  #leaderClosed(agent: RelayedAgent, code: number, reason: string): void {
    this.#detach(agent)
    if (code !== CloseCode.NotLeader) {
      this.#dismiss(agent, code, reason)
      return
    }
    agent.cancelTimer = this.#env.after(this.#env.randomInt(reopenMs), () => this.#attach(agent))
  }

  #agentClosed(agent: RelayedAgent, code: number, reason: string): void {
    if (!this.#agents.delete(agent)) return
    // Who closes it lives: it looks for a manager that knows a leader, or ends in order.
    if (code === CloseCode.Broken) this.#lost.set(agent.peer.nodeId, this.#env.monotonicMs())
    if (agent.channel !== undefined) this.#send({ kind: 'close', channel: agent.channel, code, reason })
    this.#detach(agent)
  }

  #detach(agent: RelayedAgent): void {
    agent.cancelTimer()
    if (agent.channel !== undefined) this.#byChannel.delete(agent.channel)
    agent.channel = undefined
  }

  #dismiss(agent: RelayedAgent, code: number, reason: string): void {
    this.#agents.delete(agent)
    this.#detach(agent)
    agent.connection.close(code, reason)
  }

  /** This manager leads now: the agents keep their connections. */
  #handOver(): void {
    for (const agent of this.#agents) {
      this.#agents.delete(agent)
      this.#detach(agent)
      this.#host.serve(greetingAgain(agent.connection, agent.greeting), agent.peer)
    }
  }
}

/** A connection whose first message was taken already: its next receiver gets it, too. */
function greetingAgain(connection: Connection, greeting: string | undefined): Connection {
  return {
    send: (data) => connection.send(data),
    get bufferedAmount() {
      return connection.bufferedAmount
    },
    close: (code, reason) => connection.close(code, reason),
    onMessage: (listener) => {
      connection.onMessage(listener)
      if (greeting !== undefined) listener(greeting)
    },
    onClose: (listener) => connection.onClose(listener),
  }
}
