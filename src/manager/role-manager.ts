import type { Env } from '../env/env.js'
import { SwarmError, errorText } from '../model/errors.js'
import type { Node } from '../model/objects.js'
import type { Store } from '../store/store.js'
import type { ManagerMembers } from './manager-members.js'

/** What could not be done yet is tried again so soon. */
const retryMs = 250

/**
 * Makes nodes what their specs ask for, on the leader. A promoted node is a manager at once, and joins raft by
 * itself when it has the certificate; a demoted one first leaves raft, and is a worker only then.
 * Behaviour: moby/swarmkit manager/role_manager.go.
 */
export class RoleManager {
  readonly #env: Env
  readonly #store: Store
  readonly #members: ManagerMembers
  readonly #nodeId: string
  readonly #unwatch: () => void
  #cancelTimer: () => void = () => undefined
  #running: Promise<void> | undefined
  #again = false
  #isStopped = false

  /** @param nodeId of the node that this leader runs on. */
  constructor(env: Env, store: Store, members: ManagerMembers, nodeId: string) {
    this.#env = env
    this.#store = store
    this.#members = members
    this.#nodeId = nodeId
    this.#unwatch = store.watch(({ changes }) => {
      if (changes.some(({ table }) => table === 'nodes')) this.kick()
    })
    members.onJoined(() => this.kick())
    this.kick()
  }

  /** Something may have to be done. */
  kick(): void {
    if (this.#isStopped) return
    this.#cancelTimer()
    if (this.#running !== undefined) {
      this.#again = true
      return
    }
    this.#running = this.#run()
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    this.#unwatch()
    this.#cancelTimer()
    await this.#running
  }

  async #run(): Promise<void> {
    let isDone = false
    do {
      this.#again = false
      isDone = await this.#reconcile()
    } while (this.#again && !this.#isStopped)
    this.#running = undefined
    if (!isDone && !this.#isStopped) this.#cancelTimer = this.#env.after(retryMs, () => this.kick())
  }

  /** @returns whether nothing is left to do. */
  async #reconcile(): Promise<boolean> {
    let isDone = true
    const nodes = this.#store.view.nodes.list().toSorted((a, b) => (a.id < b.id ? -1 : 1))
    for (const node of nodes) {
      if (this.#isStopped || !this.#members.leads) return true
      if (node.spec.Role === node.role) continue
      const step = node.spec.Role === 'manager' ? this.#promote(node) : this.#demote(node)
      if (!(await this.#tried(`node ${node.id} could not change its role yet`, step))) isDone = false
    }
    for (const member of this.#members.list()) {
      if (this.#isStopped || !this.#members.leads) return true
      const node = this.#store.view.nodes.get(member.nodeId)
      if (node === undefined && member.nodeId !== this.#nodeId) {
        const step = this.#members.remove(member.nodeId)
        if (!(await this.#tried(`a member without a node, ${member.nodeId}, stays in raft`, step)))
          isDone = false
      } else if (member.kind === 'learner') {
        const step = this.#members.promote(member)
        if (!(await this.#tried(`manager ${member.nodeId} has no vote yet`, step))) isDone = false
      }
    }
    return isDone
  }

  async #promote(node: Node): Promise<void> {
    await this.#store.update((tx) => {
      if (tx.nodes.get(node.id)?.spec.Role === 'manager') tx.update('nodes', node.id, { role: 'manager' })
    })
  }

  async #demote(node: Node): Promise<void> {
    if (this.#members.has(node.id)) {
      if (node.id === this.#nodeId) {
        // The successor finds the same wish, and takes this node out.
        await this.#members.transferLeadership()
        return
      }
      await this.#members.remove(node.id)
    }
    await this.#store.update((tx) => {
      if (tx.nodes.get(node.id)?.spec.Role === 'worker') {
        tx.update('nodes', node.id, { role: 'worker', managerAddr: undefined })
      }
    })
  }

  async #tried(what: string, step: Promise<void>): Promise<boolean> {
    try {
      await step
      return true
    } catch (error) {
      const isExpected =
        error instanceof SwarmError && ['Unavailable', 'FailedPrecondition'].includes(error.code)
      if (isExpected) this.#env.log.debug({ err: errorText(error) }, what)
      else this.#env.log.warn({ err: errorText(error) }, what)
      return false
    }
  }
}
