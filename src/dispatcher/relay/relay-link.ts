import type { Env } from '../../env/env.js'
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

/** What the leader does with the sessions that another manager relays. */
export interface RelayLinkHost {
  accept(connection: Connection, peer: RelayedPeer): void
  onLost(nodes: readonly LostNode[]): void
  onClosed(link: RelayLink): void
}

/** The leader's end of a connection with a manager that relays: each channel is the connection of one node. */
export class RelayLink {
  readonly #env: Env
  readonly #connection: Connection
  readonly #host: RelayLinkHost
  readonly #channels = new Map<number, RelayedConnection>()

  constructor(env: Env, connection: Connection, host: RelayLinkHost) {
    this.#env = env
    this.#connection = connection
    this.#host = host
    connection.onMessage((data) => this.#receive(data))
    connection.onClose((code, reason) => this.#end(code, reason))
  }

  close(code: number, reason: string): void {
    this.#connection.close(code, reason)
    this.#end(code, reason)
  }

  #receive(data: string | Buffer): void {
    try {
      const frame = typeof data === 'string' ? undefined : decodeRelayFrame(data)
      if (frame !== undefined) this.#take(frame)
    } catch (error) {
      if (!(error instanceof SwarmError)) throw error
      this.#env.log.warn({ err: errorText(error) }, 'bad message from a manager that relays sessions')
      this.close(CloseCode.BadMessage, error.message)
    }
  }

  #take(frame: RelayFrame): void {
    switch (frame.kind) {
      case 'open': {
        const channel = new RelayedConnection(this.#connection, frame.channel, () =>
          this.#channels.delete(frame.channel),
        )
        this.#channels.set(frame.channel, channel)
        this.#host.accept(channel, frame.peer)
        break
      }
      case 'message':
        this.#channels.get(frame.channel)?.arrived(frame.data)
        break
      case 'buffered':
        this.#channels.get(frame.channel)?.buffered(frame.bytes)
        break
      case 'close':
        this.#channels.get(frame.channel)?.ended(frame.code, frame.reason)
        break
      case 'lost':
        this.#host.onLost(frame.nodes)
        break
      default:
        frame satisfies never
    }
  }

  #end(code: number, reason: string): void {
    this.#host.onClosed(this)
    for (const channel of this.#channels.values()) channel.ended(code, reason)
  }
}

/** One node's connection as the leader sees it: a channel of a link. */
class RelayedConnection implements Connection {
  readonly #link: Connection
  readonly #channel: number
  readonly #forget: () => void
  #unsentBytes = 0
  #early: (string | Buffer)[] = []
  #onMessage: ((data: string | Buffer) => void) | undefined
  #onClose: ((code: number, reason: string) => void) | undefined
  #closed: { readonly code: number; readonly reason: string } | undefined

  constructor(link: Connection, channel: number, forget: () => void) {
    this.#link = link
    this.#channel = channel
    this.#forget = forget
  }

  get bufferedAmount(): number {
    return this.#unsentBytes + this.#link.bufferedAmount
  }

  send(data: string | Uint8Array): void {
    if (this.#closed !== undefined) return
    const message = typeof data === 'string' ? data : Buffer.from(data.buffer, data.byteOffset, data.length)
    this.#link.send(encodeRelayFrame({ kind: 'message', channel: this.#channel, data: message }))
  }

  close(code: number, reason: string): void {
    if (this.#closed !== undefined) return
    this.#link.send(encodeRelayFrame({ kind: 'close', channel: this.#channel, code, reason }))
    this.ended(code, reason)
  }

  onMessage(listener: (data: string | Buffer) => void): void {
    this.#onMessage = listener
    for (const data of this.#early.splice(0)) listener(data)
  }

  onClose(listener: (code: number, reason: string) => void): void {
    this.#onClose = listener
    if (this.#closed !== undefined) listener(this.#closed.code, this.#closed.reason)
  }

  arrived(data: string | Buffer): void {
    if (this.#onMessage === undefined) this.#early.push(data)
    else this.#onMessage(data)
  }

  /** What the other manager could not send yet. */
  buffered(bytes: number): void {
    this.#unsentBytes = bytes
  }

  ended(code: number, reason: string): void {
    if (this.#closed !== undefined) return
    this.#closed = { code, reason }
    this.#forget()
    this.#onClose?.(code, reason)
  }
}
