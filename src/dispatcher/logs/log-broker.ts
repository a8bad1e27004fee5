import type { Env } from '../../env/env.js'
import { newId } from '../../env/id.js'
import { SwarmError, clusterError } from '../../model/errors.js'
import type { LogOptions, LogSelector, TaskLogMessage } from '../../model/logs.js'
import type { Task } from '../../model/objects.js'
import { TaskState } from '../../model/task-state.js'
import type { Commit, View } from '../../store/store.js'
import type { LogFrame, ManagerMessage } from '../../wire/index.js'
import { LogSubscription } from './log-subscription.js'

interface NodeSession {
  send(message: ManagerMessage): void
}

/**
 * Brings readers of logs together with the nodes whose tasks write them.
 * Behaviour: moby/swarmkit manager/logbroker.
 */
export class LogBroker {
  readonly #env: Env
  readonly #view: View
  readonly #session: (nodeId: string) => NodeSession | undefined
  readonly #subscriptions = new Map<string, LogSubscription>()

  /** @param session the open session of a node. */
  constructor(env: Env, view: View, session: (nodeId: string) => NodeSession | undefined) {
    this.#env = env
    this.#view = view
    this.#session = session
  }

  /** See `Dispatcher.logs`. The subscription begins with the first read. */
  static async *read(
    broker: LogBroker | undefined,
    selector: LogSelector,
    options: LogOptions,
    signal: AbortSignal,
  ): AsyncGenerator<TaskLogMessage, void, undefined> {
    if (selector.serviceIds.length === 0 && selector.taskIds.length === 0)
      throw clusterError('InvalidArgument', 'log selector must not be empty')
    if (broker === undefined) throw new SwarmError('Unavailable', 'this manager does not lead the swarm')
    yield* broker.#subscribe(selector, options, signal)
  }

  async *#subscribe(
    selector: LogSelector,
    options: LogOptions,
    signal: AbortSignal,
  ): AsyncGenerator<TaskLogMessage, void, undefined> {
    if (signal.aborted) return
    const subscription = new LogSubscription(newId(this.#env), selector, options, this.#session)
    const onAbort = () => subscription.cancel()
    signal.addEventListener('abort', onAbort, { once: true })
    this.#subscriptions.set(subscription.id, subscription)
    try {
      for (const task of this.#tasks(selector)) this.#include(subscription, task)
      for (const taskId of selector.taskIds) {
        if (this.#view.tasks.get(taskId) === undefined) subscription.missing(`task ${taskId} not found`)
      }
      yield* subscription.read()
    } finally {
      this.#subscriptions.delete(subscription.id)
      signal.removeEventListener('abort', onAbort)
      subscription.cancel()
    }
  }

  stop(): void {
    for (const subscription of this.#subscriptions.values()) {
      subscription.fail(clusterError('Unavailable', 'the manager lost its leadership while it read the logs'))
    }
  }

  onCommit(commit: Commit): void {
    if (this.#subscriptions.size === 0) return
    for (const change of commit.changes) {
      if (change.table !== 'tasks' || change.after === undefined) continue
      for (const subscription of this.#subscriptions.values()) {
        if (subscription.options.follow && subscription.matches(change.after))
          this.#include(subscription, change.after)
      }
    }
  }

  onNodeOpened(nodeId: string): void {
    for (const subscription of this.#subscriptions.values()) subscription.nodeOpened(nodeId)
  }

  onNodeLost(nodeId: string): void {
    for (const subscription of this.#subscriptions.values()) subscription.nodeLost(nodeId)
  }

  onFrame(nodeId: string, frame: LogFrame): void {
    const subscription = this.#subscriptions.get(frame.subscriptionId)
    // Frames that were on their way when the reader went are no fault.
    if (subscription === undefined) return
    const wanted = frame.messages.flatMap((message) => {
      const task = this.#view.tasks.get(message.taskId)
      if (task?.nodeId === nodeId && subscription.matches(task))
        return { ...message, nodeId, serviceId: task.serviceId ?? '' }
      // The task was removed meanwhile; or the node sends what is not its to send.
      subscription.dropped(nodeId, message.data.length)
      return []
    })
    subscription.take(nodeId, wanted)
  }

  onEnd(nodeId: string, subscriptionId: string, errors: readonly string[]): void {
    this.#subscriptions.get(subscriptionId)?.nodeEnded(nodeId, errors)
  }

  #tasks({ serviceIds, taskIds }: LogSelector): readonly Task[] {
    const tasks = new Map<string, Task>()
    for (const serviceId of serviceIds) {
      for (const task of this.#view.tasks.by('service', serviceId)) tasks.set(task.id, task)
    }
    for (const taskId of taskIds) {
      const task = this.#view.tasks.get(taskId)
      if (task !== undefined) tasks.set(taskId, task)
    }
    return [...tasks.values()]
  }

  #include(subscription: LogSubscription, task: Task): void {
    const { follow } = subscription.options
    const isChosen = subscription.selector.taskIds.includes(task.id)
    if (task.nodeId === undefined || task.status.state < TaskState.Assigned) {
      if (isChosen && !follow) subscription.missing(`task ${task.id} has not been scheduled`)
      return
    }
    // A service's tasks that have not run have written nothing.
    if (!follow && !isChosen && task.status.state < TaskState.Running) return
    subscription.addNode(task.nodeId)
  }
}
