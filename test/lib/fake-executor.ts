import { sleep, type Env } from '../../src/env/env.js'
import {
  TaskError,
  type AssignedTask,
  type Controller,
  type Dependencies,
  type Executor,
} from '../../src/executor/interface.js'
import type { LogMessage, LogOptions } from '../../src/model/logs.js'
import type { ContainerStatus } from '../../src/model/objects.js'
import type { NodeDescription } from '../../src/model/spec/index.js'

/** How the containers of a task behave; by the image's name. */
export interface Behaviour {
  readonly prepareMs?: number
  readonly startMs?: number
  readonly stopMs?: number
  /** Ends by itself. */
  readonly exit?: { readonly code: number; readonly afterMs: number }
  /** So many temporary failures of `prepare` before it works. */
  readonly prepareFailures?: number
  readonly prepareError?: string
  readonly removeFailures?: number
  readonly log?: readonly { readonly atMs: number; readonly text: string }[]
}

export interface FakeContainer {
  readonly taskId: string
  readonly containerId: string
  readonly nodeId: string
  state: 'created' | 'running' | 'exited'
  exitCode: number
  startedAtMs: number
}

/** An engine in memory that outlives the agents that drive it. */
export class FakeExecutor implements Executor {
  readonly containers = new Map<string, FakeContainer>()
  readonly behaviours = new Map<string, Behaviour>()
  /** `<task ID> <what>` in order. */
  readonly calls: string[] = []
  /** Task IDs in the order in which containers were made. */
  readonly made: string[] = []
  /** What `prepare` found of each task's secrets. */
  readonly secretsSeen = new Map<string, string[]>()
  description: NodeDescription = {
    Hostname: 'engine',
    Platform: { Architecture: 'x86_64', OS: 'linux' },
    Resources: { NanoCPUs: 2e9, MemoryBytes: 1e9 },
  }
  readonly env: Env

  /** @param engine what an earlier executor left: containers outlive the daemon. */
  constructor(env: Env, engine?: FakeExecutor) {
    this.env = env
    if (engine === undefined) return
    this.containers = engine.containers
    this.behaviours = engine.behaviours
    this.made = engine.made
  }

  describe(): Promise<NodeDescription> {
    return Promise.resolve(this.description)
  }

  controller(task: AssignedTask, dependencies: Dependencies): Controller {
    if (task.spec.ContainerSpec === undefined) throw new Error('only containers here')
    return new FakeController(this, task, dependencies)
  }

  async listTaskContainers(nodeId: string) {
    await sleep(this.env, 0)
    return [...this.containers.values()].filter((container) => container.nodeId === nodeId)
  }

  async removeTaskContainer(containerId: string): Promise<void> {
    await sleep(this.env, 0)
    for (const [taskId, container] of this.containers) {
      if (container.containerId === containerId) this.containers.delete(taskId)
    }
  }

  close(): Promise<void> {
    return Promise.resolve()
  }

  stateOf(taskId: string): FakeContainer['state'] | undefined {
    return this.containers.get(taskId)?.state
  }

  /** The task's process ends by itself. */
  ends(taskId: string, exitCode: number): void {
    const container = this.containers.get(taskId)
    if (container === undefined) throw new Error(`no container of ${taskId}`)
    container.state = 'exited'
    container.exitCode = exitCode
  }

  behaviour(task: AssignedTask): Behaviour {
    return this.behaviours.get(task.spec.ContainerSpec?.Image ?? '') ?? {}
  }
}

class FakeController implements Controller {
  readonly #executor: FakeExecutor
  readonly #env: Env
  readonly #task: AssignedTask
  readonly #dependencies: Dependencies
  #prepareFailures = 0
  #removeFailures = 0

  constructor(executor: FakeExecutor, task: AssignedTask, dependencies: Dependencies) {
    this.#executor = executor
    this.#env = executor.env
    this.#task = task
    this.#dependencies = dependencies
  }

  update(): Promise<void> {
    this.#called('update')
    return Promise.resolve()
  }

