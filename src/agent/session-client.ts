import { sleep, type Env } from '../env/env.js'
import { SwarmError, errorText } from '../model/errors.js'
import type { NodeDescription } from '../model/spec/index.js'
import {
  CloseCode,
  decodeManagerMessage,
  encodeMessage,
  protocolVersion,
  type AgentMessage,
  type AssignmentsMessage,
  type Connection,
  type ManagerMessage,
  type SessionMessage,
} from '../wire/index.js'

/** Time for a connection, for the first message, and for the answer to each heartbeat. */
const answerTimeoutMs = 5000
/**
 * So much patience a node has with managers that it failed to reach again and again: when thousands come at once,
 * whoever gives up early has wasted what the manager did for it.
 */
const maxPatienceMs = 20_000
/** Whoever dials gives up by itself, and knows with whom. */
const dialGraceMs = 200
/** Behaviour: moby/swarmkit agent/session.go: the wait is uniform in [0, backoff). */
const initialBackoffMs = 100
const maxBackoffMs = 8000

export interface SessionListener {
  /** All that the manager says of this node and of the cluster; again whenever it changes. */
  onSession(session: SessionMessage): void
  /** The session is open: what is pending can be sent. */
  onOpen(): void
  onAssignments(message: AssignmentsMessage): void
  /** Anything else. */
  onMessage(
    message: Exclude<ManagerMessage, { readonly type: 'session' | 'heartbeat' | 'assignments' }>,
  ): void
  onLost(): void
  /** The managers removed this node from the swarm: no session will open again. */
  onRemoved(reason: string): void
}

interface Live {
  readonly connection: Connection
  isOpen: boolean
  /** As the leader calls the session; a manager that relays may find another leader. */
  sessionId: string
  /** The assignment set that this node has; undefined = a complete one is awaited. */
  position: number | undefined
  cancelTimer: () => void
  /** Ends the session from this side. */
  readonly give: (code: number, reason: string) => void
}

interface End {
  readonly wasOpen: boolean
  readonly code: number
  readonly reason: string
}

/**
 * Keeps one session with some manager, for ever: connects, greets, beats, and begins anew with growing,
 * jittered waits whenever anything goes wrong.
 */
export class SessionClient {
  readonly #env: Env
  readonly #dial: (timeoutMs: number) => Promise<Connection>
  readonly #listener: SessionListener
  readonly #stopping = new AbortController()
  #description: NodeDescription
  #live: Live | undefined
  /** Ends what is under way: a connection that is being made, or the session on it. */
  #cancelConnect: (() => void) | undefined
  #running: Promise<void> | undefined
  /** In how long all nodes come back when their manager is gone. */
  #reconnectSpreadMs = 0
  #patienceMs = answerTimeoutMs
  #whenOpen: () => void = () => undefined
  #isRemoved = false

  constructor(
    env: Env,
    dial: (timeoutMs: number) => Promise<Connection>,
    description: NodeDescription,
    listener: SessionListener,
  ) {
    this.#env = env
    this.#dial = dial
    this.#description = description
    this.#listener = listener
  }

  get isOpen(): boolean {
    return this.#live?.isOpen === true
  }

