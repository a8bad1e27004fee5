import type { Env } from '../../env/env.js'
import type { MemberId, Message, MessageOf } from '../core/index.js'
import { MalformedError } from './bytes.js'
import { PeerClose, type PeerConnection } from './connection.js'
import {
  pongFrame,
  readFrame,
  snapshotProgressFrame,
  snapshotResultFrame,
  type Frame,
  type Hello,
} from './frames.js'

/** A connection that says nothing is closed: its other end sends pings far more often. */
const silenceMs = 10_000
/** Progress of a snapshot is told in such steps. */
const progressBytes = 128 * 1024

export interface InboundHost {
  readonly id: MemberId
  /** Why the node may not speak as the member that it names; undefined if it may. */
  check(hello: Hello, nodeId: string): { readonly code: number; readonly reason: string } | undefined
  /** It said who it is, and was believed. */
  onHello(inbound: Inbound, hello: Hello): void
  onMessages(messages: readonly Message[]): void
  onSnapshot(message: MessageOf<'snapshot'>, content: AsyncIterable<Uint8Array>): Promise<void>
  onClosed(inbound: Inbound): void
}

/** A connection that another manager made. */
export class Inbound {
  readonly nodeId: string
  readonly #env: Env
  readonly #host: InboundHost
  readonly #connection: PeerConnection
  #hello: Hello | undefined
  #pieces: Pieces | undefined
  #cancelTimer: () => void = () => undefined
  #answered = false
  #closed = false

  constructor(env: Env, host: InboundHost, connection: PeerConnection, nodeId: string) {
    this.#env = env
    this.#host = host
    this.#connection = connection
    this.nodeId = nodeId
    this.#awaitMore()
    connection.onClose((_code, reason) => this.#ended(reason))
    connection.onMessage((data) => this.#take(data))
  }

  get hello(): Hello | undefined {
    return this.#hello
  }

  close(code: number, reason: string): void {
    this.#connection.close(code, reason)
    this.#ended(reason)
  }

  #ended(reason: string): void {
    if (this.#closed) return
    this.#closed = true
    this.#cancelTimer()
    this.#pieces?.fail(new Error(`the connection ended: ${reason}`))
    this.#host.onClosed(this)
  }

  #awaitMore(): void {
    this.#cancelTimer()
    this.#cancelTimer = this.#env.after(silenceMs, () => {
      // While this side works on a snapshot, the other one waits too.
      if (this.#pieces?.isOwing === true && !this.#answered) this.#awaitMore()
      else this.close(PeerClose.Silent, 'nothing was heard')
    })
  }

  #take(data: Uint8Array): void {
    if (this.#closed) return
    this.#awaitMore()
    try {
      this.#receive(readFrame(data, { from: this.#hello?.from ?? '', to: this.#host.id }))
    } catch (error) {
      if (!(error instanceof MalformedError)) throw error
      this.close(PeerClose.BadMessage, error.message)
    }
  }

  #receive(frame: Frame): void {
    if (this.#hello === undefined) {
      if (frame.kind !== 'hello') throw new MalformedError(`${frame.kind} before a hello`)
      this.#greeted(frame.hello)
      return
    }
    const isForSnapshot = this.#hello.carries === 'snapshot'
    if (frame.kind === 'ping') {
      this.#connection.send(pongFrame, () => undefined)
    } else if (frame.kind === 'messages' && !isForSnapshot) {
      this.#host.onMessages(frame.messages)
    } else if (frame.kind === 'snapshotHead' && isForSnapshot && this.#pieces === undefined) {
      this.#takeSnapshot(frame.message)
    } else if (frame.kind === 'snapshotPiece' && this.#pieces !== undefined) {
      this.#pieces.push(frame.data)
    } else if (frame.kind === 'snapshotEnd' && this.#pieces !== undefined) {
      this.#pieces.end()
    } else {
      throw new MalformedError(`unexpected ${frame.kind}`)
    }
  }

  #greeted(hello: Hello): void {
    const refusal = this.#host.check(hello, this.nodeId)
    if (refusal !== undefined) {
      this.close(refusal.code, refusal.reason)
      return
    }
    this.#hello = hello
    this.#host.onHello(this, hello)
  }

  #takeSnapshot(message: MessageOf<'snapshot'>): void {
    const pieces = new Pieces((bytes) => {
      this.#awaitMore()
      this.#connection.send(snapshotProgressFrame(bytes), () => undefined)
    })
    this.#pieces = pieces
    this.#host.onSnapshot(message, pieces).then(
      () => this.#answer({}),
      (error: unknown) => this.#answer({ error: error instanceof Error ? error.message : String(error) }),
    )
  }

  #answer(result: { readonly error?: string }): void {
    this.#answered = true
    if (!this.#closed) this.#connection.send(snapshotResultFrame(result), () => undefined)
  }
}

/** What arrived and was not consumed yet; the sender's window bounds it. */
class Pieces implements AsyncIterable<Uint8Array> {
  readonly #onConsumed: (bytes: number) => void
  #waiting: Uint8Array[] = []
  #isComplete = false
  #error: Error | undefined
  #consumedBytes = 0
  #toldBytes = 0
  #wake: () => void = () => undefined

  constructor(onConsumed: (bytes: number) => void) {
    this.#onConsumed = onConsumed
  }

  /** Whether it is this side's turn. */
  get isOwing(): boolean {
    return this.#waiting.length > 0 || this.#isComplete
  }

  push(data: Uint8Array): void {
    this.#waiting.push(data)
    this.#wake()
  }

  end(): void {
    this.#isComplete = true
    this.#wake()
  }

  fail(error: Error): void {
    this.#error ??= error
    this.#wake()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    for (;;) {
      const piece = this.#waiting.shift()
      if (piece !== undefined) {
        yield piece
        this.#consumed(piece.byteLength)
      } else if (this.#isComplete) {
        return
      } else if (this.#error !== undefined) {
        throw this.#error
      } else {
        await new Promise<void>((resolve) => (this.#wake = resolve))
      }
    }
  }

  #consumed(bytes: number): void {
    this.#consumedBytes += bytes
    if (this.#consumedBytes - this.#toldBytes < progressBytes && this.#waiting.length > 0) return
    this.#toldBytes = this.#consumedBytes
    this.#onConsumed(this.#consumedBytes)
  }
}
