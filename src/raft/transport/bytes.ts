/** What came from another member makes no sense. */
export class MalformedError extends Error {
  override readonly name = 'MalformedError'
}

/** A number of up to 53 bits takes at most so many bytes. */
export const maxNumberBytes = 8

/** Writes into a buffer that is known to be long enough. */
export class ByteWriter {
  readonly #bytes: Buffer
  #at = 0

  constructor(capacity: number) {
    this.#bytes = Buffer.allocUnsafe(capacity)
  }

  byte(value: number): void {
    this.#bytes[this.#at++] = value
  }

  /** A whole number from 0 to 2^53 - 1, seven bits at a time, low ones first. */
  number(value: number): void {
    let rest = value
    while (rest >= 0x80) {
      this.#bytes[this.#at++] = (rest % 0x80) | 0x80
      rest = Math.floor(rest / 0x80)
    }
    this.#bytes[this.#at++] = rest
  }

  bytes(data: Uint8Array): void {
    this.number(data.byteLength)
    this.#bytes.set(data, this.#at)
    this.#at += data.byteLength
  }

  /** What was written. */
  done(): Buffer {
    return this.#bytes.subarray(0, this.#at)
  }
}

export class ByteReader {
  readonly #bytes: Buffer
  #at = 0

  constructor(data: Uint8Array) {
    this.#bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength)
  }

  get atEnd(): boolean {
    return this.#at === this.#bytes.length
  }

  /** @throws {MalformedError} here and below when the data ends too early. */
  byte(): number {
    const value = this.#bytes[this.#at++]
    if (value === undefined) throw new MalformedError('it is cut off')
    return value
  }

  number(): number {
    let value = 0
    let factor = 1
    for (;;) {
      const byte = this.byte()
      value += (byte & 0x7f) * factor
      if (value > Number.MAX_SAFE_INTEGER) throw new MalformedError('a number is too large')
      if (byte < 0x80) return value
      factor *= 0x80
    }
  }

  flag(): boolean {
    return this.byte() !== 0
  }

  /** A view, no copy. */
  bytes(): Buffer {
    const length = this.number()
    const end = this.#at + length
    if (end > this.#bytes.length) throw new MalformedError('it is cut off')
    const data = this.#bytes.subarray(this.#at, end)
    this.#at = end
    return data
  }

  /** All that is left. */
  rest(): Buffer {
    const data = this.#bytes.subarray(this.#at)
    this.#at = this.#bytes.length
    return data
  }
}
