import type { WebSocket } from 'ws'
import { Agent } from '../../agent/index.js'
import {
  issuerOf,
  parseCertificate,
  parseCertificates,
  renewalDelayMs,
  tlsInfo,
  verifyChain,
} from '../../ca/index.js'
import { SimWorld } from '../../engine/sim/world.js'
import type { Env } from '../../env/env.js'
import { SimExecutor } from '../../executor/sim/executor.js'
import { errorText } from '../../model/errors.js'
import { formatHostPort, type HostPort } from '../../node/addresses.js'
import { Remotes } from '../../node/remotes.js'
import { dialSession } from '../../node/session-dial.js'
import { webSocketConnection, type Connection, type SessionMessage } from '../../wire/index.js'
import type { Presence } from './chaos.js'
import { renew, type Member } from './cluster-access.js'
import type { DialGate } from './dial-gate.js'
import { MemoryTasks } from './memory-tasks.js'

/** What every node of a crowd offers. */
export interface SimNodeShape {
  readonly cpus: number
  readonly memoryBytes: number
  /** Engine labels, `key=value`. */
  readonly labels: readonly string[]
}

const renewalRetryMs = 60_000
/** A timer holds 24 days at most. */
const maxTimerMs = 24 * 60 * 60 * 1000

/** A worker of a swarm whose machine is simulated: the agent, the certificate and the session are real. */
export class SimNode {
  readonly name: string
  readonly #env: Env
  readonly #shape: SimNodeShape
  readonly #remotes: Remotes
  readonly #gate: DialGate
  readonly #tasks = new MemoryTasks()
  readonly #onRegistered: () => void
  /** Resolves once a manager has this node's session. */
  readonly registered: Promise<void>
  #member: Member
  #world: SimWorld
  #agent: Agent
  #socket: WebSocket | undefined
  #presence: Presence = 'up'
  #isRemoved = false
  #isEnded = false
  #isRenewing = false
  #cancelRenewal: () => void = () => undefined

  /** @param gate that all nodes of this process share. */
  constructor(
    env: Env,
    name: string,
    shape: SimNodeShape,
    manager: HostPort,
    member: Member,
    gate: DialGate,
  ) {
    this.#gate = gate
    this.name = name
    this.#env = { ...env, log: env.log.child({ node: name }) }
    this.#shape = shape
    this.#member = member
    this.#remotes = new Remotes(env, [{ nodeId: '', addr: formatHostPort(manager) }])
    let onRegistered: () => void = () => undefined
    this.registered = new Promise((resolve) => (onRegistered = resolve))
    this.#onRegistered = onRegistered
    this.#world = this.#newWorld()
    this.#agent = this.#newAgent()
  }

  get presence(): Presence {
    return this.#presence
  }

  async start(): Promise<void> {
    await this.#agent.start()
    this.#renewLater()
  }

