import { isDeepStrictEqual } from 'node:util'
import type { Env } from '../env/env.js'
import { sleep } from '../env/env.js'
import { TaskError, type AssignedTask, type Controller } from '../executor/interface.js'
import { errorText } from '../model/errors.js'
import type { ContainerStatus, TaskStatus } from '../model/objects.js'
import { TaskState } from '../model/task-state.js'
import { maxStatusTextLength } from '../wire/index.js'
import { failedState, isSameStep, nextStep, type Step } from './next-step.js'

type Act = Extract<Step, { readonly kind: 'act' }>

/** What a task manager asks of the worker. */
export interface TaskManagerHost {
  /** @throws whatever the executor throws: the task is then refused. */
  controller(task: AssignedTask): Controller
  /** Keeps the status and reports it. */
  onStatus(taskId: string, status: TaskStatus): void
  /** Resolves when all is known that `prepare` and `start` read; rejects with the signal's reason. */
  whenReady(task: AssignedTask, signal: AbortSignal): Promise<void>
}

/** A step that failed for a passing reason is tried again after so long, doubled each time up to the limit. */
const retryDelayMs = 1000
const maxRetryDelayMs = 30_000

/**
 * Steps one task through its life, one step at a time, until it is closed. It never ends by itself: what
 * is desired may change at any time.
 */
export class TaskManager {
  readonly #env: Env
  readonly #host: TaskManagerHost
  #task: AssignedTask
  #status: TaskStatus
  #controller: Controller | undefined
  #isUpdated = false
  #step: Step = { kind: 'idle' }
  #abort = new AbortController()
  #wake: (() => void) | undefined
  #retries = 0
  #closed = false
  readonly #watchers = new Set<() => void>()
  #running: Promise<void> | undefined

  constructor(env: Env, host: TaskManagerHost, task: AssignedTask, status: TaskStatus) {
    this.#env = env
    this.#host = host
    this.#task = task
    this.#status = status
  }

  get task(): AssignedTask {
    return this.#task
  }

  get status(): TaskStatus {
    return this.#status
  }

