/** One frame of an attached or logged stream. */
export interface StreamFrame {
  /** 0 stdin, 1 stdout, 2 stderr, 3 an error of the engine. */
  readonly stream: number
  readonly data: Buffer
}

const headBytes = 8

/**
 * Takes a multiplexed stream apart: 8 bytes of head (stream, three zeros, big-endian length), then the
 * payload. A frame that the stream's end cuts off is dropped.
 */
export async function* readFrames(body: AsyncIterable<Buffer>): AsyncGenerator<StreamFrame, void, undefined> {
  let chunks: Buffer[] = []
  let size = 0
  let wanted = headBytes
  for await (const chunk of body) {
    chunks.push(chunk)
    size += chunk.length
    // Joined only once a frame is complete: a large one comes in many chunks.
    if (size < wanted) continue
    let buffer = Buffer.concat(chunks)
    while (buffer.length >= headBytes) {
      const end = headBytes + buffer.readUInt32BE(4)
      wanted = end
      if (buffer.length < end) break
      yield { stream: buffer[0] ?? 0, data: buffer.subarray(headBytes, end) }
      buffer = buffer.subarray(end)
      wanted = headBytes
    }
    chunks = [buffer]
    size = buffer.length
  }
}

/** Takes a raw stream apart into lines, each with its newline; the last one may have none. */
export async function* readLines(body: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, undefined> {
  let rest: Buffer[] = []
  for await (const chunk of body) {
    let from = 0
    for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, from)) {
      const end = chunk.subarray(from, at + 1)
      yield rest.length === 0 ? end : Buffer.concat([...rest, end])
      rest = []
      from = at + 1
    }
    if (from < chunk.length) rest.push(chunk.subarray(from))
  }
  if (rest.length > 0) yield Buffer.concat(rest)
}