  async prepare(signal: AbortSignal): Promise<void> {
    this.#called('prepare')
    const { prepareMs = 0, prepareFailures = 0, prepareError } = this.#executor.behaviour(this.#task)
    await sleep(this.#env, prepareMs, signal)
    if (this.#prepareFailures++ < prepareFailures)
      throw new TaskError('the engine is busy', { temporary: true })
    if (prepareError !== undefined) throw new TaskError(prepareError)
    this.#executor.secretsSeen.set(this.#task.id, this.#secrets())
    if (this.#container !== undefined) return
    this.#executor.made.push(this.#task.id)
    this.#executor.containers.set(this.#task.id, {
      taskId: this.#task.id,
      containerId: `container-of-${this.#task.id}`,
      nodeId: this.#task.nodeId ?? '',
      state: 'created',
      exitCode: 0,
      startedAtMs: 0,
    })
  }

  async start(signal: AbortSignal): Promise<void> {
    this.#called('start')
    const container = this.#mustFind()
    if (container.state !== 'created') return
    await sleep(this.#env, this.#executor.behaviour(this.#task).startMs ?? 0, signal)
    container.state = 'running'
    container.startedAtMs = this.#env.monotonicMs()
  }

  async wait(signal: AbortSignal): Promise<void> {
    this.#called('wait')
    for (;;) {
      const container = this.#mustFind()
      const { exit } = this.#executor.behaviour(this.#task)
      const ranMs = this.#env.monotonicMs() - container.startedAtMs
      if (container.state === 'running' && exit !== undefined && ranMs >= exit.afterMs) {
        container.state = 'exited'
        container.exitCode = exit.code
      }
      if (container.state === 'exited') {
        if (container.exitCode === 0) return
        throw new TaskError(`task: non-zero exit (${container.exitCode})`, { exitCode: container.exitCode })
      }
      await sleep(this.#env, exit === undefined ? 1000 : Math.max(1, exit.afterMs - ranMs), signal)
    }
  }

  async shutdown(signal: AbortSignal): Promise<void> {
    this.#called('shutdown')
    const container = this.#container
    if (container?.state !== 'running') return
    await sleep(this.#env, this.#executor.behaviour(this.#task).stopMs ?? 0, signal)
    container.state = 'exited'
    container.exitCode = 143
  }

  async remove(signal: AbortSignal): Promise<void> {
    this.#called('remove')
    await sleep(this.#env, 0, signal)
    if (this.#removeFailures++ < (this.#executor.behaviour(this.#task).removeFailures ?? 0))
      throw new TaskError('the engine is busy', { temporary: true })
    this.#executor.containers.delete(this.#task.id)
  }

  containerStatus(): Promise<ContainerStatus | undefined> {
    const container = this.#container
    if (container === undefined) return Promise.resolve(undefined)
    const { containerId, state, exitCode } = container
    return Promise.resolve({ containerId, pid: state === 'running' ? 7 : 0, exitCode })
  }

  portStatus() {
    return Promise.resolve([])
  }

  async *logs(options: LogOptions, signal: AbortSignal): AsyncGenerator<LogMessage, void, undefined> {
    for (const { atMs, text } of this.#executor.behaviour(this.#task).log ?? []) {
      if (signal.aborted) return
      yield { stream: 'stdout', timestampNs: BigInt(atMs) * 1_000_000n, attrs: {}, data: Buffer.from(text) }
    }
    if (options.follow) await sleep(this.#env, 1e9, signal).catch(() => undefined)
  }

  close(): Promise<void> {
    return Promise.resolve()
  }

  get #container(): FakeContainer | undefined {
    return this.#executor.containers.get(this.#task.id)
  }

  #mustFind(): FakeContainer {
    const container = this.#container
    if (container === undefined) throw new TaskError('No such container')
    return container
  }

  #secrets(): string[] {
    return (this.#task.spec.ContainerSpec?.Secrets ?? []).map(
      ({ SecretID: id = '' }) => this.#dependencies.secret(id)?.data.toString() ?? 'missing',
    )
  }

  #called(what: string): void {
    this.#executor.calls.push(`${this.#task.id} ${what}`)
  }
}
