import type { SimContainer } from '../../engine/sim/container.js'
import { simLogs } from '../../engine/sim/logs.js'
import type { SimWorld } from '../../engine/sim/world.js'
import { errorText } from '../../model/errors.js'
import type { LogMessage, LogOptions } from '../../model/logs.js'
import { taskName, type ContainerStatus } from '../../model/objects.js'
import { defaultSimBehaviour, parseSimLabels } from '../../model/sim-labels.js'
import type { PortConfig } from '../../model/spec/index.js'
import { abortable } from '../abort.js'
import {
  containerConfig,
  containerSpecOf,
  familiarImage,
  stopTimeoutSeconds,
  taskIdLabel,
} from '../container-config.js'
import { TaskError, type AssignedTask, type Controller, type Dependencies } from '../interface.js'
import { planFiles } from '../secret-files.js'
import { destroyedText, exitError, startError, unhealthyText } from '../task-errors.js'

/** Steps one simulated container. */
export class SimController implements Controller {
  readonly #world: SimWorld
  readonly #dependencies: Dependencies
  #task: AssignedTask
  #container: SimContainer | undefined

  constructor(world: SimWorld, task: AssignedTask, dependencies: Dependencies) {
    this.#world = world
    this.#task = task
    this.#dependencies = dependencies
  }

  update(task: AssignedTask): Promise<void> {
    this.#task = task
    return Promise.resolve()
  }

  async prepare(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    if (this.#find() !== undefined) return
    const task = this.#task
    const spec = containerSpecOf(task)
    const image = familiarImage(spec.Image ?? '')
    // Nothing reads the files; but what is missing or cannot be expanded must fail as on a real engine.
    planFiles(task, this.#dependencies)
    const { pull } = { ...defaultSimBehaviour, ...asTaskError(() => parseSimLabels(spec.Labels ?? {})) }
    if (pull === 'fail') throw new TaskError(`No such image: ${image}`)
    await this.#world.images.pull(image, pull, signal)
    signal.throwIfAborted()
    if (this.#find() !== undefined) return
    const body = () => containerConfig(task, this.#dependencies)
    this.#container = asTaskError(() => this.#world.create(taskName(task), body))
  }

  async start(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    const container = this.#mustFind()
    if (container.state === 'created') {
      try {
        await abortable(signal, container.start())
      } catch (error) {
        if (signal.aborted) throw error
        throw startError(errorText(error), { cause: error })
      }
    }
    if (!container.make.hasHealthcheck) return
    await this.#until(
      container,
      signal,
      () =>
        container.state !== 'running' || container.health === 'healthy' || container.health === 'unhealthy',
    )
    if (container.state === 'running' && container.health === 'healthy') return
    await this.#reportEnd(container, signal)
  }

  async wait(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    const container = this.#mustFind()
    await this.#until(
      container,
      signal,
      () => container.state !== 'running' || container.health === 'unhealthy',
    )
    await this.#reportEnd(container, signal)
  }

  /** @throws {TaskError} how the container ended; one that runs unhealthily is stopped first. */
  async #reportEnd(container: SimContainer, signal: AbortSignal): Promise<void> {
    const unhealthy = container.state === 'running' && container.health === 'unhealthy'
    if (unhealthy) await this.shutdown(signal)
    if (container.state === 'removed') throw new TaskError(destroyedText)
    const error = exitError(container.exitCode, unhealthy ? unhealthyText : '')
    if (error !== undefined) throw error
  }

  async shutdown(signal: AbortSignal): Promise<void> {
    const container = this.#find()
    if (container === undefined || container.state === 'removed') return
    await abortable(signal, container.stop(stopTimeoutSeconds(this.#task)))
  }

  async remove(signal: AbortSignal): Promise<void> {
    await this.shutdown(signal)
    const container = this.#find()
    if (container !== undefined) this.#world.remove(container, { force: true, volumes: true })
  }

  containerStatus(): Promise<ContainerStatus | undefined> {
    const container = this.#find()
    return Promise.resolve(
      container === undefined
        ? undefined
        : { containerId: container.id, pid: container.pid, exitCode: container.exitCode },
    )
  }

  portStatus(): Promise<readonly PortConfig[]> {
    const ports = this.#find()?.publishedPorts ?? []
    return Promise.resolve(
      ports.map(({ target, protocol, published }) => ({
        Protocol: protocol,
        TargetPort: target,
        PublishedPort: published,
        PublishMode: 'host',
      })),
    )
  }

  async *logs(options: LogOptions, signal: AbortSignal): AsyncGenerator<LogMessage, void, undefined> {
    const container = this.#find()
    if (container === undefined) return
    if (options.follow) {
      try {
        await this.#until(container, signal, () => container.state !== 'created')
      } catch (error) {
        if (signal.aborted) return
        throw error
      }
    }
    yield* simLogs(this.#world.env, container, options, signal)
  }

  close(): Promise<void> {
    return Promise.resolve()
  }

  /** This run's container, or the one that an earlier run of the daemon made. */
  #find(): SimContainer | undefined {
    if (this.#container !== undefined)
      return this.#container.state === 'removed' ? undefined : this.#container
    const found = this.#world.find(taskName(this.#task))
    if (found?.make.labels[taskIdLabel] === this.#task.id) this.#container = found
    return this.#container
  }

  #mustFind(): SimContainer {
    const container = this.#find()
    if (container === undefined) throw new TaskError(destroyedText)
    return container
  }

  #until(container: SimContainer, signal: AbortSignal, done: () => boolean): Promise<void> {
    if (signal.aborted) return Promise.reject(signal.reason as Error)
    if (done()) return Promise.resolve()
    return new Promise((resolve, reject) => {
      const finish = (settle: () => void) => {
        off()
        signal.removeEventListener('abort', onAbort)
        settle()
      }
      const onAbort = () => finish(() => reject(signal.reason as Error))
      const off = container.onChange(() => {
        if (done()) finish(resolve)
      })
      signal.addEventListener('abort', onAbort, { once: true })
    })
  }
}

function asTaskError<T>(run: () => T): T {
  try {
    return run()
  } catch (error) {
    throw error instanceof TaskError ? error : new TaskError(errorText(error), { cause: error })
  }
}