  /** Resolves when the task is in `state` or past it; rejects with the signal's reason. */
  reached(state: TaskState, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const look = () => {
        if (!signal.aborted && this.#status.state < state) return
        this.#watchers.delete(look)
        signal.removeEventListener('abort', look)
        if (signal.aborted) reject(signal.reason as Error)
        else resolve()
      }
      this.#watchers.add(look)
      signal.addEventListener('abort', look)
      look()
    })
  }

  start(): void {
    this.#running ??= this.#run()
  }

  /** A newer version of the task. What is desired never goes back. */
  update(task: AssignedTask): void {
    const known = this.#task
    const desiredState =
      task.desiredState < this.#task.desiredState ? this.#task.desiredState : task.desiredState
    this.#task = { ...task, desiredState }
    if (isSameTask(known, this.#task)) return
    this.#isUpdated = true
    // Waiting can be taken up again at any time; all else goes on while it is still what is wanted.
    const isWaiting = this.#step.kind === 'act' && this.#step.action === 'wait'
    if (isWaiting || !isSameStep(this.#step, this.#nextStep()))
      this.#abort.abort(new Error('the task is to do something else'))
    this.#wake?.()
  }

  /** Stops stepping. The container stays as it is. */
  async close(): Promise<void> {
    this.#closed = true
    this.#abort.abort(new Error('the agent gives the task up'))
    this.#wake?.()
    await this.#running
    await this.#controller?.close()
  }

  /** Stops stepping and removes all that the task left on the node. */
  async remove(signal: AbortSignal): Promise<void> {
    this.#closed = true
    this.#abort.abort(new Error('the task is to be removed'))
    this.#wake?.()
    await this.#running
    await this.resolve()?.remove(signal)
    await this.#controller?.close()
  }

  #nextStep(): Step {
    return nextStep(this.#status.state, this.#task.desiredState)
  }

  async #run(): Promise<void> {
    while (!this.#closed) {
      try {
        await this.#once()
      } catch (error) {
        // Nothing of a task may end its stepping for good.
        this.#env.log.error({ task: this.#task.id, err: errorText(error) }, 'a step of the task broke')
        await this.#backOff()
      }
    }
  }

  async #once(): Promise<void> {
    this.#abort = new AbortController()
    this.#step = this.#nextStep()
    if (this.#isUpdated) {
      this.#isUpdated = false
      await this.#controller?.update(this.#task)
    } else if (this.#step.kind === 'idle') {
      await this.#change()
    } else if (this.resolve() === undefined) {
      // Refused, which was noted: there is nothing to do.
    } else if (this.#step.kind === 'enter') {
      await this.#enter(this.#step.state, this.#step.message)
    } else {
      await this.#act(this.#step)
    }
  }

  /** Waits until there may be something to do. */
  async #change(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#wake = resolve
      if (this.#closed || this.#isUpdated) resolve()
    })
    this.#wake = undefined
  }

  /** The task's controller, or undefined when the executor refuses the task, which is then noted. */
  resolve(): Controller | undefined {
    if (this.#controller !== undefined) return this.#controller
    try {
      this.#controller = this.#host.controller(this.#task)
    } catch (error) {
      if (this.#status.state <= TaskState.Running) {
        this.#note({
          ...this.#status,
          state: failedState(this.#status.state),
          message: 'resolving controller failed',
          err: errorText(error),
        })
      }
    }
    return this.#controller
  }

  async #act(step: Act): Promise<void> {
    const { signal } = this.#abort
    try {
      if (step.action === 'prepare' || step.action === 'start') await this.#host.whenReady(this.#task, signal)
      await this.resolve()?.[step.action](signal)
    } catch (error) {
      // Given up for another step, which comes to its own end.
      if (signal.aborted) return
      if (error instanceof TaskError && error.temporary) await this.#retryLater(error)
      else await this.#fail(error)
      return
    }
    this.#retries = 0
    await this.#enter(step.state, step.message)
  }

  async #enter(state: TaskState, message: string): Promise<void> {
    if (state < TaskState.Starting) {
      this.#note({ state, message })
      return
    }
    const container = await this.#container()
    const ports = state === TaskState.Running ? await this.#ports() : undefined
    this.#note({
      state,
      message,
      ...(container === undefined ? {} : { container }),
      ...(ports === undefined ? {} : { ports }),
    })
  }

  async #fail(error: unknown): Promise<void> {
    const known = this.#status.state < TaskState.Starting ? undefined : await this.#container()
    const exitCode = error instanceof TaskError ? error.exitCode : undefined
    const container = known === undefined || exitCode === undefined ? known : { ...known, exitCode }
    this.#note({
      state: failedState(this.#status.state),
      message: this.#status.message,
      err: errorText(error),
      ...(container === undefined ? {} : { container }),
    })
  }

  async #retryLater(error: TaskError): Promise<void> {
    const text = errorText(error)
    this.#env.log.debug({ task: this.#task.id, err: text }, 'a step of the task is tried again later')
    if (this.#status.err !== text) this.#note({ ...this.#status, err: text })
    await this.#backOff()
  }

  async #backOff(): Promise<void> {
    const delayMs = Math.min(retryDelayMs * 2 ** this.#retries++, maxRetryDelayMs)
    const jitterMs = this.#env.randomInt(Math.ceil(delayMs / 4))
    await sleep(this.#env, delayMs + jitterMs, this.#abort.signal).catch(() => undefined)
  }

  async #container(): Promise<ContainerStatus | undefined> {
    try {
      return (await this.#controller?.containerStatus()) ?? this.#status.container
    } catch (error) {
      this.#env.log.warn({ task: this.#task.id, err: errorText(error) }, 'the container cannot be looked at')
      return this.#status.container
    }
  }

  async #ports(): Promise<TaskStatus['ports']> {
    try {
      const ports = await this.#controller?.portStatus()
      return ports?.length === 0 ? undefined : ports
    } catch (error) {
      this.#env.log.warn({ task: this.#task.id, err: errorText(error) }, 'the ports cannot be looked at')
      return undefined
    }
  }

  #note(status: Omit<TaskStatus, 'timestampMs'>): void {
    this.#status = {
      ...status,
      message: cut(status.message),
      ...(status.err === undefined ? {} : { err: cut(status.err) }),
      timestampMs: this.#env.nowMs(),
    }
    this.#host.onStatus(this.#task.id, this.#status)
    for (const look of this.#watchers) look()
  }
}

/** Whether nothing changed that a controller could want to know. */
function isSameTask(a: AssignedTask, b: AssignedTask): boolean {
  const { status: _statusA, version: _versionA, ...partsA } = a
  const { status: _statusB, version: _versionB, ...partsB } = b
  return isDeepStrictEqual(partsA, partsB)
}

function cut(text: string): string {
  return text.length <= maxStatusTextLength ? text : `${text.slice(0, maxStatusTextLength - 1)}…`
}
