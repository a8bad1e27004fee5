import type { Duplex } from 'node:stream'

export interface Answer {
  readonly status: number
  readonly bodyBytes: number
  /** Empty for what went well and was not asked for: a list of megabytes is counted, not copied. */
  readonly body: Buffer
}

type Expectation =
  | { readonly kind: 'head' }
  | { readonly kind: 'body'; left: number }
  /** The line with a chunk's length; the empty line behind a chunk comes first. */
  | { readonly kind: 'chunk size' }
  | { readonly kind: 'chunk'; left: number }
  | { readonly kind: 'end of chunks' }

interface Call {
  readonly keepBody: boolean
  readonly resolve: (answer: Answer) => void
  readonly reject: (error: Error) => void
}

const lineEnd = Buffer.from('\r\n')
const headEnd = Buffer.from('\r\n\r\n')

/**
 * HTTP/1.1 over one connection, one call at a time, with as little work as possible: what the client of a
 * measurement costs is missing to the daemon beside it. Node's own client takes as long for a call as a
 * daemon for its answer.
 */
export class HttpConnection {
  readonly #stream: Duplex
  #call: Call | undefined
  #expected: Expectation = { kind: 'head' }
  #unread: Buffer = Buffer.alloc(0)
  #status = 0
  #body: Buffer[] = []
  #bodyBytes = 0

  constructor(stream: Duplex) {
    this.#stream = stream
    stream.on('data', (piece: Buffer) => this.#onData(piece))
    stream.on('error', (error) => this.#fail(error))
    stream.on('close', () => this.#fail(new Error('the daemon closed the connection')))
  }

  /** @param request the whole of it. @throws {Error} as a rejection, when the connection breaks. */
  call(request: string, keepBody: boolean): Promise<Answer> {
    return new Promise((resolve, reject) => {
      if (this.#call !== undefined) throw new Error('a connection makes one call at a time')
      this.#call = { keepBody, resolve, reject }
      this.#stream.write(request)
    })
  }

  get isOpen(): boolean {
    return !this.#stream.destroyed
  }

  close(): void {
    this.#stream.destroy()
  }

  #onData(piece: Buffer): void {
    this.#unread = this.#unread.length === 0 ? piece : Buffer.concat([this.#unread, piece])
    try {
      while (this.#call !== undefined && this.#step());
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(String(error)))
      this.#stream.destroy()
    }
  }

  /** @returns whether there may be more to do with what is here already. */
  #step(): boolean {
    const expected = this.#expected
    switch (expected.kind) {
      case 'head':
        return this.#readHead()
      case 'body':
        expected.left -= this.#take(expected.left)
        if (expected.left > 0) return false
        this.#finish()
        return false
      case 'chunk size':
        return this.#readChunkSize()
      case 'chunk':
        expected.left -= this.#take(expected.left)
        if (expected.left > 0) return false
        this.#expected = { kind: 'chunk size' }
        return true
      case 'end of chunks':
        if (this.#unread.length < lineEnd.length) return false
        this.#unread = this.#unread.subarray(lineEnd.length)
        this.#finish()
        return false
      default:
        return expected satisfies never
    }
  }

  #readHead(): boolean {
    const end = this.#unread.indexOf(headEnd)
    if (end === -1) return false
    const head = this.#unread.toString('latin1', 0, end)
    this.#unread = this.#unread.subarray(end + headEnd.length)
    this.#status = Number(/^HTTP\/1\.1 (\d{3})/.exec(head)?.[1])
    const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1]
    if (/\r\ntransfer-encoding: *chunked/i.test(head)) this.#expected = { kind: 'chunk size' }
    else if (length === undefined) throw new Error(`an answer without a length: ${head}`)
    else this.#expected = { kind: 'body', left: Number(length) }
    return true
  }

  #readChunkSize(): boolean {
    const start = this.#bodyBytes === 0 ? 0 : lineEnd.length
    const end = this.#unread.indexOf(lineEnd, start)
    if (end === -1) return false
    const bytes = Number.parseInt(this.#unread.toString('latin1', start, end), 16)
    if (Number.isNaN(bytes)) throw new Error('a malformed chunk')
    this.#unread = this.#unread.subarray(end + lineEnd.length)
    this.#expected = bytes === 0 ? { kind: 'end of chunks' } : { kind: 'chunk', left: bytes }
    return true
  }

  /** Takes up to `most` bytes of the body. @returns how many. */
  #take(most: number): number {
    const bytes = Math.min(most, this.#unread.length)
    if (this.#call?.keepBody === true || this.#status >= 300) this.#body.push(this.#unread.subarray(0, bytes))
    this.#unread = this.#unread.subarray(bytes)
    this.#bodyBytes += bytes
    return bytes
  }

  #finish(): void {
    const call = this.#call
    const answer = { status: this.#status, bodyBytes: this.#bodyBytes, body: Buffer.concat(this.#body) }
    this.#call = undefined
    this.#expected = { kind: 'head' }
    this.#body = []
    this.#bodyBytes = 0
    call?.resolve(answer)
  }

  #fail(error: Error): void {
    this.#call?.reject(error)
    this.#call = undefined
  }
}
