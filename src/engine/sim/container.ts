import type { Env } from '../../env/env.js'
import { errorText, SwarmError } from '../../model/errors.js'
import type { SimBehaviour } from '../../model/sim-labels.js'
import type { ContainerCreateBody, HealthStatus } from '../types.js'
import type { SimEvents } from './events.js'
import type { SimPorts } from './ports.js'

export type SimContainerState = 'created' | 'running' | 'exited' | 'removed'

/** What a simulated container needs of its engine. */
export interface ContainerHost {
  readonly env: Env
  readonly events: SimEvents
  readonly ports: SimPorts
  nextPid(): number
}

/** What a container is made of: only what its life needs, since a process may hold a hundred thousand. */
export interface ContainerMake {
  readonly id: string
  /** Without slash. */
  readonly name: string
  /** As written: `nginx:latest`. */
  readonly image: string
  readonly imageId: string
  readonly labels: Readonly<Record<string, string>>
  readonly behaviour: SimBehaviour
  readonly hasHealthcheck: boolean
  readonly stopSignal: string
  /** Seconds; undefined = the engine's 10. */
  readonly stopTimeout: number | undefined
  readonly autoRemove: boolean
  /** `port` 0 = any. */
  readonly ports: readonly { readonly target: number; readonly protocol: string; readonly port: number }[]
  /** Names of the volumes that it mounts. */
  readonly volumes: readonly string[]
  /** Built when it is asked for. */
  readonly body: () => ContainerCreateBody
}

export interface PublishedPort {
  readonly target: number
  readonly protocol: string
  readonly published: number
}

/** What a container cannot tell from what it is made of: to be kept through a restart of the daemon. */
export interface SavedContainer {
  readonly id: string
  readonly name: string
  readonly volumes: readonly string[]
  readonly createdAtMs: number
  readonly state: SimContainerState
  readonly runs: readonly { readonly startMs: number; readonly endMs?: number }[]
  readonly pid: number
  readonly exitCode: number
  readonly error: string
  readonly ports: readonly PublishedPort[]
}

const defaultStopTimeout = 10
/** Runs that are kept of a container that is started again and again; older ones lose their log. */
const savedRuns = 10

/** One simulated container: Docker's states, driven by the timers of its `Env`. */
export class SimContainer {
  readonly make: ContainerMake
  readonly createdAtMs: number
  /** The runs of its process, oldest first; the last has no end while it runs. */
  readonly runs: { startMs: number; endMs?: number }[] = []
  state: SimContainerState = 'created'
  pid = 0
  exitCode = 0
  /** Why a start failed. */
  error = ''
  health: HealthStatus = 'none'
  publishedPorts: readonly PublishedPort[] = []
  readonly #host: ContainerHost
  readonly #listeners = new Set<() => void>()
  #timers: (() => void)[] = []
  #starting: { promise: Promise<void>; cancel: () => void } | undefined

  /** @param saved how an earlier run of the daemon left it; its process has gone on since. */
  constructor(host: ContainerHost, make: ContainerMake, saved?: SavedContainer) {
    this.#host = host
    this.make = make
    this.createdAtMs = saved?.createdAtMs ?? host.env.nowMs()
    if (saved !== undefined) this.#restore(saved)
  }

  /** Tells the world that it exists. */
  announce(): void {
    this.#emit('create')
  }

  save(): SavedContainer {
    const { id, name, volumes } = this.make
    const { createdAtMs, state, pid, exitCode, error, publishedPorts: ports } = this
    const runs = this.runs.slice(-savedRuns).map((run) => ({ ...run }))
    return { id, name, volumes, createdAtMs, state, runs, pid, exitCode, error, ports }
  }

