import { Agent, type AgentOptions } from '../../../src/agent/index.js'
import type { AssignedTask } from '../../../src/model/assigned-task.js'
import type { Task } from '../../../src/model/objects.js'
import { TaskState } from '../../../src/model/task-state.js'
import {
  encodeMessage,
  type AgentMessage,
  type AssignmentChange,
  type ManagerMessage,
} from '../../../src/wire/index.js'
import { aTask } from '../../lib/builders.js'
import { FakeExecutor } from '../../lib/fake-executor.js'
import { MemoryLink, type MemoryConnection } from '../../lib/memory-connection.js'
import { MemoryTaskStorage } from '../../lib/memory-task-storage.js'
import { runFor } from '../../lib/run-for.js'
import { SimulatedEnv } from '../../lib/simulated-env.js'

/** The manager's end of one connection, driven by hand; answers heartbeats and reports if not told otherwise. */
export class FakeManager {
  readonly link = new MemoryLink()
  readonly near: MemoryConnection
  readonly messages: AgentMessage[] = []
  readonly frames: Buffer[] = []
  beats = true
  acknowledges = true

  constructor() {
    this.near = this.link.ends[0]
    this.near.onMessage((data) => {
      if (typeof data !== 'string') {
        this.frames.push(data)
        return
      }
      const message = JSON.parse(data) as AgentMessage
      this.messages.push(message)
      if (message.type === 'heartbeat' && this.beats) this.say({ type: 'heartbeat', periodMs: 5000 })
      if (message.type === 'status' && this.acknowledges)
        this.say({ type: 'status-ack', report: message.report, refused: [] })
    })
  }

  say(message: ManagerMessage): void {
    this.near.send(encodeMessage(message))
  }

  of<T extends AgentMessage['type']>(type: T): Extract<AgentMessage, { type: T }>[] {
    return this.messages.filter(
      (message): message is Extract<AgentMessage, { type: T }> => message.type === type,
    )
  }

  /** Every state that was reported: `t1 512`. */
  get reported(): string[] {
    return this.of('status').flatMap(({ updates }) =>
      updates.map(({ taskId, status }) => `${taskId} ${status.state}`),
    )
  }

  open(): void {
    this.say({
      type: 'session',
      sessionId: 's',
      heartbeatPeriodMs: 5000,
      node: { id: 'n1', spec: {}, role: 'worker' },
      managers: [],
      rootCaPem: '',
    })
  }

  assign(
    kind: 'complete' | 'incremental',
    appliesTo: number,
    resultsIn: number,
    changes: AssignmentChange[],
  ): void {
    this.say({ type: 'assignments', kind, appliesTo, resultsIn, changes })
  }
}

export function assignment(id: string, fields: Partial<Task> = {}): AssignmentChange {
  const status = { state: TaskState.Assigned, timestampMs: 0, message: 'assigned' }
  const task: AssignedTask = { ...aTask({ id, nodeId: 'n1', status, ...fields }), networks: [] }
  return { op: 'update', kind: 'task', task }
}

export function secret(id: string): AssignmentChange {
  return {
    op: 'update',
    kind: 'secret',
    file: { id, name: id, data: Buffer.from(`data of ${id}`).toString('base64') },
  }
}

export const withSecret = (id: string): Partial<Task> => ({
  spec: { ContainerSpec: { Image: 'busybox', Secrets: [{ SecretID: id }] } },
})

/** An agent on an engine and a disk that outlive it. */
export class Fixture {
  readonly env: SimulatedEnv
  readonly engine: FakeExecutor
  readonly disk = new MemoryTaskStorage()
  readonly managers: FakeManager[] = []
  agent: Agent
  readonly #options: Partial<AgentOptions>

  constructor(options: Partial<AgentOptions> = {}, env = new SimulatedEnv(1)) {
    this.env = env
    this.engine = new FakeExecutor(env)
    this.#options = options
    this.agent = this.#newAgent()
  }

  /** The connection that is in use. */
  get manager(): FakeManager {
    const manager = this.managers.at(-1)
    if (manager === undefined) throw new Error('the agent has not connected yet')
    return manager
  }

  async start(): Promise<void> {
    const started = this.agent.start()
    await this.run(10)
    await started
  }

  /** With a session open and the given assignments. */
  async open(changes: AssignmentChange[] = []): Promise<FakeManager> {
    await this.start()
    this.manager.open()
    this.manager.assign('complete', 0, 1, changes)
    await this.run(10)
    return this.manager
  }

  /** Waits until the agent has connected once more. */
  async reconnect(): Promise<FakeManager> {
    const { length } = this.managers
    for (let tries = 0; this.managers.length === length && tries < 200; tries++) await this.run(50)
    if (this.managers.length === length) throw new Error('the agent did not connect again')
    return this.manager
  }

  /** The daemon starts again. */
  async restart(): Promise<void> {
    const stopped = this.agent.stop()
    await this.run(2000)
    await stopped
    this.agent = this.#newAgent()
    await this.start()
  }

  async stop(): Promise<void> {
    const stopped = this.agent.stop()
    await this.run(2000)
    await stopped
  }

  run(ms: number): Promise<void> {
    return runFor(this.env, ms)
  }

  #newAgent(): Agent {
    return new Agent(this.env, {
      nodeId: 'n1',
      hostname: 'host',
      executor: this.engine,
      dbPath: '',
      storage: this.disk,
      dial: () => {
        const manager = new FakeManager()
        this.managers.push(manager)
        return Promise.resolve(manager.link.ends[1])
      },
      ...this.#options,
    })
  }
}
