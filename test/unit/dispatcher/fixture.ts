import assert from 'node:assert/strict'
import { Dispatcher } from '../../../src/dispatcher/index.js'
import type { NodeDescription } from '../../../src/model/spec/index.js'
import { TaskState } from '../../../src/model/task-state.js'
import type { Store } from '../../../src/store/store.js'
import { encodeMessage, type AgentMessage, type ManagerMessage } from '../../../src/wire/index.js'
import { aNode, aTask, newObject } from '../../lib/builders.js'
import { instantStore } from '../../lib/instant-store.js'
import { MemoryLink, type MemoryConnection } from '../../lib/memory-connection.js'
import { runFor } from '../../lib/run-for.js'
import { SimulatedEnv } from '../../lib/simulated-env.js'

/** The agent's end of a connection, driven by hand. */
export class FakeAgent {
  readonly link = new MemoryLink()
  readonly near: MemoryConnection
  readonly far: MemoryConnection
  readonly messages: ManagerMessage[] = []
  readonly frames: Buffer[] = []

  constructor() {
    ;[this.near, this.far] = this.link.ends
    this.near.onMessage((data) => {
      if (typeof data === 'string') this.messages.push(JSON.parse(data) as ManagerMessage)
      else this.frames.push(data)
    })
  }

  say(message: AgentMessage): void {
    this.near.send(encodeMessage(message))
  }

  of<T extends ManagerMessage['type']>(type: T): Extract<ManagerMessage, { type: T }>[] {
    return this.messages.filter(
      (message): message is Extract<ManagerMessage, { type: T }> => message.type === type,
    )
  }

  last<T extends ManagerMessage['type']>(type: T): Extract<ManagerMessage, { type: T }> {
    const message = this.of(type).at(-1)
    assert.ok(message !== undefined, `a message of type ${type} came`)
    return message
  }
}

export const description: NodeDescription = { Hostname: 'h', Resources: { NanoCPUs: 1e9 } }

export class Fixture {
  readonly env: SimulatedEnv
  readonly store: Store
  dispatcher: Dispatcher

  private constructor(env: SimulatedEnv, store: Store) {
    this.env = env
    this.store = store
    this.dispatcher = new Dispatcher(env, store, { managerId: 'm1' })
  }

  /** A leader with nodes `n1` and `n2` of which nobody has heard yet. */
  static async start(options: { store?: (env: SimulatedEnv) => Store } = {}): Promise<Fixture> {
    const env = new SimulatedEnv(1)
    const fixture = new Fixture(env, options.store?.(env) ?? instantStore(env))
    const write = fixture.store.update((tx) => {
      for (const id of ['n1', 'n2'])
        tx.create('nodes', newObject(aNode({ id, status: { state: 'unknown', message: '', addr: '' } })))
    })
    await runFor(env, 1000)
    await write
    fixture.dispatcher.start()
    return fixture
  }

  run(ms: number): Promise<void> {
    return runFor(this.env, ms)
  }

  accept(nodeId = 'n1'): FakeAgent {
    const agent = new FakeAgent()
    this.dispatcher.accept(agent.far, { nodeId }, '10.1.2.3')
    return agent
  }

  /** A session that has been greeted and has its assignments. */
  async open(nodeId = 'n1'): Promise<FakeAgent> {
    const agent = this.accept(nodeId)
    agent.say({ type: 'hello', protocol: 1, description })
    await this.run(10)
    return agent
  }

  node(id = 'n1') {
    return this.store.view.nodes.get(id)
  }

  async addTask(id: string, nodeId = 'n1'): Promise<void> {
    const status = { state: TaskState.Assigned, timestampMs: 0, message: 'assigned' }
    await this.store.update(
      (tx) => void tx.create('tasks', newObject(aTask({ id, nodeId, status, serviceId: 'web' }))),
    )
  }

  async changeLeader(): Promise<void> {
    await this.dispatcher.stop()
    this.dispatcher = new Dispatcher(this.env, this.store, { managerId: 'm2' })
    this.dispatcher.start()
  }
}
