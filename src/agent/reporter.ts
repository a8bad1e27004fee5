import type { Env } from '../env/env.js'
import type { TaskStatus } from '../model/objects.js'
import type { AgentMessage } from '../wire/index.js'

const maxUpdatesPerReport = 100
/** Reports under way at one time; what comes meanwhile is gathered. */
const maxReportsInFlight = 4

type Send = (message: AgentMessage) => void

/**
 * Tells the managers the newest status of each task until they say that it is committed. What was not
 * acknowledged when a session ended is said again in the next.
 */
export class Reporter {
  readonly #env: Env
  readonly #pending = new Map<string, TaskStatus>()
  /** By report number: what it said. */
  readonly #inFlight = new Map<number, ReadonlyMap<string, TaskStatus>>()
  #send: Send | undefined
  #nextReport = 1
  #scheduled = false
  #waiters: (() => void)[] = []

  constructor(env: Env) {
    this.#env = env
  }

  update(taskId: string, status: TaskStatus): void {
    this.#pending.set(taskId, status)
    this.#schedule()
  }

  /** The task is not this node's any more: nobody wants to hear of it. */
  forget(taskId: string): void {
    this.#pending.delete(taskId)
    this.#settle()
  }

  /** A session is open. */
  connected(send: Send): void {
    this.#send = send
    this.#inFlight.clear()
    this.#schedule()
  }

  disconnected(): void {
    this.#send = undefined
    this.#inFlight.clear()
  }

  acknowledged(
    report: number,
    refused: readonly { readonly taskId: string; readonly reason: string }[],
  ): void {
    for (const { taskId, reason } of refused)
      this.#env.log.error({ task: taskId, reason }, 'the managers refused a status')
    for (const [taskId, status] of this.#inFlight.get(report) ?? []) {
      if (this.#pending.get(taskId) === status) this.#pending.delete(taskId)
    }
    this.#inFlight.delete(report)
    this.#settle()
    this.#schedule()
  }

  /** Resolves when everything is acknowledged, or with `signal`. */
  idle(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      this.#waiters.push(resolve)
      signal.addEventListener('abort', () => resolve(), { once: true })
      this.#settle()
    })
  }

  #settle(): void {
    if (this.#pending.size > 0) return
    for (const resolve of this.#waiters.splice(0)) resolve()
  }

  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    setImmediate(() => {
      this.#scheduled = false
      this.#flush()
    })
  }

  #flush(): void {
    while (this.#send !== undefined && this.#inFlight.size < maxReportsInFlight) {
      const updates = this.#unsent()
      if (updates.size === 0) return
      const report = this.#nextReport++
      this.#inFlight.set(report, updates)
      this.#send({
        type: 'status',
        report,
        updates: [...updates].map(([taskId, status]) => ({ taskId, status })),
      })
    }
  }

  #unsent(): ReadonlyMap<string, TaskStatus> {
    const unsent = new Map<string, TaskStatus>()
    for (const [taskId, status] of this.#pending) {
      if (unsent.size === maxUpdatesPerReport) break
      const isUnderWay = [...this.#inFlight.values()].some((said) => said.get(taskId) === status)
      if (!isUnderWay) unsent.set(taskId, status)
    }
    return unsent
  }
}
