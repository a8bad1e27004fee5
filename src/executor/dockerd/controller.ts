import type { ContainerInspect } from '../../engine/types.js'
import { sleep, type Env } from '../../env/env.js'
import { errorText, SwarmError } from '../../model/errors.js'
import type { LogMessage, LogOptions } from '../../model/logs.js'
import { taskName, type ContainerStatus } from '../../model/objects.js'
import type { PortConfig } from '../../model/spec/index.js'
import type { Attacher } from '../attacher.js'
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
import type { EngineApi } from './api.js'
import type { ContainerEvents } from './container-events.js'
import type { FileStore } from './file-store.js'
import { logQuery, readLog } from './log-reader.js'

/** What all controllers of one executor share. */
export interface ControllerHost {
  readonly env: Env
  readonly api: EngineApi
  readonly events: ContainerEvents
  readonly files: FileStore
  readonly attacher: Attacher
  /** Takes local images without asking their registry. */
  readonly preferOfflineImage: boolean
}

/** Events should tell everything; this is for those that never came. */
const lookAgainMs = 60_000
const engineRetryMs = 500
const inBetweenMs = 1000
const removalRetryMs = 100
const conflictRetryMs = 100
const conflictAttempts = 50

/** Steps one container of a Docker engine. */
export class DockerController implements Controller {
  readonly #host: ControllerHost
  readonly #dependencies: Dependencies
  #task: AssignedTask

  constructor(host: ControllerHost, task: AssignedTask, dependencies: Dependencies) {
    this.#host = host
    this.#task = task
    this.#dependencies = dependencies
  }

  update(task: AssignedTask): Promise<void> {
    this.#task = task
    return Promise.resolve()
  }