  #restore(saved: SavedContainer): void {
    this.state = saved.state
    this.runs.push(...saved.runs.map((run) => ({ ...run })))
    this.pid = saved.pid
    this.exitCode = saved.exitCode
    this.error = saved.error
    if (saved.state !== 'running') {
      this.health = this.make.hasHealthcheck && saved.runs.length > 0 ? 'unhealthy' : 'none'
      return
    }
    for (const { protocol, published } of saved.ports) this.#host.ports.take(protocol, published)
    this.publishedPorts = saved.ports
    this.health = this.make.hasHealthcheck ? 'starting' : 'none'
    this.#schedule(this.#host.env.nowMs() - (this.startedAtMs ?? 0))
  }

  /** Sets the timers of a process that has run for `elapsedMs`. */
  #schedule(elapsedMs: number): void {
    const { exit, health } = this.make.behaviour
    if (exit !== undefined) this.#after(Math.max(0, exit.afterMs - elapsedMs), () => this.#exited(exit.code))
    if (!this.make.hasHealthcheck) return
    for (const { status, afterMs } of health) {
      if (afterMs < elapsedMs) this.health = status
      else this.#after(afterMs - elapsedMs, () => this.#becomes(status))
    }
  }

  #becomes(status: HealthStatus): void {
    this.health = status
    this.#host.events.emit('container', `health_status: ${status}`, this.id, this.#attributes())
    this.#changed()
  }

  get id(): string {
    return this.make.id
  }

  get startedAtMs(): number | undefined {
    return this.runs.at(-1)?.startMs
  }

  get finishedAtMs(): number | undefined {
    return this.runs.at(-1)?.endMs
  }

  /** Calls `listener` after each change of state or health. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /**
   * Starts the process. Does nothing when it runs; a second call during a start waits for the first.
   * @throws {SwarmError} Unknown when its labels say that the start fails, or a port is taken.
   */
  start(): Promise<void> {
    if (this.state === 'running') return Promise.resolve()
    this.#starting ??= this.#beginStart()
    return this.#starting.promise
  }

  #beginStart(): { promise: Promise<void>; cancel: () => void } {
    const { start } = this.make.behaviour
    let cancel = (): void => undefined
    const promise = new Promise<void>((resolve, reject) => {
      const stopTimer = this.#host.env.after(start === 'fail' ? 0 : start.delayMs, () => {
        this.#starting = undefined
        try {
          if (start === 'fail') {
            throw new SwarmError(
              'Unknown',
              'the label skep.sim.start says that this container fails to start',
            )
          }
          this.#run()
          resolve()
        } catch (error) {
          this.error = errorText(error)
          this.exitCode = 128
          this.#changed()
          reject(error instanceof Error ? error : new Error(String(error)))
        }
      })
      cancel = () => {
        stopTimer()
        this.#starting = undefined
        reject(new SwarmError('Unknown', `container ${this.id} was stopped while it started`))
      }
    })
    // Those who wait handle it; when nobody does, the failure stands in `error`.
    promise.catch(() => undefined)
    return { promise, cancel }
  }

  #run(): void {
    const { env, ports } = this.#host
    const published: PublishedPort[] = []
    try {
      for (const { target, protocol, port } of this.make.ports) {
        published.push({ target, protocol, published: ports.take(protocol, port) })
      }
    } catch (error) {
      for (const port of published) ports.release(port.protocol, port.published)
      throw error
    }
    this.publishedPorts = published
    this.state = 'running'
    this.pid = this.#host.nextPid()
    this.exitCode = 0
    this.error = ''
    this.health = this.make.hasHealthcheck ? 'starting' : 'none'
    this.runs.push({ startMs: env.nowMs() })
    this.#schedule(0)
    this.#emit('start')
    this.#changed()
  }

  /**
   * Sends the stop signal, and the kill after `timeout` seconds (-1 = never).
   * @returns a promise that resolves when the process has ended.
   */
  async stop(timeout = this.make.stopTimeout ?? defaultStopTimeout): Promise<void> {
    if (this.#starting !== undefined) {
      this.#starting.cancel()
      this.state = 'exited'
      this.exitCode = 137
      this.#changed()
      return
    }
    if (this.state !== 'running') return
    const ended = this.ended()
    // First the timer: the signal may end the container, and with it all its timers.
    if (timeout >= 0) this.#after(timeout * 1000, () => this.signal('SIGKILL'))
    this.signal(this.make.stopSignal)
    await ended
    this.#emit('stop')
  }

  /** What a signal does: SIGKILL ends at once, those that ask to stop after `skep.sim.stop`, others nothing. */
  signal(signal: string): void {
    if (this.state !== 'running') return
    this.#host.events.emit('container', 'kill', this.id, { ...this.#attributes(), signal })
    if (signal === 'SIGKILL') this.#exited(137)
    else if (
      signal === this.make.stopSignal ||
      signal === 'SIGTERM' ||
      signal === 'SIGINT' ||
      signal === 'SIGQUIT'
    ) {
      const { stopMs } = this.make.behaviour
      if (stopMs === 0) this.#exited(0)
      else this.#after(stopMs, () => this.#exited(0))
    }
  }

  /** Resolves when the container does not run (any more). */
  ended(): Promise<void> {
    if (this.state !== 'running') return Promise.resolve()
    return new Promise((resolve) => {
      const off = this.onChange(() => {
        if (this.state === 'running') return
        off()
        resolve()
      })
    })
  }

  /** The engine's part of `docker rm`: ends what runs and tells those who wait. */
  removed(): void {
    this.#starting?.cancel()
    if (this.state === 'running') this.#exited(137)
    this.state = 'removed'
    this.#emit('destroy')
    this.#changed()
    this.#listeners.clear()
  }

  #exited(code: number): void {
    if (this.state !== 'running') return
    for (const cancel of this.#timers) cancel()
    this.#timers = []
    for (const port of this.publishedPorts) this.#host.ports.release(port.protocol, port.published)
    this.publishedPorts = []
    const run = this.runs.at(-1)
    if (run !== undefined) run.endMs = this.#host.env.nowMs()
    this.state = 'exited'
    this.pid = 0
    this.exitCode = code
    if (this.health === 'starting') this.health = 'unhealthy'
    this.#host.events.emit('container', 'die', this.id, { ...this.#attributes(), exitCode: String(code) })
    this.#changed()
  }

  #after(delayMs: number, fn: () => void): void {
    this.#timers.push(this.#host.env.after(delayMs, fn))
  }

  #emit(action: string): void {
    this.#host.events.emit('container', action, this.id, this.#attributes())
  }

  #attributes(): Record<string, string> {
    return { ...this.make.labels, image: this.make.image, name: this.make.name }
  }

  #changed(): void {
    for (const listener of this.#listeners) listener()
  }
}
