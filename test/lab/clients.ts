import type { ClusterNode } from '../lib/cluster.js'
import type { Reply } from '../lib/http-client.js'
import type { History, Register, Shown } from './history.js'

/** A broken manager holds a client up no longer than this. */
const answerMs = 4000
const pauseMs = 15

interface Config {
  readonly ID: string
  readonly Version: { readonly Index: number }
  readonly Spec: { readonly Name: string; readonly Labels: Readonly<Record<string, string>> }
}

const countLabel = 'count'

/** Undefined when the call broke or took too long: its outcome is open. */
async function call(
  { skepd }: ClusterNode,
  method: string,
  path: string,
  body?: unknown,
  timeoutMs = answerMs,
): Promise<Reply | undefined> {
  try {
    return await skepd.request(method, path, { timeoutMs, ...(body !== undefined && { body }) })
  } catch {
    return undefined
  }
}

/** What may be said while a swarm is without a leader, or the node without its manager. */
function isRefusal(history: History, { status, text }: Reply): boolean {
  if (status !== 500 && status !== 503) return false
  history.refused(text)
  return true
}

/** Makes a config. True once that was acknowledged. */
export async function create(
  history: History,
  node: ClusterNode,
  name: string,
  timeoutMs?: number,
): Promise<boolean> {
  const body = { Name: name, Data: Buffer.from(name).toString('base64') }
  const reply = await call(node, 'POST', '/configs/create', body, timeoutMs)
  if (reply?.status === 201) history.created(name)
  else if (reply !== undefined && !isRefusal(history, reply)) {
    history.report(`${node.name}: the creation of ${name} is answered ${reply.status} ${reply.text}`)
  }
  return reply?.status === 201
}

export async function addRegister(history: History, node: ClusterNode, name: string): Promise<void> {
  const reply = await call(node, 'POST', '/configs/create', {
    Name: name,
    Data: 'cmVnaXN0ZXI=',
    Labels: { [countLabel]: '0' },
  })
  if (reply?.status !== 201) throw new Error(`no register: ${reply?.status} ${reply?.text ?? ''}`)
  history.addRegister((reply.json() as { ID: string }).ID)
}

async function readRegister(
  history: History,
  node: ClusterNode,
  register: Register,
): Promise<{ readonly shown: Shown; readonly spec: Config['Spec'] } | undefined> {
  const { floor } = register
  const reply = await call(node, 'GET', `/configs/${register.id}`)
  if (reply === undefined || isRefusal(history, reply)) return undefined
  if (reply.status !== 200) {
    history.report(
      `${node.name}: a read of register ${register.id} is answered ${reply.status} ${reply.text}`,
    )
    return undefined
  }
  const { Version, Spec } = reply.json() as Config
  const shown = { version: Version.Index, count: Number(Spec.Labels[countLabel]) }
  register.read(node.name, floor, shown)
  return { shown, spec: Spec }
}

/** Raises the number of a register by one, unless somebody else is faster. */
async function raise(history: History, node: ClusterNode, register: Register): Promise<boolean> {
  const read = await readRegister(history, node, register)
  if (read === undefined) return false
  const { shown, spec } = read
  const path = `/configs/${register.id}/update?version=${shown.version}`
  const body = { ...spec, Labels: { [countLabel]: String(shown.count + 1) } }
  const reply = await call(node, 'POST', path, body)
  if (reply?.status === 200) {
    register.acknowledged(node.name, shown)
    return true
  }
  if (reply?.text.includes('update out of sequence') === true) return true
  register.unanswered()
  if (reply !== undefined && !isRefusal(history, reply)) {
    history.report(
      `${node.name}: an update of register ${register.id} is answered ${reply.status} ${reply.text}`,
    )
  }
  return false
}

/** One that was acknowledged before must be there. */
async function readCreated(history: History, node: ClusterNode, name: string): Promise<boolean> {
  const reply = await call(node, 'GET', `/configs/${name}`)
  if (reply === undefined || isRefusal(history, reply)) return false
  if (reply.status !== 200) {
    history.report(`${node.name}: ${name} was acknowledged and is answered ${reply.status} ${reply.text}`)
  }
  return true
}

/** With no client at work: every manager shows all that was acknowledged, and nothing twice. */
export async function verify(history: History, node: ClusterNode): Promise<void> {
  const count = history.createdCount
  const reply = await call(node, 'GET', '/configs', undefined, 30_000)
  if (reply?.status !== 200)
    throw new Error(`${node.name} lists nothing: ${reply?.status} ${reply?.text ?? ''}`)
  const configs = reply.json() as readonly Config[]
  history.listed(
    node.name,
    count,
    configs.map(({ ID, Version, Spec }) => ({ id: ID, name: Spec.Name, version: Version.Index })),
  )
  const byId = new Map(configs.map((config) => [config.ID, config]))
  for (const register of history.registers) {
    const config = byId.get(register.id)
    if (config === undefined) history.report(`${node.name}: register ${register.id} is gone`)
    else {
      const count = Number(config.Spec.Labels[countLabel])
      register.settle(node.name, { version: config.Version.Index, count })
    }
  }
}

/** Writes and reads at one manager until it is stopped. */
export class Client {
  /** Answers other than refusals. */
  answered = 0
  refused = 0
  readonly #history: History
  readonly #node: ClusterNode
  readonly #name: string
  readonly #random: () => number
  readonly #stopped = new AbortController()
  readonly #running: Promise<void>

  constructor(history: History, node: ClusterNode, name: string, random: () => number) {
    this.#history = history
    this.#node = node
    this.#name = name
    this.#random = random
    this.#running = this.#run()
  }

  async stop(): Promise<void> {
    this.#stopped.abort()
    await this.#running
  }

  async #run(): Promise<void> {
    for (let turn = 0; !this.#stopped.signal.aborted; turn++) {
      if (await this.#turn(turn)) this.answered++
      else this.refused++
      await new Promise((resolve) => setTimeout(resolve, pauseMs))
    }
  }

  async #turn(turn: number): Promise<boolean> {
    const history = this.#history
    const { registers, createdCount } = history
    const register = registers[Math.floor(this.#random() * registers.length)]
    const created = history.createdAt(Math.floor(this.#random() * createdCount))
    const choice = this.#random()
    if (choice < 0.3 && register !== undefined) return raise(history, this.#node, register)
    if (choice < 0.5 && register !== undefined)
      return (await readRegister(history, this.#node, register)) !== undefined
    if (choice < 0.7 && created !== undefined) return readCreated(history, this.#node, created)
    return create(history, this.#node, `${this.#name}-${turn}`)
  }
}
