import type { Env } from '../env/env.js'
import { errorText } from '../model/errors.js'
import type { LogMessage, LogOptions } from '../model/logs.js'
import { TaskState } from '../model/task-state.js'
import type { AgentMessage, LogSubscribeMessage } from '../wire/index.js'
import { LogFeed, type TaskLog } from './log-feed.js'
import type { TaskManager } from './task-manager.js'

/** How the publisher reaches the manager. */
export interface LogChannel {
  send(message: AgentMessage): void
  sendFrame(frame: Uint8Array): void
}

interface Subscription {
  readonly message: LogSubscribeMessage
  readonly feed: LogFeed
  readonly abort: AbortController
  readonly taskIds: Set<string>
}

/**
 * Sends the logs of this node's tasks to the readers that managers announce.
 * Behaviour: moby/swarmkit agent/worker.go, Subscribe.
 */
export class LogPublisher {
  readonly #env: Env
  readonly #channel: LogChannel
  readonly #managers: () => Iterable<TaskManager>
  readonly #subscriptions = new Map<string, Subscription>()

  /** @param managers all tasks of the node. */
  constructor(env: Env, channel: LogChannel, managers: () => Iterable<TaskManager>) {
    this.#env = env
    this.#channel = channel
    this.#managers = managers
  }

  subscribe(message: LogSubscribeMessage): void {
    const { subscriptionId, options } = message
    this.unsubscribe(subscriptionId)
    const abort = new AbortController()
    const feed = new LogFeed(this.#env, this.#channel, subscriptionId, abort.signal)
    const subscription: Subscription = { message, feed, abort, taskIds: new Set() }
    this.#subscriptions.set(subscriptionId, subscription)
    const reads = [...this.#managers()].flatMap((manager) => this.#join(subscription, manager))
    if (options.follow) {
      for (const read of reads) feed.follow(read)
      return
    }
    feed
      .merge(reads)
      .then((errors) => {
        if (abort.signal.aborted) return
        this.#subscriptions.delete(subscriptionId)
        this.#channel.send({ type: 'log-end', subscriptionId, errors })
      })
      .catch((error: unknown) => {
        this.#env.log.error({ err: errorText(error) }, 'logs could not be sent')
      })
  }

  unsubscribe(subscriptionId: string): void {
    this.#subscriptions.get(subscriptionId)?.abort.abort(new Error('the reader is gone'))
    this.#subscriptions.delete(subscriptionId)
  }

  credit(subscriptionId: string, bytes: number): void {
    this.#subscriptions.get(subscriptionId)?.feed.credit(bytes)
  }

  /** The session ended: the readers ask again where they still want something. */
  reset(): void {
    for (const id of this.#subscriptions.keys()) this.unsubscribe(id)
  }

  /** A task came to the node. */
  taskStarted(manager: TaskManager): void {
    for (const subscription of this.#subscriptions.values()) {
      if (!subscription.message.options.follow) continue
      for (const read of this.#join(subscription, manager)) subscription.feed.follow(read)
    }
  }

  /** The task's log if the subscription is about it and does not have it yet. */
  #join(subscription: Subscription, manager: TaskManager): TaskLog[] {
    const { message, abort, taskIds } = subscription
    const { id, serviceId } = manager.task
    const isWanted =
      message.taskIds.includes(id) || (serviceId !== undefined && message.serviceIds.includes(serviceId))
    if (!isWanted || taskIds.has(id)) return []
    taskIds.add(id)
    return [{ taskId: id, messages: readLog(manager, message.options, abort.signal) }]
  }
}

/** A follower waits for the container; without following, one that was never made has no log. */
async function* readLog(
  manager: TaskManager,
  options: LogOptions,
  signal: AbortSignal,
): AsyncGenerator<LogMessage, void, undefined> {
  if (options.follow) await manager.reached(TaskState.Starting, signal)
  const { state } = manager.status
  if (state < TaskState.Starting || state === TaskState.Rejected) return
  const controller = manager.resolve()
  if (controller !== undefined) yield* controller.logs(options, signal)
}
