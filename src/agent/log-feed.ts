import type { Env } from '../env/env.js'
import { errorText } from '../model/errors.js'
import type { LogMessage } from '../model/logs.js'
import { encodeLogFrame, logWindowBytes, type NodeLogMessage } from '../wire/index.js'

/** A frame is sent when it has so much, or when the turn ends. */
const frameBytes = 32 * 1024

/** The log of one task, in the order of time. */
export interface TaskLog {
  readonly taskId: string
  readonly messages: AsyncIterable<LogMessage>
}

/**
 * Sends log messages for one subscription, no faster than its reader takes them: a container that writes
 * without end must fill neither this process nor the manager.
 */
export class LogFeed {
  readonly #env: Env
  readonly #channel: { sendFrame(frame: Uint8Array): void }
  readonly #subscriptionId: string
  readonly #signal: AbortSignal
  #creditBytes = logWindowBytes
  #batch: NodeLogMessage[] = []
  #batchBytes = 0
  #flushScheduled = false
  #waiters: (() => void)[] = []

  constructor(
    env: Env,
    channel: { sendFrame(frame: Uint8Array): void },
    subscriptionId: string,
    signal: AbortSignal,
  ) {
    this.#env = env
    this.#channel = channel
    this.#subscriptionId = subscriptionId
    this.#signal = signal
    signal.addEventListener('abort', () => this.#wake(), { once: true })
  }

  /** The reader took so many bytes. */
  credit(bytes: number): void {
    this.#creditBytes += bytes
    this.#wake()
  }

  /** Sends a log as it comes, beside others. */
  follow({ taskId, messages }: TaskLog): void {
    const pump = async () => {
      for await (const message of messages) {
        await this.#put({ ...message, taskId })
        if (this.#signal.aborted) return
      }
    }
    pump().catch((error: unknown) => {
      if (!this.#signal.aborted)
        this.#env.log.warn({ task: taskId, err: errorText(error) }, 'a log could not be followed to its end')
    })
  }

  /**
   * Sends logs that have an end as one, in the order of time. Never rejects.
   * @returns what could not be read.
   */
  async merge(logs: readonly TaskLog[]): Promise<string[]> {
    const errors: string[] = []
    const read = async (source: Omit<Source, 'head'>): Promise<Source[]> => {
      try {
        const { value: head, done } = await source.iterator.next()
        return done === true || head === undefined ? [] : [{ ...source, head }]
      } catch (error) {
        errors.push(`task ${source.taskId}: ${errorText(error)}`)
        return []
      }
    }
    const iterators = logs.map(({ taskId, messages }) => ({
      taskId,
      iterator: messages[Symbol.asyncIterator](),
    }))
    let sources = (await Promise.all(iterators.map(read))).flat()
    while (sources.length > 0 && !this.#signal.aborted) {
      const oldest = sources.reduce((a, b) => (b.head.timestampNs < a.head.timestampNs ? b : a))
      await this.#put({ ...oldest.head, taskId: oldest.taskId })
      const [next] = await read(oldest)
      sources = sources.flatMap((source) => (source === oldest ? (next ?? []) : source))
    }
    for (const { iterator } of sources) await iterator.return?.()
    this.#flush()
    return errors
  }

  /** Resolves when the next message may come. */
  async #put(message: NodeLogMessage): Promise<void> {
    this.#batch.push(message)
    this.#batchBytes += message.data.length
    this.#creditBytes -= message.data.length
    if (this.#batchBytes >= frameBytes) this.#flush()
    else this.#scheduleFlush()
    while (this.#creditBytes <= 0 && !this.#signal.aborted) {
      await new Promise<void>((resolve) => this.#waiters.push(resolve))
    }
  }

  #scheduleFlush(): void {
    if (this.#flushScheduled) return
    this.#flushScheduled = true
    setImmediate(() => {
      this.#flushScheduled = false
      this.#flush()
    })
  }

  #flush(): void {
    if (this.#batch.length === 0) return
    const messages = this.#batch
    this.#batch = []
    this.#batchBytes = 0
    if (!this.#signal.aborted)
      this.#channel.sendFrame(encodeLogFrame({ subscriptionId: this.#subscriptionId, messages }))
  }

  #wake(): void {
    for (const resolve of this.#waiters.splice(0)) resolve()
  }
}

interface Source {
  readonly taskId: string
  readonly iterator: AsyncIterator<LogMessage>
  readonly head: LogMessage
}
