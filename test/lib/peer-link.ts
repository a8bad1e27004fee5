import type { PeerConnection } from '../../src/raft/transport/index.js'

/** One direction's way through the network. */
class End implements PeerConnection {
  other: End | undefined
  /** Takes nothing more from the sender: `onSent` waits. */
  isClogged = false
  /** Neither data nor the end of the connection arrive at the other side. */
  isFrozen = false
  readonly sent: Buffer[] = []
  sentBytes = 0
  #isClosed = false
  #clogged: (() => void)[] = []
  #early: Uint8Array[] = []
  #onMessage: ((data: Uint8Array) => void) | undefined
  #onClose: ((code: number, reason: string) => void) | undefined
  #closed: { code: number; reason: string } | undefined

  send(data: Uint8Array, onSent: () => void): void {
    if (this.#isClosed) {
      queueMicrotask(onSent)
      return
    }
    const copy = Buffer.from(data)
    this.sent.push(copy)
    this.sentBytes += copy.length
    const transmit = () => {
      onSent()
      if (!this.isFrozen) this.other?.arrive(copy)
    }
    if (this.isClogged) this.#clogged.push(transmit)
    else queueMicrotask(transmit)
  }

  unclog(): void {
    this.isClogged = false
    for (const transmit of this.#clogged.splice(0)) transmit()
  }

  close(code: number, reason: string): void {
    this.end(code, reason)
    if (!this.isFrozen) queueMicrotask(() => this.other?.end(code, reason))
  }

  onMessage(listener: (data: Uint8Array) => void): void {
    this.#onMessage = listener
    for (const data of this.#early.splice(0)) listener(data)
  }

  onClose(listener: (code: number, reason: string) => void): void {
    this.#onClose = listener
    if (this.#closed !== undefined) listener(this.#closed.code, this.#closed.reason)
  }

  arrive(data: Uint8Array): void {
    if (this.#isClosed) return
    if (this.#onMessage === undefined) this.#early.push(data)
    else this.#onMessage(data)
  }

  end(code: number, reason: string): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#closed = { code, reason }
    this.#onClose?.(code, reason)
  }
}

/** A connection between two members within this process. */
export class PeerLink {
  readonly client = new End()
  readonly server = new End()

  constructor() {
    this.client.other = this.server
    this.server.other = this.client
  }

  cut(): void {
    for (const end of [this.client, this.server]) end.end(1006, 'cut')
  }

  freeze(): void {
    this.client.isFrozen = true
    this.server.isFrozen = true
  }
}
