import { isDeepStrictEqual } from 'node:util'
import type { Env } from '../env/env.js'
import type { Executor } from '../executor/interface.js'
import { errorText } from '../model/errors.js'
import type { NodeDescription } from '../model/spec/index.js'
import type { AssignmentsMessage, Connection, ManagerMessage, SessionMessage } from '../wire/index.js'
import { withDeadline } from './deadline.js'
import { LogPublisher } from './log-publisher.js'
import { Reporter } from './reporter.js'
import { SessionClient } from './session-client.js'
import { TaskDatabase, type TaskStorage } from './task-database.js'
import { Worker } from './worker.js'

export interface AgentOptions {
  readonly nodeId: string
  readonly hostname: string
  readonly executor: Executor
  /** Where the agent remembers its tasks: a SQLite file in a directory that exists. */
  readonly dbPath: string
  /** Something else than that file. */
  readonly storage?: TaskStorage
  /** A new connection to any manager, within so long. */
  readonly dial: (timeoutMs: number) => Promise<Connection>
  /** Completes what the executor says of this node: labels, generic resources, `TLSInfo`. */
  readonly describe?: (description: NodeDescription) => NodeDescription
  /** All that the managers say of this node, of themselves and of the root CA; again on each change. */
  readonly onSession?: (session: SessionMessage) => void
  /** The managers removed this node from the swarm. */
  readonly onRemoved?: (reason: string) => void
}

interface Parts {
  readonly db: TaskStorage
  readonly worker: Worker
  readonly session: SessionClient
}

/** How often the agent looks whether the node offers something else. Behaviour: moby/swarmkit agent/agent.go. */
const describeEveryMs = 20_000
const applyRetryMs = 1000
/** How long an orderly end waits for the managers to take the last statuses. */
const lastReportMs = 1000
/** How long a node that leaves looks for a manager to tell. */
const lastSessionMs = 3000
/** How long tasks have to stop when the node leaves; then their containers are removed by force. */
const leaveStopMs = 10_000
const leaveRemoveMs = 5000

/**
 * The worker half of a node: runs what the managers assign to it, and tells them what becomes of it.
 * Behaviour: moby/swarmkit agent/agent.go. See DESIGN.md for what differs.
 */
export class Agent {
  readonly #env: Env
  readonly #options: AgentOptions
  readonly #reporter: Reporter
  #parts: Parts | undefined
  #logs: LogPublisher | undefined
  #cancelDescribe: () => void = () => undefined
  #description: NodeDescription = {}
  #describing: Promise<void> = Promise.resolve()
  #starting: Promise<void> | undefined
  #stopped: Promise<void> | undefined

  constructor(env: Env, options: AgentOptions) {
    this.#env = env
    this.#options = options
    this.#reporter = new Reporter(env)
  }

  /**
   * Takes up the tasks of the last run, then looks for a manager. Does not wait for one.
   * @throws {DatabaseError} when the database cannot be opened; whatever `Executor.describe` throws.
   */
  start(): Promise<void> {
    this.#starting ??= this.#start()
    return this.#starting
  }