  /** Resolves when a session is open, none will open any more, or `signal` aborts. */
  opened(signal: AbortSignal): Promise<void> {
    if (this.isOpen || this.#isRemoved) return Promise.resolve()
    return new Promise((resolve) => {
      this.#whenOpen = resolve
      signal.addEventListener('abort', () => resolve(), { once: true })
    })
  }

  /** Bytes that wait to be sent. */
  get bufferedAmount(): number {
    return this.#live?.connection.bufferedAmount ?? 0
  }

  start(): void {
    this.#running ??= this.#run()
  }

  /** Ends the session in order. */
  async stop(): Promise<void> {
    this.#stopping.abort(new Error('the agent stops'))
    this.#cancelConnect?.()
    await this.#running
  }

  /** Sends to the manager if a session is open; else what was to be said is moot or said again later. */
  send(message: AgentMessage): void {
    if (this.#live?.isOpen === true) this.#live.connection.send(encodeMessage(message))
  }

  sendFrame(frame: Uint8Array): void {
    if (this.#live?.isOpen === true) this.#live.connection.send(frame)
  }

  /** Asks for everything that is assigned to this node. */
  resync(): void {
    if (this.#live?.isOpen !== true) return
    this.#live.position = undefined
    this.send({ type: 'resync' })
  }

  /** What the node offers has changed. */
  describe(description: NodeDescription): void {
    this.#description = description
    this.send({ type: 'description', description })
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping
    let backoffMs = 0
    while (!signal.aborted) {
      try {
        const { wasOpen, code, reason } = await this.#session()
        if (signal.aborted) return
        if (code === CloseCode.NodeRemoved) {
          this.#isRemoved = true
          this.#listener.onRemoved(reason)
        }
        this.#patienceMs = wasOpen ? answerTimeoutMs : Math.min(2 * this.#patienceMs, maxPatienceMs)
        if (wasOpen) backoffMs = Math.max(0, (this.#reconnectSpreadMs - initialBackoffMs) / 2)
        this.#env.log.info({ code, reason }, 'the session with the manager ended')
      } catch (error) {
        if (signal.aborted) return
        this.#patienceMs = Math.min(2 * this.#patienceMs, maxPatienceMs)
        this.#env.log.info({ err: errorText(error) }, 'no session with a manager')
      }
      backoffMs = Math.min(initialBackoffMs + 2 * backoffMs, maxBackoffMs)
      await sleep(this.#env, this.#env.randomInt(Math.ceil(backoffMs)), signal).catch(() => undefined)
    }
  }

  /** One session from its connection to its end. @throws when none came about. */
  async #session(): Promise<End> {
    const connection = await this.#connect()
    return new Promise((resolve) => {
      const live: Live = {
        connection,
        isOpen: false,
        sessionId: '',
        position: undefined,
        cancelTimer: () => undefined,
        give: (code, reason) => {
          connection.close(code, reason)
          // Who closes does not wait for the other side: it may be gone.
          end(code, reason)
        },
      }
      const end = (code: number, reason: string) => {
        if (this.#live !== live) return
        const wasOpen = live.isOpen
        live.isOpen = false
        live.cancelTimer()
        this.#live = undefined
        if (wasOpen) this.#listener.onLost()
        resolve({ wasOpen, code, reason })
      }
      this.#live = live
      this.#cancelConnect = () => live.give(CloseCode.GoingAway, 'the agent stops')
      if (this.#stopping.signal.aborted) {
        this.#cancelConnect()
        return
      }
      connection.onClose(end)
      this.#await(live, 'the manager does not answer the greeting', this.#patienceMs)
      connection.onMessage((data) => this.#take(live, data))
      const hello: AgentMessage = { type: 'hello', protocol: protocolVersion, description: this.#description }
      connection.send(encodeMessage(hello))
    })
  }

  #take(live: Live, data: string | Buffer): void {
    if (this.#live !== live) return
    try {
      const message = typeof data === 'string' ? decodeManagerMessage(data) : undefined
      if (message !== undefined) this.#receive(live, message)
    } catch (error) {
      if (!(error instanceof SwarmError)) throw error
      live.give(CloseCode.BadMessage, error.message)
    }
  }

  #receive(live: Live, message: ManagerMessage): void {
    switch (message.type) {
      case 'session':
        this.#opened(live, message)
        break
      case 'heartbeat':
        live.cancelTimer()
        live.cancelTimer = this.#env.after(message.periodMs, () => this.#beat(live))
        break
      case 'assignments':
        this.#assign(live, message)
        break
      default:
        this.#listener.onMessage(message)
    }
  }

  #opened(live: Live, message: SessionMessage): void {
    const isNew = live.sessionId !== message.sessionId
    const isOtherLeader = isNew && live.isOpen
    live.isOpen = true
    live.sessionId = message.sessionId
    this.#reconnectSpreadMs = message.reconnectSpreadMs ?? 0
    this.#listener.onSession(message)
    if (!isNew) return
    if (isOtherLeader) {
      // It knows nothing of what was said before.
      this.#listener.onLost()
      this.describe(this.#description)
    }
    this.#beat(live)
    this.#listener.onOpen()
    this.#whenOpen()
  }

  #assign(live: Live, message: AssignmentsMessage): void {
    if (message.kind === 'incremental' && message.appliesTo !== live.position) {
      // Asked once: what comes before the complete set is of no use.
      if (live.position !== undefined) this.resync()
      return
    }
    live.position = message.resultsIn
    this.#listener.onAssignments(message)
  }

  #beat(live: Live): void {
    live.connection.send(encodeMessage({ type: 'heartbeat' }))
    this.#await(live, 'the manager is silent')
  }

  #await(live: Live, text: string, timeoutMs = answerTimeoutMs): void {
    live.cancelTimer()
    live.cancelTimer = this.#env.after(timeoutMs, () => live.give(CloseCode.Silent, text))
  }

  /** A connection that comes too late is closed again. */
  #connect(): Promise<Connection> {
    return new Promise((resolve, reject) => {
      let isLate = false
      const giveUp = (text: string) => {
        isLate = true
        cancelTimer()
        reject(new Error(text))
      }
      const timeoutMs = this.#patienceMs
      const cancelTimer = this.#env.after(timeoutMs + dialGraceMs, () => giveUp('no manager answers'))
      this.#cancelConnect = () => giveUp('the agent stops')
      this.#dial(timeoutMs).then(
        (connection) => {
          cancelTimer()
          if (isLate) connection.close(CloseCode.GoingAway, 'too late')
          else resolve(connection)
        },
        (error: unknown) => {
          cancelTimer()
          reject(error)
        },
      )
    })
  }
}