  async prepare(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    const task = this.#task
    const image = familiarImage(containerSpecOf(task).Image ?? '')
    // Before anything is made: what cannot work shall leave nothing behind.
    const files = planFiles(task, this.#dependencies)
    containerConfig(task, this.#dependencies)
    await this.#engineStep(signal, async () => {
      if ((await this.#inspect(signal)) !== undefined) return
      await this.#ensureImage(image, signal)
      await this.#createVolumes(signal)
      const network = await this.#host.attacher.plan(task, signal)
      const mounts = await this.#host.files.write(task.id, files)
      const body = containerConfig(task, this.#dependencies, mounts, network)
      try {
        await this.#host.api.createContainer(taskName(task), body, signal)
      } catch (error) {
        await this.#afterCreateFailed(error, image, signal)
      }
    })
  }

  /** Volumes with a driver or labels of their own. Others the engine makes along with the container. */
  async #createVolumes(signal: AbortSignal): Promise<void> {
    const { HostConfig } = containerConfig(this.#task, this.#dependencies)
    for (const { Type, Source = '', VolumeOptions: options } of HostConfig?.Mounts ?? []) {
      if (Type !== 'volume' || Source === '' || options === undefined) continue
      const { Labels, DriverConfig } = options
      const isPlain = Object.keys(Labels ?? {}).length === 0 && !DriverConfig
      if (!isPlain) {
        await this.#host.api.createVolume(
          {
            Name: Source,
            Driver: DriverConfig?.Name ?? '',
            DriverOpts: DriverConfig?.Options ?? {},
            Labels: Labels ?? {},
          },
          signal,
        )
      }
    }
  }

  async #afterCreateFailed(error: unknown, image: string, signal: AbortSignal): Promise<void> {
    if (!(error instanceof SwarmError)) throw error
    const isConflict = error.code === 'AlreadyExists' || /name .* is already in use/.test(error.message)
    if (isConflict && (await this.#isMade(signal))) return
    if (error.code === 'NotFound' && /no such image/i.test(error.message)) {
      throw new TaskError(`No such image: ${image}`, { cause: error })
    }
    const bind = /bind source path does not exist: (.*)$/.exec(error.message)
    if (bind !== null) {
      throw new TaskError(`invalid bind mount source, source path not found: ${bind[1] ?? ''}`, {
        cause: error,
      })
    }
    throw error
  }

  /**
   * Whether a call whose answer never came has made the container, or one that is still at it: the engine
   * takes the name before others can see the container.
   */
  async #isMade(signal: AbortSignal): Promise<boolean> {
    for (let attempt = 0; attempt < conflictAttempts; attempt++) {
      if ((await this.#inspect(signal)) !== undefined) return true
      await sleep(this.#host.env, conflictRetryMs, signal)
    }
    return false
  }

  /**
   * Pulls, as Docker does, even where the image is there, since its tag may have moved; a failed pull
   * matters only without a local image. Behaviour: moby daemon/cluster/executor/container/controller.go.
   */
  async #ensureImage(image: string, signal: AbortSignal): Promise<void> {
    const { api, env, preferOfflineImage } = this.#host
    const isFixed = image.includes('@') || /^(?:sha256:)?[0-9a-f]{64}$/.test(image)
    if ((isFixed || preferOfflineImage) && (await api.hasImage(image, signal))) return
    try {
      await api.pullImage(image, this.#task.registryAuth, signal)
    } catch (error) {
      if (signal.aborted) throw error
      env.log.warn({ taskId: this.#task.id, image, err: errorText(error) }, 'pulling image failed')
      if (!(await api.hasImage(image, signal))) {
        throw new TaskError(`No such image: ${image}`, { cause: error })
      }
    }
  }

  async start(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    const container = await this.#engineStep(signal, () => this.#mustInspect(signal))
    if (isCreated(container)) await this.#startCreated(container, signal)
    const hasCheck = (state: ContainerInspect) => !['none', ''].includes(state.State.Health?.Status ?? 'none')
    const started = await this.#until(
      signal,
      (state) => hasEnded(state) || (state.State.Running && !isHealthStarting(state)),
    )
    if (started.State.Running && !isUnhealthy(started)) return
    // One that ended at once, without a check: it has started all the same, and `wait` tells how it ended.
    if (!started.State.Running && !hasCheck(started)) return
    await this.#reportEnd(started, signal)
  }

  async #startCreated(container: ContainerInspect, signal: AbortSignal): Promise<void> {
    // A host that went down between the steps has lost its tmpfs.
    await this.#host.files.write(this.#task.id, planFiles(this.#task, this.#dependencies))
    try {
      await this.#host.api.startContainer(container.Id, signal)
    } catch (error) {
      if (signal.aborted) throw error
      const temporary = error instanceof SwarmError && error.code === 'Unavailable'
      throw startError(errorText(error), { cause: error, temporary })
    }
  }

  async wait(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    await this.#reportEnd(await this.#until(signal, (state) => hasEnded(state) || isUnhealthy(state)), signal)
  }

  /** @throws {TaskError} how the container ended; one that runs unhealthily is stopped first. */
  async #reportEnd(container: ContainerInspect, signal: AbortSignal): Promise<void> {
    let ended = container
    const unhealthy = isUnhealthy(container)
    if (unhealthy) {
      await this.shutdown(signal)
      ended = await this.#until(signal, hasEnded)
    }
    const { ExitCode, Error: text } = ended.State
    const error = exitError(ExitCode, unhealthy ? unhealthyText : text)
    if (error !== undefined) throw error
  }

  async shutdown(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    await this.#engineStep(signal, async () => {
      const container = await this.#inspect(signal)
      if (container === undefined) return
      const { Running, Status } = container.State
      if (Running || Status === 'restarting') await this.#stop(container.Id, signal)
    })
    await this.#host.attacher.release(this.#task)
  }

  async #stop(id: string, signal: AbortSignal): Promise<void> {
    try {
      await this.#host.api.stopContainer(id, stopTimeoutSeconds(this.#task), signal)
    } catch (error) {
      if (!isNotFound(error)) throw error
    }
  }

  async remove(signal: AbortSignal): Promise<void> {
    await this.shutdown(signal)
    await this.#engineStep(signal, async () => {
      for (;;) {
        const container = await this.#inspect(signal)
        if (container === undefined) break
        try {
          await this.#host.api.removeContainer(container.Id, signal)
        } catch (error) {
          // A removal that another call began is waited for by looking again.
          const inProgress = error instanceof SwarmError && error.code === 'AlreadyExists'
          if (!isNotFound(error) && !inProgress) throw error
          await sleep(this.#host.env, removalRetryMs, signal)
        }
      }
      await this.#host.files.remove(this.#task.id)
    })
  }

  async containerStatus(): Promise<ContainerStatus | undefined> {
    const container = await this.#inspect()
    if (container === undefined) return undefined
    const { Pid, ExitCode } = container.State
    return { containerId: container.Id, pid: Pid, exitCode: ExitCode }
  }

  async portStatus(): Promise<readonly PortConfig[]> {
    const container = await this.#inspect()
    const ports = new Map<string, PortConfig>()
    for (const [key, bindings] of Object.entries(container?.NetworkSettings.Ports ?? {})) {
      const [target, protocol = 'tcp'] = key.split('/')
      for (const { HostPort = '' } of bindings ?? []) {
        // Engines list a port once for each address family.
        ports.set(`${key} ${HostPort}`, {
          Protocol: protocol,
          TargetPort: Number(target),
          PublishedPort: Number(HostPort),
          PublishMode: 'host',
        })
      }
    }
    return [...ports.values()]
  }