  /** The machine is gone without a word, and its containers with it. */
  async crash(): Promise<void> {
    if (this.#presence === 'crashed') return
    this.#goOffline('crashed')
    // Its session is cut, so that this tells nobody.
    await this.#agent.stop()
    this.#emptyWorld()
  }

  /** The network is gone; containers go on. */
  disconnect(): void {
    if (this.#presence === 'up') this.#goOffline('disconnected')
  }

  /** The network is back, or the machine, which has its certificate and its list of tasks on disk. */
  async return(): Promise<void> {
    const before = this.#presence
    this.#presence = 'up'
    if (before !== 'crashed' || this.#isRemoved) return
    this.#world = this.#newWorld()
    this.#agent = this.#newAgent()
    await this.#agent.start()
  }

  /** Leaves the swarm in order. */
  async leave(): Promise<void> {
    this.#isEnded = true
    this.#cancelRenewal()
    await this.#agent.leave()
    this.#socket?.terminate()
    this.#emptyWorld()
  }

  #goOffline(presence: Presence): void {
    this.#presence = presence
    this.#socket?.terminate()
    this.#socket = undefined
  }

  /** Timers of containers must not go on. */
  #emptyWorld(): void {
    for (const container of this.#world.containers())
      this.#world.remove(container, { force: true, volumes: true })
  }

  #newWorld(): SimWorld {
    return new SimWorld(this.#env, { hostname: this.name, ...this.#shape, eventLimit: 0 })
  }

  #newAgent(): Agent {
    return new Agent(this.#env, {
      nodeId: this.#member.nodeId,
      hostname: this.name,
      executor: new SimExecutor(this.#world),
      dbPath: '',
      storage: this.#tasks,
      dial: (timeoutMs) => this.#gate.pass(() => this.#dial(timeoutMs)),
      describe: (description) => {
        const { certificatePem, rootPem } = this.#member.credentials
        return { ...description, TLSInfo: tlsInfo(rootPem, issuerOf(certificatePem, rootPem)) }
      },
      onSession: (session) => this.#onSession(session),
      onRemoved: (reason) => this.#onRemoved(reason),
    })
  }

  #onSession({ managers, node, rootCaPem }: SessionMessage): void {
    this.#remotes.learn(managers)
    this.#onRegistered()
    if (rootCaPem !== '' && rootCaPem !== this.#member.credentials.rootPem) this.#trust(rootCaPem)
    if (node.certificateStatus === 'rotate') void this.#renew()
    if (node.role === 'manager') {
      this.#env.log.warn({}, 'a simulated node cannot become a manager')
    }
  }

  /** Another root is trusted only if it also vouches for the certificate that this node has. */
  #trust(rootPem: string): void {
    const { credentials } = this.#member
    const [leaf, ...intermediates] = parseCertificates(credentials.certificatePem)
    try {
      verifyChain(leaf, { roots: parseCertificates(rootPem), intermediates, nowMs: this.#env.nowMs() })
    } catch (error) {
      this.#env.log.warn({ err: errorText(error) }, 'the managers name a root that this node does not trust')
      return
    }
    this.#member = { ...this.#member, credentials: { ...credentials, rootPem } }
    this.#agent.redescribe()
  }

  #onRemoved(reason: string): void {
    this.#env.log.warn({ reason }, 'the managers removed this node')
    this.#isRemoved = true
    this.#agent.stop().then(
      () => this.#emptyWorld(),
      (error: unknown) => this.#env.log.error({ err: errorText(error) }, 'the agent did not end in order'),
    )
  }

  async #dial(timeoutMs: number): Promise<Connection> {
    const address = this.#presence === 'up' ? this.#remotes.pick() : undefined
    if (address === undefined) throw new Error('there is no way to a manager')
    const socket = await dialSession(this.#remotes, this.#member.credentials, address, { timeoutMs })
    // It may have crashed meanwhile.
    if (!this.#isUp) {
      socket.terminate()
      throw new Error('the network is gone')
    }
    this.#socket = socket
    return webSocketConnection(socket)
  }

  /** For what may have changed while it was waited for. */
  get #isUp(): boolean {
    return this.#presence === 'up'
  }

  #renewLater(
    delayMs = renewalDelayMs(this.#env, parseCertificate(this.#member.credentials.certificatePem)),
  ) {
    this.#cancelRenewal()
    if (this.#isEnded) return
    this.#cancelRenewal = this.#env.after(Math.min(delayMs, maxTimerMs), () => {
      if (delayMs > maxTimerMs) this.#renewLater(delayMs - maxTimerMs)
      else void this.#renew()
    })
  }

  async #renew(): Promise<void> {
    if (this.#isRenewing) return
    this.#isRenewing = true
    try {
      const manager = this.#presence === 'up' ? this.#remotes.pick() : undefined
      if (manager === undefined) throw new Error('there is no way to a manager')
      this.#member = await renew(this.#env, manager, this.#member)
      this.#agent.redescribe()
      this.#renewLater()
    } catch (error) {
      this.#env.log.warn({ err: errorText(error) }, 'the certificate could not be renewed; it is tried again')
      this.#renewLater(renewalRetryMs)
    } finally {
      this.#isRenewing = false
    }
  }
}