  /** Ends the agent in order. Containers go on, and are taken up again by the next `start`. */
  stop(): Promise<void> {
    this.#stopped ??= this.#end(
      () => Promise.resolve(),
      ({ worker }) => worker.close(),
    )
    return this.#stopped
  }

  /** The node leaves the swarm: its tasks stop, which the managers are told, and their containers go. */
  leave(): Promise<void> {
    this.#stopped ??= this.#end(
      async ({ worker, session }) => {
        // A leader that leaves has just handed over, and looks for the next one.
        await withDeadline(this.#env, lastSessionMs, (signal) => session.opened(signal))
        session.send({ type: 'leave' })
        await withDeadline(this.#env, leaveStopMs, (signal) => worker.shutdown(signal))
      },
      ({ worker }) => withDeadline(this.#env, leaveRemoveMs, (signal) => worker.removeAll(signal)),
    )
    return this.#stopped
  }

  async #start(): Promise<void> {
    const { nodeId, hostname, executor, dbPath, storage, dial } = this.#options
    this.#description = await this.#describe()
    const db = storage ?? (await TaskDatabase.open(this.#env, dbPath))
    const { Architecture = '', OS = '' } = this.#description.Platform ?? {}
    const worker = new Worker(this.#env, {
      node: { id: nodeId, hostname, platform: { Architecture, OS } },
      executor,
      db,
      listener: {
        onStatus: (taskId, status) => this.#reporter.update(taskId, status),
        onTaskStarted: (manager) => this.#logs?.taskStarted(manager),
        onTaskGone: (taskId) => this.#reporter.forget(taskId),
      },
    })
    const session = new SessionClient(this.#env, dial, this.#description, {
      onSession: (message) => this.#options.onSession?.(message),
      onOpen: () => this.#reporter.connected((message) => session.send(message)),
      onAssignments: (message) => this.#apply(worker, session, message),
      onMessage: (message) => this.#onMessage(message),
      onLost: () => {
        this.#reporter.disconnected()
        this.#logs?.reset()
      },
      onRemoved: (reason) => this.#options.onRemoved?.(reason),
    })
    this.#logs = new LogPublisher(this.#env, session, () => worker.managers.values())
    this.#parts = { db, worker, session }
    try {
      await worker.start()
    } catch (error) {
      this.#parts = undefined
      await db.close()
      throw error
    }
    session.start()
    this.#describeLater(session)
  }

  /** What `describe` adds has changed: the managers are told now. */
  redescribe(): void {
    const session = this.#parts?.session
    if (session !== undefined) void this.#describeTo(session)
  }

  async #end(before: (parts: Parts) => Promise<void>, after: (parts: Parts) => Promise<void>): Promise<void> {
    // Whoever started the agent hears why it could not start.
    await this.#starting?.catch(() => undefined)
    if (this.#parts === undefined) return
    const { session, db } = this.#parts
    this.#cancelDescribe()
    this.#logs?.reset()
    await before(this.#parts)
    if (session.isOpen) await withDeadline(this.#env, lastReportMs, (signal) => this.#reporter.idle(signal))
    await session.stop()
    await after(this.#parts)
    await db.close()
  }

  #onMessage(
    message: Exclude<ManagerMessage, { readonly type: 'session' | 'heartbeat' | 'assignments' }>,
  ): void {
    switch (message.type) {
      case 'status-ack':
        this.#reporter.acknowledged(message.report, message.refused)
        break
      case 'log-subscribe':
        this.#logs?.subscribe(message)
        break
      case 'log-unsubscribe':
        this.#logs?.unsubscribe(message.subscriptionId)
        break
      case 'log-credit':
        this.#logs?.credit(message.subscriptionId, message.bytes)
        break
      default:
        message satisfies never
    }
  }

  /** What could not be stored is asked for again, all of it: the chain of sets has a gap now. */
  #apply(worker: Worker, session: SessionClient, message: AssignmentsMessage): void {
    worker.apply(message).catch((error: unknown) => {
      this.#env.log.error(
        { err: errorText(error) },
        'assignments could not be taken; they are asked for again',
      )
      this.#env.after(applyRetryMs, () => session.resync())
    })
  }

  async #describe(): Promise<NodeDescription> {
    const { executor, hostname, describe } = this.#options
    const description = { ...(await executor.describe()), Hostname: hostname }
    return describe?.(description) ?? description
  }

  #describeLater(session: SessionClient): void {
    this.#cancelDescribe = this.#env.after(describeEveryMs, () => {
      void this.#describeTo(session).finally(() => {
        if (this.#stopped === undefined) this.#describeLater(session)
      })
    })
  }

  /** One after the other, so that the newest is the last. Never rejects. */
  #describeTo(session: SessionClient): Promise<void> {
    this.#describing = this.#describing.then(async () => {
      try {
        const description = await this.#describe()
        if (isDeepStrictEqual(description, this.#description)) return
        this.#description = description
        session.describe(description)
      } catch (error) {
        this.#env.log.warn({ err: errorText(error) }, 'the engine does not describe this node')
      }
    })
    return this.#describing
  }
}
