import { CloseCode, type Connection } from '../../src/wire/index.js'

/** How a link treats what is sent over it. */
export interface LinkOptions {
  /** Runs `deliver` later; never drops and never reorders: a connection that loses something breaks. */
  readonly later?: (deliver: () => void) => void
  /** Messages that vanish though the connection lives, as only a fault of the other side can make them. */
  readonly loses?: (data: string | Uint8Array) => boolean
}

/** Two ends of a connection within this process. */
export class MemoryLink {
  readonly ends: readonly [MemoryConnection, MemoryConnection]
  readonly #later: (deliver: () => void) => void
  readonly loses: (data: string | Uint8Array) => boolean

  constructor(options: LinkOptions = {}) {
    this.#later = options.later ?? queueMicrotask
    this.loses = options.loses ?? (() => false)
    const a = new MemoryConnection(this)
    const b = new MemoryConnection(this)
    a.peer = b
    b.peer = a
    this.ends = [a, b]
  }

  later(deliver: () => void): void {
    this.#later(deliver)
  }

  /** Both ends see the connection break; what is under way is lost. */
  cut(): void {
    for (const end of this.ends) end.ended(CloseCode.Broken, 'cut')
  }

  /** From now on nothing arrives and nobody is told. */
  freeze(): void {
    for (const end of this.ends) end.isFrozen = true
  }
}

export class MemoryConnection implements Connection {
  readonly #link: MemoryLink
  peer: MemoryConnection | undefined
  isFrozen = false
  /** What tests pretend to be unsent. */
  bufferedAmount = 0
  /** All that this end sent, decoded if it is JSON. */
  readonly sent: unknown[] = []
  closed: { readonly code: number; readonly reason: string } | undefined
  #early: (string | Buffer)[] = []
  #onMessage: ((data: string | Buffer) => void) | undefined
  #onClose: ((code: number, reason: string) => void) | undefined

  constructor(link: MemoryLink) {
    this.#link = link
  }

  send(data: string | Uint8Array): void {
    if (this.closed !== undefined) return
    this.sent.push(typeof data === 'string' ? (JSON.parse(data) as unknown) : data)
    if (this.#link.loses(data)) return
    const copy = typeof data === 'string' ? data : Buffer.from(data)
    this.#link.later(() => this.peer?.arrive(copy))
  }

  close(code: number, reason: string): void {
    if (this.closed !== undefined) return
    this.ended(code, reason)
    this.#link.later(() => {
      if (this.isFrozen) return
      this.peer?.ended(code, reason)
    })
  }

  onMessage(listener: (data: string | Buffer) => void): void {
    this.#onMessage = listener
    for (const data of this.#early.splice(0)) listener(data)
  }

  onClose(listener: (code: number, reason: string) => void): void {
    this.#onClose = listener
    if (this.closed !== undefined) listener(this.closed.code, this.closed.reason)
  }

  arrive(data: string | Buffer): void {
    if (this.closed !== undefined || this.isFrozen) return
    if (this.#onMessage === undefined) this.#early.push(data)
    else this.#onMessage(data)
  }

  ended(code: number, reason: string): void {
    if (this.closed !== undefined) return
    this.closed = { code, reason }
    this.#onClose?.(code, reason)
  }
}
