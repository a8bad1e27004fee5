import type { FastifyReply, FastifyRequest } from 'fastify'

/**
 * A response that is written bit by bit. Its head goes out at once; writing waits for slow clients.
 */
export class ResponseStream {
  /** Aborts when the client is gone, or the server closes. */
  readonly signal: AbortSignal
  readonly #response: FastifyReply['raw']

  /** Takes the response over from Fastify; standard headers are set on it already. */
  constructor(request: FastifyRequest, reply: FastifyReply, contentType: string, closing: AbortSignal) {
    const gone = new AbortController()
    const hangUp = () => gone.abort()
    this.signal = AbortSignal.any([gone.signal, closing])
    this.#response = reply.raw
    reply.hijack()
    reply.raw.once('close', hangUp)
    reply.raw.on('error', hangUp)
    // A client that closes its side only is gone, too: Go's server sees it so.
    const { socket } = request.raw
    socket.once('end', hangUp)
    reply.raw.once('close', () => socket.off('end', hangUp))
    reply.raw.writeHead(200, { 'Content-Type': contentType })
    reply.raw.flushHeaders()
  }

  /** Resolves when more may be written. Does nothing once the client is gone. */
  async write(chunk: string | Buffer): Promise<void> {
    if (this.signal.aborted || this.#response.write(chunk)) return
    await new Promise<void>((resolve) => {
      const done = () => {
        this.#response.off('drain', done)
        this.#response.off('close', done)
        this.signal.removeEventListener('abort', done)
        resolve()
      }
      this.#response.once('drain', done)
      this.#response.once('close', done)
      this.signal.addEventListener('abort', done, { once: true })
    })
  }

  end(): void {
    this.#response.end()
  }
}
