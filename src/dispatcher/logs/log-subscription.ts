import { clusterError } from '../../model/errors.js'
import type { LogOptions, LogSelector, TaskLogMessage } from '../../model/logs.js'
import type { Task } from '../../model/objects.js'
import { logWindowBytes, type ManagerMessage } from '../../wire/index.js'

interface NodeStream {
  state: 'open' | 'ended' | 'lost'
  readonly queue: TaskLogMessage[]
  queuedBytes: number
  /** Bytes that the reader took since the node was last given credit. */
  takenBytes: number
}

/** A node that sends so far ahead of its reader does not keep to the protocol. */
const maxQueuedBytes = 64 * logWindowBytes

/** The reader of some tasks' logs, and the nodes that send them. */
export class LogSubscription {
  readonly id: string
  readonly selector: LogSelector
  readonly options: LogOptions
  readonly #session: (nodeId: string) => { send(message: ManagerMessage): void } | undefined
  readonly #nodes = new Map<string, NodeStream>()
  /** What the reader was given last of each task: where to go on when its node comes back. */
  readonly #lastNs = new Map<string, bigint>()
  readonly #resumed = new Set<string>()
  readonly #reasons = new Set<string>()
  #failure: Error | undefined
  #cancelled = false
  #wake: (() => void) | undefined

  constructor(
    id: string,
    selector: LogSelector,
    options: LogOptions,
    session: (nodeId: string) => { send(message: ManagerMessage): void } | undefined,
  ) {
    this.id = id
    this.selector = selector
    this.options = options
    this.#session = session
  }

  matches(task: Pick<Task, 'id' | 'serviceId'>): boolean {
    const { serviceIds, taskIds } = this.selector
    return taskIds.includes(task.id) || (task.serviceId !== undefined && serviceIds.includes(task.serviceId))
  }

  /** Something that will not be in the stream. */
  missing(reason: string): void {
    this.#reasons.add(reason)
  }

  /** Asks the node for its part, once. */
  addNode(nodeId: string): void {
    if (this.#nodes.has(nodeId)) return
    const session = this.#session(nodeId)
    this.#nodes.set(nodeId, {
      state: session === undefined ? 'lost' : 'open',
      queue: [],
      queuedBytes: 0,
      takenBytes: 0,
    })
    if (session === undefined) this.missing(`node ${nodeId} is not available`)
    else session.send(this.#request(this.options))
  }

  /** A follower goes on where it was when a node returns. */
  nodeOpened(nodeId: string): void {
    const stream = this.#nodes.get(nodeId)
    if (stream === undefined || stream.state !== 'lost' || !this.options.follow) return
    stream.state = 'open'
    stream.takenBytes = 0
    this.#resumed.add(nodeId)
    this.#session(nodeId)?.send(this.#request(this.#resumeOptions()))
  }

  nodeLost(nodeId: string): void {
    const stream = this.#nodes.get(nodeId)
    if (stream?.state !== 'open') return
    stream.state = 'lost'
    if (!this.options.follow) this.missing(`node ${nodeId} disconnected unexpectedly`)
    this.#wakeUp()
  }

  nodeEnded(nodeId: string, errors: readonly string[]): void {
    const stream = this.#nodes.get(nodeId)
    if (stream?.state !== 'open') return
    stream.state = 'ended'
    for (const error of errors) this.missing(error)
    this.#wakeUp()
  }

  /** What the node sent, oldest first. */
  take(nodeId: string, messages: readonly TaskLogMessage[]): void {
    const stream = this.#nodes.get(nodeId)
    if (stream?.state !== 'open') return
    for (const message of messages) {
      stream.queue.push(message)
      stream.queuedBytes += message.data.length
    }
    if (stream.queuedBytes > maxQueuedBytes) {
      this.#session(nodeId)?.send({ type: 'log-unsubscribe', subscriptionId: this.id })
      this.nodeEnded(nodeId, [`node ${nodeId} sent more than it was asked for`])
    }
    this.#wakeUp()
  }

