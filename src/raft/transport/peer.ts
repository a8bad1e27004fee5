import type { Env } from '../../env/env.js'
import type { Logger } from '../../env/log.js'
import type { Member, Message } from '../core/index.js'
import { MalformedError } from './bytes.js'
import { PeerClose, type PeerConnection } from './connection.js'
import { connectTo, type Dial } from './dialing.js'
import { helloFrame, messagesFrame, pingFrame, readFrame, transportVersion } from './frames.js'

/** So much may be on its way into the network; the rest waits here, where heartbeats can pass it. */
const windowBytes = 512 * 1024
/** More than that waiting means that the peer is slow: what it will need by then is better found out anew. */
const maxQueuedBytes = 4 * 1024 * 1024
/** Of the small messages, the newest say all. */
const maxQueuedMessages = 256
const pingPeriodMs = 1000
/** Shorter than what TCP takes to find out that a host is gone. */
const silenceMs = 3000
const firstBackoffMs = 50
const maxBackoffMs = 1000

export interface PeerHost {
  readonly id: string
  /** This member's own context. */
  readonly context: () => string
  readonly dial: Dial
  /** Messages to the member may be lost. */
  readonly onUnreachable: (id: string) => void
  /** Nothing listens any more where the member was. */
  readonly onGone: (id: string) => void
  /** The other end says that this member is none any more. */
  readonly onRemoved: () => void
}

/**
 * The way to one other member: one connection, made when there is something to say, kept, and made anew when
 * it breaks. Only this side sends messages on it; the other one has its own.
 */
export class Peer {
  readonly #env: Env
  readonly #log: Logger
  readonly #host: PeerHost
  #member: Member
  #connection: PeerConnection | undefined
  #isDialing = false
  #cancelBackoff: (() => void) | undefined
  #backoffMs = 0
  #queue: Message[] = []
  #queuedBytes = 0
  /** Given to the connection and not taken by the network yet. */
  #unsentBytes = 0
  #flushScheduled = false
  #lastHeardMs = 0
  #cancelPing: (() => void) | undefined
  #stopped = false

  constructor(env: Env, host: PeerHost, member: Member) {
    this.#env = env
    this.#host = host
    this.#member = member
    this.#log = env.log.child({ raftMember: host.id, to: member.id })
  }

  get member(): Member {
    return this.#member
  }

