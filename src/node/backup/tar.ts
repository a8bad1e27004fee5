/** The plain part of the tar format (POSIX ustar): files with short names. Any tar reads what this writes. */

const blockBytes = 512

/** A file of an archive. Its content is read to the end before the next file is asked for, or is skipped. */
export interface TarEntry {
  readonly name: string
  readonly sizeBytes: number
  readonly content: AsyncIterable<Buffer>
}

/** What stands before a file's content. @param name up to 100 bytes. */
export function tarHeader(name: string, sizeBytes: number, mode: number, mtimeMs: number): Buffer {
  const header = Buffer.alloc(blockBytes)
  const octal = (value: number, digits: number) => `${value.toString(8).padStart(digits, '0')}\0`
  header.write(name, 0, 100)
  header.write(octal(mode, 7), 100)
  header.write(octal(0, 7), 108)
  header.write(octal(0, 7), 116)
  header.write(octal(sizeBytes, 11), 124)
  header.write(octal(Math.floor(mtimeMs / 1000), 11), 136)
  header.write(' '.repeat(8), 148)
  header.write('0', 156)
  header.write('ustar\u000000', 257)
  header.write(`${octal(sumOf(header), 6)} `, 148)
  return header
}

/** Fills a file's last block. */
export function tarPadding(sizeBytes: number): Buffer {
  return Buffer.alloc((blockBytes - (sizeBytes % blockBytes)) % blockBytes)
}

/** Ends an archive. */
export const tarEnd = Buffer.alloc(2 * blockBytes)

/**
 * The files of an archive, in their order.
 * @throws {Error} in the middle, when it is no such archive or breaks off.
 */
export async function* readTar(archive: AsyncIterable<Uint8Array>): AsyncGenerator<TarEntry> {
  const input = new Input(archive)
  for (;;) {
    const header = await input.take(blockBytes)
    if (header.every((byte) => byte === 0)) return
    const { name, sizeBytes } = readHeader(header)
    const paddingBytes = tarPadding(sizeBytes).length
    let left = sizeBytes
    const content = (async function* () {
      while (left > 0) {
        const piece = await input.some(left)
        left -= piece.length
        yield piece
      }
    })()
    yield { name, sizeBytes, content }
    while (left > 0) left -= (await input.some(left)).length
    await input.take(paddingBytes)
  }
}

function readHeader(header: Buffer): { readonly name: string; readonly sizeBytes: number } {
  const field = (at: number, length: number) => {
    const [text = ''] = header.toString('latin1', at, at + length).split('\0')
    return text.trim()
  }
  const sum = Number.parseInt(field(148, 8), 8)
  const blank = Buffer.from(header)
  blank.write(' '.repeat(8), 148)
  const sizeBytes = Number.parseInt(field(124, 12), 8)
  if (sum !== sumOf(blank) || !Number.isSafeInteger(sizeBytes)) throw new Error('this is no tar archive')
  return { name: field(0, 100), sizeBytes }
}

function sumOf(header: Buffer): number {
  return header.reduce((sum, byte) => sum + byte, 0)
}

/** Bytes of a stream in pieces of the wanted length. */
class Input {
  readonly #source: AsyncIterator<Uint8Array>
  #piece: Buffer = Buffer.alloc(0)

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]()
  }

  /** At least one byte, `most` at most. */
  async some(most: number): Promise<Buffer> {
    while (this.#piece.length === 0) {
      const next = await this.#source.next()
      if (next.done === true) throw new Error('the archive breaks off')
      this.#piece = Buffer.from(next.value.buffer, next.value.byteOffset, next.value.byteLength)
    }
    const taken = this.#piece.subarray(0, most)
    this.#piece = this.#piece.subarray(taken.length)
    return taken
  }

  async take(lengthBytes: number): Promise<Buffer> {
    const pieces: Buffer[] = []
    for (let left = lengthBytes; left > 0;) {
      const piece = await this.some(left)
      left -= piece.length
      pieces.push(piece)
    }
    return Buffer.concat(pieces)
  }
}