  /** Bytes that came and that nobody wants are as good as read. */
  dropped(nodeId: string, bytes: number): void {
    const stream = this.#nodes.get(nodeId)
    if (stream !== undefined) this.#giveCredit(nodeId, stream, bytes)
  }

  cancel(): void {
    if (this.#cancelled) return
    this.#cancelled = true
    for (const [nodeId, { state }] of this.#nodes) {
      if (state === 'open') this.#session(nodeId)?.send({ type: 'log-unsubscribe', subscriptionId: this.id })
    }
    this.#wakeUp()
  }

  fail(error: Error): void {
    this.#failure ??= error
    this.#wakeUp()
  }

  async *read(): AsyncGenerator<TaskLogMessage, void, undefined> {
    while (!this.#cancelled) {
      if (this.#failure !== undefined) throw this.#failure
      const next = this.#next()
      if (next !== undefined) {
        yield next
        continue
      }
      if (this.#isOver()) break
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
    if (this.#cancelled || this.#reasons.size === 0) return
    const reasons = [...this.#reasons].join(', ')
    throw clusterError(
      'Unknown',
      `warning: incomplete log stream. some logs could not be retrieved for the following reasons: ${reasons}`,
    )
  }

  #isOver(): boolean {
    if (this.options.follow) return false
    return [...this.#nodes.values()].every(({ state, queue }) => state !== 'open' && queue.length === 0)
  }

  /**
   * The oldest message at hand. Each node sends its own in order, so that without following the whole is
   * in order, if nothing is taken while a node may still have an older one.
   */
  #next(): TaskLogMessage | undefined {
    for (;;) {
      let oldest: { nodeId: string; stream: NodeStream; atNs: bigint } | undefined
      for (const [nodeId, stream] of this.#nodes) {
        const head = stream.queue[0]
        if (head === undefined) {
          if (stream.state === 'open' && !this.options.follow) return undefined
        } else if (oldest === undefined || head.timestampNs < oldest.atNs) {
          oldest = { nodeId, stream, atNs: head.timestampNs }
        }
      }
      const message = oldest?.stream.queue.shift()
      if (oldest === undefined || message === undefined) return undefined
      oldest.stream.queuedBytes -= message.data.length
      this.#giveCredit(oldest.nodeId, oldest.stream, message.data.length)
      if (!this.#isRepeated(message)) return message
    }
  }

  /** A node that came back sends all again. */
  #isRepeated({ taskId, nodeId, timestampNs }: TaskLogMessage): boolean {
    const lastNs = this.#lastNs.get(taskId)
    if (lastNs !== undefined && this.#resumed.has(nodeId) && timestampNs <= lastNs) return true
    this.#lastNs.set(taskId, timestampNs)
    return false
  }

  #giveCredit(nodeId: string, stream: NodeStream, bytes: number): void {
    stream.takenBytes += bytes
    if (stream.takenBytes < logWindowBytes / 4 || stream.state !== 'open') return
    this.#session(nodeId)?.send({ type: 'log-credit', subscriptionId: this.id, bytes: stream.takenBytes })
    stream.takenBytes = 0
  }

  #request(options: LogOptions): ManagerMessage {
    return {
      type: 'log-subscribe',
      subscriptionId: this.id,
      serviceIds: [...this.selector.serviceIds],
      taskIds: [...this.selector.taskIds],
      options: { ...options },
    }
  }

  /** From the oldest message on that may be new. Tasks of which nothing came yet are newer than that. */
  #resumeOptions(): LogOptions {
    const lastNs = [...this.#lastNs.values()].reduce<bigint | undefined>(
      (a, b) => (a === undefined || b < a ? b : a),
      undefined,
    )
    if (lastNs === undefined) return this.options
    const { tail: _tail, ...options } = this.options
    return { ...options, sinceMs: Math.max(options.sinceMs ?? 0, Number(lastNs / 1_000_000n)) }
  }

  #wakeUp(): void {
    this.#wake?.()
    this.#wake = undefined
  }
}
