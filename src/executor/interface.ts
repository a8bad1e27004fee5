import type { Env } from '../env/env.js'
import type { AssignedTask } from '../model/assigned-task.js'
import type { LogMessage, LogOptions } from '../model/logs.js'
import type { ContainerStatus, Service } from '../model/objects.js'
import type { NodeDescription, PortConfig } from '../model/spec/index.js'

/**
 * What the agent needs of a container engine. Two implementations, `dockerd/` and `sim/`, pass the same
 * contract suite.
 */
export interface Executor {
  /** What this node offers: platform, resources, engine version, plugins. `TLSInfo` is the agent's to add. */
  describe(): Promise<NodeDescription>
  /**
   * The controller of one task. Cheap, touches nothing; a container left by an earlier run of the daemon
   * is found (by its `com.docker.swarm.task.id` label) and adopted by `prepare`, `start` and `wait`.
   */
  controller(task: AssignedTask, dependencies: Dependencies): Controller
  /**
   * Task IDs of all containers of the swarm node `nodeId` that exist here, so that those without a task
   * can be removed at start.
   */
  listTaskContainers(
    nodeId: string,
  ): Promise<readonly { readonly taskId: string; readonly containerId: string }[]>
  /** Force-removes the container of a task that the agent no longer knows. */
  removeTaskContainer(containerId: string): Promise<void>
  close(): Promise<void>
}

/** What a task may read: exactly the secrets and configs that it references, and its node. */
export interface Dependencies {
  secret(
    id: string,
  ): { readonly name: string; readonly data: Buffer; readonly templating?: string } | undefined
  config(
    id: string,
  ): { readonly name: string; readonly data: Buffer; readonly templating?: string } | undefined
  readonly node: {
    readonly id: string
    readonly hostname: string
    readonly platform: { readonly Architecture: string; readonly OS: string }
  }
  readonly service?: Pick<Service, 'id'> & {
    readonly name: string
    readonly labels: Readonly<Record<string, string>>
  }
}

/**
 * Steps one task's container through its life. Every method is idempotent: the agent may have died after
 * the effect and before it noted it. All may reject with a `TaskError`; with `signal` aborted they reject
 * soon and leave a state from which they can be called again.
 * Behaviour: moby/swarmkit agent/exec/controller.go.
 */
export interface Controller {
  /** A newer version of the task (desired state, labels). Never changes what the container is made of. */
  update(task: AssignedTask): Promise<void>
  /** Image, networks, volumes, container: after it `start` can only fail for the process's own reasons. */
  prepare(signal: AbortSignal): Promise<void>
  /** Resolves when the container runs and, with a health check, is healthy. */
  start(signal: AbortSignal): Promise<void>
  /**
   * Resolves when the container ended with 0; rejects with a fatal `TaskError` such as
   * `task: non-zero exit (1)` otherwise.
   */
  wait(signal: AbortSignal): Promise<void>
  /** Stops the container with its stop signal and grace period. Resolves when it has stopped. */
  shutdown(signal: AbortSignal): Promise<void>
  /** Removes all that the task left on the node. */
  remove(signal: AbortSignal): Promise<void>
  /** ID, pid and exit code as far as known. */
  containerStatus(): Promise<ContainerStatus | undefined>
  /** Host-mode ports with their real numbers. */
  portStatus(): Promise<readonly PortConfig[]>
  /** Lines of the container's log, oldest first; ends when the log ends, or with `signal`. */
  logs(options: LogOptions, signal: AbortSignal): AsyncIterable<LogMessage>
  /** Forgets the task without touching its container. */
  close(): Promise<void>
}

/**
 * A step failed. `temporary`: to be tried again after a while. Else the task ends: REJECTED before
 * STARTING, FAILED from there on; `message` becomes `Status.Err`.
 */
export class TaskError extends Error {
  override readonly name = 'TaskError'
  readonly temporary: boolean
  /** Exit code where the container had one. */
  readonly exitCode: number | undefined

  constructor(message: string, options: { temporary?: boolean; exitCode?: number; cause?: unknown } = {}) {
    super(message, { cause: options.cause })
    this.temporary = options.temporary ?? false
    this.exitCode = options.exitCode
  }
}

export type ExecutorFactory = (env: Env) => Promise<Executor>

export type { AssignedTask, LogMessage, LogOptions }