  async *logs(options: LogOptions, signal: AbortSignal): AsyncGenerator<LogMessage, void, undefined> {
    try {
      const container = options.follow
        ? await this.#until(signal, (state) => !isCreated(state))
        : await this.#inspect(signal)
      if (container === undefined || (!options.stdout && !options.stderr)) return
      const { api } = this.#host
      // Podman has no details, and what it makes of the option is no space either.
      const details = api.engine.kind === 'docker'
      const body = await api.logs(container.Id, logQuery(options, details), signal)
      yield* readLog(body, { tty: container.Config.Tty, details, sinceMs: options.sinceMs })
    } catch (error) {
      if (signal.aborted || isNotFound(error) || isDestroyed(error)) return
      throw error
    }
  }

  close(): Promise<void> {
    return Promise.resolve()
  }

  /** The task's container, or undefined. */
  async #inspect(signal?: AbortSignal): Promise<ContainerInspect | undefined> {
    try {
      const container = await this.#host.api.inspectContainer(taskName(this.#task), signal)
      return container.Config.Labels?.[taskIdLabel] === this.#task.id ? container : undefined
    } catch (error) {
      if (isNotFound(error)) return undefined
      throw error
    }
  }

  async #mustInspect(signal: AbortSignal): Promise<ContainerInspect> {
    const container = await this.#inspect(signal)
    if (container === undefined) throw new TaskError(destroyedText)
    return container
  }

  /**
   * Looks at the container until `done` holds, sitting out an engine that cannot be reached.
   * @throws {TaskError} when it is gone.
   */
  async #until(
    signal: AbortSignal,
    done: (container: ContainerInspect) => boolean,
  ): Promise<ContainerInspect> {
    let changed = true
    let wake = (): void => undefined
    let off: (() => void) | undefined
    let diedWith: number | undefined
    try {
      for (;;) {
        signal.throwIfAborted()
        changed = false
        let waitMs = lookAgainMs
        try {
          const container = await this.#mustInspect(signal)
          if (isInBetween(container.State.Status)) waitMs = inBetweenMs
          // Listen first, then look: what happens in between is seen.
          if (off !== undefined && done(container)) return container
          if (off === undefined) {
            if (done(container)) return container
            off = this.#host.events.listen(container.Id, (exitCode) => {
              diedWith = exitCode ?? diedWith
              changed = true
              wake()
            })
            continue
          }
        } catch (error) {
          // Removed faster than one can look: its end was seen all the same.
          if (isDestroyed(error) && diedWith !== undefined) throw exitError(diedWith) ?? error
          if (signal.aborted || error instanceof TaskError) throw error
          if (!isUnavailable(error)) throw new TaskError(errorText(error), { cause: error })
          waitMs = engineRetryMs
        }
        if (changed && waitMs !== engineRetryMs) continue
        await this.#pause(waitMs, signal, (resolve) => {
          wake = resolve
        })
      }
    } finally {
      off?.()
    }
  }

  /** Resolves after `ms`, or when the function that `onWake` gets is called. Rejects on abort. */
  #pause(ms: number, signal: AbortSignal, onWake: (wake: () => void) => void): Promise<void> {
    return new Promise((resolve, reject) => {
      const finish = (settle: () => void) => {
        cancel()
        signal.removeEventListener('abort', onAbort)
        settle()
      }
      const onAbort = () => finish(() => reject(signal.reason as Error))
      const cancel = this.#host.env.after(ms, () => finish(resolve))
      signal.addEventListener('abort', onAbort, { once: true })
      onWake(() => finish(resolve))
    })
  }

  /** Runs a step; whatever the engine has against it becomes the task's error. */
  async #engineStep<T>(signal: AbortSignal, step: () => Promise<T>): Promise<T> {
    try {
      return await step()
    } catch (error) {
      if (signal.aborted || error instanceof TaskError) throw error
      throw new TaskError(errorText(error), { cause: error, temporary: isUnavailable(error) })
    }
  }
}

const isCreated = ({ State }: ContainerInspect): boolean =>
  State.Status === 'created' || State.Status === 'configured' || State.Status === 'initialized'

/** For good, with an exit code that counts: engines show states in between, in which it is 0. */
const hasEnded = ({ State }: ContainerInspect): boolean => !State.Running && !isInBetween(State.Status)

const isInBetween = (status: string): boolean => ['removing', 'stopping', 'stopped'].includes(status)

const isHealthStarting = ({ State }: ContainerInspect): boolean => State.Health?.Status === 'starting'

const isUnhealthy = ({ State }: ContainerInspect): boolean =>
  State.Running && State.Health?.Status === 'unhealthy'

const hasCode = (error: unknown, code: SwarmError['code']): boolean =>
  error instanceof SwarmError && error.code === code

/** Podman answers 500 where a container goes while it is being looked at. */
const isNotFound = (error: unknown): boolean =>
  hasCode(error, 'NotFound') || (error instanceof SwarmError && /no such container/i.test(error.message))
const isUnavailable = (error: unknown): boolean => hasCode(error, 'Unavailable')
const isDestroyed = (error: unknown): boolean => error instanceof TaskError && error.message === destroyedText
