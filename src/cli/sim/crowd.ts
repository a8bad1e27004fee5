import { generateKey } from '../../ca/index.js'
import { sleep, type Env } from '../../env/env.js'
import { errorText, isPassing } from '../../model/errors.js'
import type { HostPort } from '../../node/addresses.js'
import { chooseNodes, type Chaos } from './chaos.js'
import { findSwarm, join, type Member, type SwarmToJoin } from './cluster-access.js'
import { DialGate } from './dial-gate.js'
import { SimNode, type SimNodeShape } from './sim-node.js'

export interface CrowdOptions {
  readonly names: readonly string[]
  readonly shape: SimNodeShape
  readonly manager: HostPort
  readonly token: string
  /** Seeded: the same choices each time. */
  readonly randomInt: (bound: number) => number
}

/**
 * How many nodes are joining at a time. A node that waits for a manager keeps the next one from asking, so a slow
 * manager sets the pace.
 */
const joinsAtATime = 8
const firstRetryMs = 500
const maxRetryMs = 8000
const attempts = 8

/** Many workers of one swarm in this process. */
export class Crowd {
  readonly #env: Env
  readonly #options: CrowdOptions
  readonly #nodes = new Map<string, SimNode>()
  readonly #gate = new DialGate()

  constructor(env: Env, options: CrowdOptions) {
    this.#env = env
    this.#options = options
  }

  get size(): number {
    return this.#nodes.size
  }

  /**
   * Makes all nodes join. Resolves when a manager has the session of each.
   * @throws {SwarmError} at the first node that is refused, or finds no manager for long.
   */
  async join(signal: AbortSignal, onJoined: () => void): Promise<void> {
    const { names, manager, token } = this.#options
    const swarm = await this.#insist(signal, () => findSwarm(this.#env, manager, token))
    const failed = new AbortController()
    const ended = AbortSignal.any([signal, failed.signal])
    const waiting = [...names]
    const joinNext = async () => {
      for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) {
        await this.#joinOne(name, swarm, ended)
        onJoined()
      }
    }
    const joining = Array.from({ length: joinsAtATime }, () =>
      joinNext().catch((error: unknown) => {
        failed.abort(error)
        throw error
      }),
    )
    await Promise.allSettled(joining)
    await Promise.all(joining)
  }

  /** @returns whom it befell. */
  async befall(chaos: Chaos): Promise<readonly string[]> {
    const presence = new Map([...this.#nodes].map(([name, node]) => [name, node.presence]))
    const names = chooseNodes(chaos, presence, this.#options.randomInt)
    await Promise.all(names.map((name) => this.#befall(name, chaos.action)))
    return names
  }

  /** All leave the swarm in order. */
  async leave(): Promise<void> {
    await Promise.all(
      [...this.#nodes.values()].map(async (node) => {
        try {
          await node.leave()
        } catch (error) {
          this.#env.log.error({ node: node.name, err: errorText(error) }, 'a node did not leave in order')
        }
      }),
    )
  }

  async #befall(name: string, action: Chaos['action']): Promise<void> {
    const node = this.#nodes.get(name)
    switch (action) {
      case 'crash':
        return node?.crash()
      case 'disconnect':
        return node?.disconnect()
      case 'return':
        return node?.return()
      default:
        return action satisfies never
    }
  }

  async #joinOne(name: string, swarm: SwarmToJoin, signal: AbortSignal): Promise<void> {
    const key = generateKey()
    const member: Member = await this.#insist(signal, () => join(this.#env, swarm, key))
    signal.throwIfAborted()
    const node = new SimNode(this.#env, name, this.#options.shape, swarm.address, member, this.#gate)
    this.#nodes.set(name, node)
    await node.start()
    await untilAborted(node.registered, signal)
  }

  /** A manager that does not answer may be busy; what it refuses, it refuses. */
  async #insist<T>(signal: AbortSignal, call: () => Promise<T>): Promise<T> {
    let delayMs = firstRetryMs
    for (let attempt = 1; ; attempt++) {
      signal.throwIfAborted()
      try {
        return await call()
      } catch (error) {
        if (!isPassing(error) || attempt === attempts) throw error
        this.#env.log.info({ err: error.message, attempt }, 'no manager answers; asking again')
      }
      await sleep(this.#env, delayMs / 2 + this.#env.randomInt(delayMs / 2), signal)
      delayMs = Math.min(2 * delayMs, maxRetryMs)
    }
  }
}

function untilAborted(promise: Promise<void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason as Error)
    if (signal.aborted) return onAbort()
    signal.addEventListener('abort', onAbort, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  })
}
