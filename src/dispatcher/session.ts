import type { Env } from '../env/env.js'
import { newId } from '../env/id.js'
import { SwarmError, errorText } from '../model/errors.js'
import type { View } from '../store/store.js'
import {
  CloseCode,
  decodeAgentMessage,
  decodeLogFrame,
  encodeMessage,
  type AgentMessage,
  type AssignmentChange,
  type Connection,
  type LogFrame,
  type ManagerMessage,
} from '../wire/index.js'
import { AssignmentSet } from './assignment-set.js'

/** An agent that says nothing for so long after it has connected is cut off. */
const helloTimeoutMs = 5000
/** With more than this unsent the worker is slow: changes are not queued for it any more. */
const slowBytes = 1024 * 1024
const slowPollMs = 200

/** What a session asks of the dispatcher. */
export interface SessionHost {
  onMessage(session: Session, message: AgentMessage): void
  onLogFrame(session: Session, frame: LogFrame): void
  /** The other side is gone, or was sent away. Called once. */
  onClosed(session: Session): void
}

/** One connection of one node: framing, and the chain of assignment sets. */
export class Session {
  readonly id: string
  readonly nodeId: string
  /** As the connection shows it. */
  readonly addr: string
  /** Greeted and registered: it gets assignments. */
  isOpen = false
  /** The node said that it goes. */
  isLeaving = false
  readonly #env: Env
  readonly #connection: Connection
  readonly #host: SessionHost
  readonly #assignments: AssignmentSet
  #closed = false
  #cancelHello: () => void
  #cancelSlow: (() => void) | undefined
  /** The last set that was sent: the next one builds on it. */
  #position = 0
  #wantsComplete = true

  constructor(
    env: Env,
    view: View,
    host: SessionHost,
    peer: { readonly connection: Connection; readonly nodeId: string; readonly addr: string },
  ) {
    this.#env = env
    this.id = newId(env)
    this.nodeId = peer.nodeId
    this.addr = peer.addr
    this.#connection = peer.connection
    this.#host = host
    this.#assignments = new AssignmentSet(view, peer.nodeId)
    this.#cancelHello = env.after(helloTimeoutMs, () => this.close(CloseCode.Silent, 'no hello came'))
    peer.connection.onMessage((data) => this.#receive(data))
    peer.connection.onClose((code, reason) => {
      if (!this.#closed) env.log.debug({ node: peer.nodeId, code, reason }, 'a session ended')
      this.#end()
    })
  }

  get isClosed(): boolean {
    return this.#closed
  }

  greeted(): void {
    this.#cancelHello()
  }

  send(message: ManagerMessage): void {
    if (!this.#closed) this.#connection.send(encodeMessage(message))
  }

  close(code: number, reason: string): void {
    if (this.#closed) return
    this.#connection.close(code, reason)
    this.#end()
  }

  /** A task of this node may have changed. @returns whether `pushAssignments` is worth a call. */
  touch(taskId: string): boolean {
    this.#assignments.touch(taskId)
    return this.isOpen
  }

  /** The node lost the thread: it gets all again. */
  resync(): void {
    this.#wantsComplete = true
    this.pushAssignments()
  }

  /** Sends what changed since the last time as one message; everything, where that is shorter to say. */
  pushAssignments(): void {
    if (this.#closed || !this.isOpen || this.#cancelSlow !== undefined) return
    if (this.#connection.bufferedAmount > slowBytes) {
      this.#wantsComplete = true
      this.#awaitDrain()
      return
    }
    if (this.#wantsComplete) {
      this.#wantsComplete = false
      this.#sendAssignments('complete', this.#assignments.complete())
      return
    }
    const changes = this.#assignments.takeChanges()
    if (changes.length > 0) this.#sendAssignments('incremental', changes)
  }

  #sendAssignments(kind: 'complete' | 'incremental', changes: AssignmentChange[]): void {
    const appliesTo = kind === 'complete' ? 0 : this.#position
    this.#position++
    this.send({ type: 'assignments', kind, appliesTo, resultsIn: this.#position, changes })
  }

  /** A slow worker gets one fresh set later, instead of a growing queue of changes now. */
  #awaitDrain(): void {
    this.#cancelSlow = this.#env.after(slowPollMs, () => {
      this.#cancelSlow = undefined
      this.pushAssignments()
    })
  }

  #receive(data: string | Buffer): void {
    if (this.#closed) return
    try {
      if (typeof data !== 'string') {
        this.#host.onLogFrame(this, decodeLogFrame(data))
        return
      }
      const message = decodeAgentMessage(data)
      if (message !== undefined) this.#host.onMessage(this, message)
    } catch (error) {
      if (!(error instanceof SwarmError)) throw error
      this.#env.log.warn({ node: this.nodeId, err: errorText(error) }, 'bad message from a node')
      this.close(CloseCode.BadMessage, error.message)
    }
  }

  #end(): void {
    if (this.#closed) return
    this.#closed = true
    this.isOpen = false
    this.#cancelHello()
    this.#cancelSlow?.()
    this.#host.onClosed(this)
  }
}
