import type { Env } from '../../env/env.js'
import type { MessageOf } from '../core/index.js'
import { PeerClose, type PeerConnection } from './connection.js'
import {
  helloFrame,
  readFrame,
  snapshotEndFrame,
  snapshotHeadFrame,
  snapshotPieceFrame,
  type Hello,
} from './frames.js'

/** Sent and not consumed by the other side yet. */
const windowBytes = 1024 * 1024
const maxPieceBytes = 256 * 1024
/** Nothing consumed, or no result, for so long: the other side is stuck. */
const stuckAfterMs = 30_000

/** The receiver has it all, or needs no more of it. */
class Finished extends Error {}

/**
 * Sends one snapshot on a connection of its own, no faster than the other side takes it, and closes the
 * connection. Resolves when the other side says that it has taken it.
 * @throws (as a rejection) when the connection breaks, or the other side refuses or is stuck.
 */
export async function streamSnapshot(
  env: Env,
  connection: PeerConnection,
  hello: Hello,
  message: MessageOf<'snapshot'>,
  content: AsyncIterable<Uint8Array>,
): Promise<void> {
  const sending = new Sending(env, connection, { from: message.to, to: message.from })
  try {
    connection.send(helloFrame(hello), () => undefined)
    connection.send(snapshotHeadFrame(message), () => undefined)
    for await (const part of content) {
      for (let at = 0; at < part.byteLength; at += maxPieceBytes) {
        await sending.piece(part.subarray(at, at + maxPieceBytes))
      }
    }
    connection.send(snapshotEndFrame, () => undefined)
    await sending.result()
  } catch (error) {
    if (!(error instanceof Finished)) throw error
  } finally {
    sending.end()
    connection.close(PeerClose.GoingAway, 'done')
  }
}

class Sending {
  readonly #env: Env
  readonly #connection: PeerConnection
  #sentBytes = 0
  #consumedBytes = 0
  /** Why nothing more is to be sent. */
  #over: Error | undefined
  #onProgress: () => void = () => undefined
  #cancelTimer: () => void = () => undefined

  constructor(env: Env, connection: PeerConnection, ends: { from: string; to: string }) {
    this.#env = env
    this.#connection = connection
    connection.onMessage((data) => {
      try {
        this.#heard(data, ends)
      } catch (error) {
        this.#finish(error instanceof Error ? error : new Error(String(error)))
      }
    })
    connection.onClose((code, reason) => this.#finish(new Error(`the connection ended: ${code} ${reason}`)))
  }

  async piece(data: Uint8Array): Promise<void> {
    while (this.#over === undefined && this.#sentBytes - this.#consumedBytes >= windowBytes)
      await this.#wait()
    if (this.#over !== undefined) throw this.#over
    this.#sentBytes += data.byteLength
    this.#connection.send(snapshotPieceFrame(data), () => undefined)
  }

  async result(): Promise<never> {
    while (this.#over === undefined) await this.#wait()
    throw this.#over
  }

  end(): void {
    this.#cancelTimer()
  }

  #heard(data: Uint8Array, ends: { from: string; to: string }): void {
    const frame = readFrame(data, ends)
    if (frame.kind === 'snapshotProgress') {
      this.#consumedBytes = frame.bytes
      this.#onProgress()
    } else if (frame.kind === 'snapshotResult') {
      const { error } = frame.result
      this.#finish(error === undefined ? new Finished() : new Error(`the member refused it: ${error}`))
    } else {
      throw new Error(`unexpected ${frame.kind}`)
    }
  }

  #finish(over: Error): void {
    this.#over ??= over
    this.#onProgress()
  }

  #wait(): Promise<void> {
    return new Promise((resolve) => {
      this.#cancelTimer()
      this.#cancelTimer = this.#env.after(stuckAfterMs, () => this.#finish(new Error('the member is stuck')))
      this.#onProgress = resolve
    })
  }
}
