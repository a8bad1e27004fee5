import type { Node } from '../../model/objects.js'
import { sameValue } from '../equal.js'
import type { Loop, LoopFactory } from '../../store/loop.js'
import type { View } from '../../store/schema.js'
import type { Commit, Store } from '../../store/store.js'
import type { Tx } from '../../store/transaction.js'
import { mayChangeEligibility } from '../node.js'
import { Work } from '../../store/work.js'
import { planEnforcement } from './plan.js'
import { stopTask } from './stop.js'

/**
 * Takes tasks from nodes that no longer meet their constraints or have less than they reserved.
 *
 * The task is told to stop and its slot is filled again. swarmkit reports it as REJECTED instead, and so
 * frees what its container still uses.
 */
class ConstraintEnforcer implements Loop {
  readonly name = 'constraint enforcer'
  readonly #store: Store
  readonly #dirtyNodes = new Set<string>()

  constructor(store: Store) {
    this.#store = store
  }

  start(view: View): void {
    for (const { id } of view.nodes.list()) this.#dirtyNodes.add(id)
  }

  stop(): void {
    this.#dirtyNodes.clear()
  }

  onCommit({ changes }: Commit): void {
    for (const change of changes) {
      if (change.table === 'nodes' && mayMatter(change.before, change.after)) this.#dirtyNodes.add(change.id)
    }
  }

  get hasWork(): boolean {
    return this.#dirtyNodes.size > 0
  }

  async tick(signal: AbortSignal): Promise<void> {
    const work = new Work(this.#store, signal)
    for (const id of [...this.#dirtyNodes].sort()) {
      if (!work.mayGoOn) break
      this.#dirtyNodes.delete(id)
      let cost = 0
      work.update(
        (tx) => {
          cost = enforce(tx, id)
        },
        () => this.#dirtyNodes.add(id),
      )
      await work.breathe(cost + 1)
    }
    await work.end()
  }
}

function mayMatter(before: Node | undefined, after: Node | undefined): boolean {
  if (before === undefined || after === undefined) return false
  if (mayChangeEligibility(before, after)) return true
  return !sameValue(before.description?.Resources, after.description?.Resources)
}

/** @returns how many tasks were looked at. */
function enforce(tx: Tx, nodeId: string): number {
  const node = tx.nodes.get(nodeId)
  if (node === undefined) return 0
  const tasks = tx.tasks.by('node', nodeId)
  for (const id of planEnforcement(node, tasks, (serviceId) => tx.services.get(serviceId))) {
    stopTask(tx, id, 'constraint enforcer', 'assigned node no longer meets constraints')
  }
  return tasks.length
}

export const constraintEnforcer: LoopFactory = (_env, store) => new ConstraintEnforcer(store)