  /** Where the member is, or what is known of it, has changed. */
  update(member: Member): void {
    const moved = member.context !== this.#member.context
    this.#member = member
    if (!moved || this.#connection !== undefined) return
    this.retryNow()
  }

  /** There is reason to think that the member can be reached again. */
  retryNow(): void {
    this.#cancelBackoff?.()
    this.#cancelBackoff = undefined
    this.#backoffMs = 0
  }

  /** Never blocks: what cannot be sent is dropped, which raft is told of. */
  send(messages: readonly Message[]): void {
    if (this.#stopped || this.#cancelBackoff !== undefined) return
    for (const message of messages) {
      this.#queue.push(message)
      this.#queuedBytes += payloadBytes(message)
    }
    if (this.#queuedBytes > maxQueuedBytes) this.#dropAppends()
    if (this.#queue.length > maxQueuedMessages) this.#queue.splice(0, this.#queue.length - maxQueuedMessages)
    this.#scheduleFlush()
  }

  stop(code: number = PeerClose.GoingAway, reason = 'this member stops'): void {
    this.#stopped = true
    this.#clearQueue()
    this.#cancelBackoff?.()
    this.#cancelPing?.()
    this.#connection?.close(code, reason)
    this.#connection = undefined
  }

  #dropAppends(): void {
    this.#queue = this.#queue.filter((message) => message.type !== 'append')
    this.#queuedBytes = 0
    this.#log.debug({}, 'the member is slow: dropped what waited for it')
    queueMicrotask(() => this.#host.onUnreachable(this.#member.id))
  }

  #clearQueue(): void {
    this.#queue = []
    this.#queuedBytes = 0
  }

  /** At the end of the turn: all that was said in it makes one frame. */
  #scheduleFlush(): void {
    if (this.#flushScheduled) return
    this.#flushScheduled = true
    queueMicrotask(() => {
      this.#flushScheduled = false
      this.#flush()
    })
  }

  #flush(): void {
    if (this.#stopped || this.#queue.length === 0) return
    const connection = this.#connection
    if (connection === undefined) {
      this.#connect()
      return
    }
    const batch: Message[] = []
    const rest: Message[] = []
    let bytes = this.#unsentBytes
    for (const message of this.#queue) {
      // Entries keep their order; anything else may pass them.
      if (message.type === 'append' && (rest.length > 0 || bytes >= windowBytes)) {
        rest.push(message)
        continue
      }
      batch.push(message)
      const size = payloadBytes(message)
      bytes += size
      this.#queuedBytes -= size
    }
    this.#queue = rest
    if (batch.length > 0) this.#transmit(connection, messagesFrame(batch))
  }

  #transmit(connection: PeerConnection, frame: Uint8Array): void {
    this.#unsentBytes += frame.byteLength
    connection.send(frame, () => {
      if (this.#connection !== connection) return
      this.#unsentBytes -= frame.byteLength
      if (this.#queue.length > 0) this.#scheduleFlush()
    })
  }

  #connect(): void {
    if (this.#isDialing) return
    this.#isDialing = true
    connectTo(this.#env, this.#host.dial, this.#member).then(
      (connection) => {
        this.#isDialing = false
        if (this.#stopped) connection.close(PeerClose.GoingAway, 'this member stops')
        else this.#opened(connection)
      },
      (error: unknown) => {
        this.#isDialing = false
        const err = error instanceof Error ? error.message : String(error)
        this.#log.debug({ err }, 'no connection to the member')
        this.#lost()
        if (isRefused(error) && !this.#stopped) this.#host.onGone(this.#member.id)
      },
    )
  }

  #opened(connection: PeerConnection): void {
    this.#connection = connection
    this.#unsentBytes = 0
    this.#lastHeardMs = this.#env.monotonicMs()
    const { id, context } = this.#host
    const hello = { version: transportVersion, from: id, to: this.#member.id, context: context() }
    connection.onMessage((data) => this.#heard(connection, data))
    connection.onClose((code, reason) => this.#closed(connection, code, reason))
    if (this.#connection !== connection) return
    this.#transmit(connection, helloFrame({ ...hello, carries: 'messages' }))
    this.#schedulePing(connection)
    this.#flush()
  }

  #heard(connection: PeerConnection, data: Uint8Array): void {
    try {
      const { kind } = readFrame(data, { from: this.#member.id, to: this.#host.id })
      if (kind !== 'pong') throw new MalformedError(`unexpected ${kind}`)
      this.#lastHeardMs = this.#env.monotonicMs()
      this.#backoffMs = 0
    } catch (error) {
      if (!(error instanceof MalformedError)) throw error
      connection.close(PeerClose.BadMessage, error.message)
    }
  }

  #schedulePing(connection: PeerConnection): void {
    connection.send(pingFrame, () => undefined)
    this.#cancelPing = this.#env.after(pingPeriodMs, () => {
      if (this.#connection !== connection) return
      if (this.#env.monotonicMs() - this.#lastHeardMs >= silenceMs) {
        connection.close(PeerClose.Silent, 'no answer')
        // Who is gone does not answer a close either.
        this.#closed(connection, PeerClose.Silent, 'no answer')
        return
      }
      this.#schedulePing(connection)
    })
  }

  #closed(connection: PeerConnection, code: number, reason: string): void {
    if (this.#connection !== connection) return
    this.#connection = undefined
    this.#cancelPing?.()
    this.#log.debug({ code, reason }, 'the connection to the member ended')
    if (code === PeerClose.Removed) this.#host.onRemoved()
    if (this.#stopped) return
    this.#lost()
    // Did the process end, or only the connection? Raft can tell much sooner when it knows.
    if (code === PeerClose.Broken) this.#reconnect()
  }

  #reconnect(): void {
    this.#cancelBackoff?.()
    this.#cancelBackoff = this.#env.after(firstBackoffMs / 2, () => {
      this.#cancelBackoff = undefined
      this.#connect()
    })
  }

  /** Waits before the next attempt. Raft hears of it, so that it finds out what is missing. */
  #lost(): void {
    this.#clearQueue()
    if (this.#stopped) return
    this.#backoffMs = Math.min(Math.max(firstBackoffMs, this.#backoffMs * 2), maxBackoffMs)
    const delayMs = this.#backoffMs / 2 + this.#env.randomInt(Math.ceil(this.#backoffMs / 2))
    this.#cancelBackoff = this.#env.after(delayMs, () => (this.#cancelBackoff = undefined))
    this.#host.onUnreachable(this.#member.id)
  }
}

/** The host answers for a process that is not there. */
function isRefused(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ECONNREFUSED'
}

function payloadBytes(message: Message): number {
  if (message.type !== 'append') return 0
  return message.entries.reduce((sum, { data }) => sum + data.byteLength + 32, 0)
}
