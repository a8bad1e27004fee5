import { sleep, type Env } from '../../env/env.js'
import { errorText } from '../../model/errors.js'
import type { EngineApi } from './api.js'

const firstRetryMs = 100
const lastRetryMs = 5000

interface ContainerEvent {
  readonly id?: string
  readonly Action?: string
  readonly Actor?: { readonly ID?: string; readonly Attributes?: Readonly<Record<string, string>> }
}

/** @param diedWith the exit code, where the event was the container's end. */
export type ContainerListener = (diedWith?: number) => void

/**
 * One stream of the engine's events for all tasks of the node. A listener is told that its container may
 * have changed and looks itself: so an event that is lost, doubled or from another time does no harm.
 */
export class ContainerEvents {
  readonly #env: Env
  readonly #api: EngineApi
  readonly #listeners = new Map<string, Set<ContainerListener>>()
  readonly #closed = new AbortController()
  #running = false

  constructor(env: Env, api: EngineApi) {
    this.#env = env
    this.#api = api
  }

  /** Calls `listener` after events of the container, and each time that events may have been missed. */
  listen(containerId: string, listener: ContainerListener): () => void {
    let listeners = this.#listeners.get(containerId)
    if (listeners === undefined) {
      listeners = new Set()
      this.#listeners.set(containerId, listeners)
    }
    listeners.add(listener)
    this.#start()
    return () => {
      listeners.delete(listener)
      if (listeners.size === 0 && this.#listeners.get(containerId) === listeners) {
        this.#listeners.delete(containerId)
      }
    }
  }

  close(): void {
    this.#closed.abort(new Error('the executor is closed'))
  }

  #start(): void {
    if (this.#running || this.#closed.signal.aborted) return
    this.#running = true
    this.#run().catch((error: unknown) => {
      this.#running = false
      if (!this.#closed.signal.aborted) {
        this.#env.log.error({ err: errorText(error) }, 'the engine’s events are no longer followed')
      }
    })
  }

  async #run(): Promise<void> {
    const { signal } = this.#closed
    let retryMs = firstRetryMs
    for (;;) {
      try {
        const events = await this.#api.events(undefined, signal)
        retryMs = firstRetryMs
        // The stream is open from here on; what came before it has to be looked for.
        this.#notifyAll()
        for await (const line of events) this.#onEvent(line.toString('utf8'))
      } catch (error) {
        if (signal.aborted) throw error
        this.#env.log.debug({ err: errorText(error) }, 'the engine’s events broke off')
      }
      this.#notifyAll()
      await sleep(this.#env, retryMs, signal)
      retryMs = Math.min(2 * retryMs, lastRetryMs)
    }
  }

  #onEvent(text: string): void {
    if (text.trim() === '') return
    const { id, Action, Actor } = JSON.parse(text) as ContainerEvent
    const exitCode = Number(Actor?.Attributes?.['exitCode'])
    const diedWith = Action === 'die' && Number.isInteger(exitCode) ? exitCode : undefined
    for (const listener of this.#listeners.get(Actor?.ID ?? id ?? '') ?? []) listener(diedWith)
  }

  #notifyAll(): void {
    for (const listeners of this.#listeners.values()) for (const listener of listeners) listener()
  }
}
