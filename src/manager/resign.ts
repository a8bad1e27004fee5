import type { Control } from '../control/interface.js'
import type { Env } from '../env/env.js'
import { clusterError } from '../model/errors.js'
import type { Store } from '../store/store.js'

/** How long a manager that leaves waits to be a worker. */
const resignTimeoutMs = 10_000

/**
 * Makes a manager a worker that is no member of raft, with the checks of a demotion. Resolves when it is done.
 * On the leader, for another node than its own.
 * @throws {SwarmError} as `Control.updateNode`; DeadlineExceeded.
 */
export async function resign(env: Env, store: Store, control: Control, nodeId: string): Promise<void> {
  const node = store.view.nodes.get(nodeId)
  if (node === undefined) throw clusterError('NotFound', `node ${nodeId} not found`)
  const isDone = () => store.view.nodes.get(nodeId)?.role !== 'manager'
  if (node.spec.Role !== 'worker') {
    await control.updateNode({ id: nodeId, version: node.version, spec: { ...node.spec, Role: 'worker' } })
  }
  if (isDone()) return
  await new Promise<void>((resolve, reject) => {
    const end = (settle: () => void) => {
      cancelTimer()
      unwatch()
      settle()
    }
    const cancelTimer = env.after(resignTimeoutMs, () =>
      end(() => reject(clusterError('DeadlineExceeded', `node ${nodeId} is still a manager`))),
    )
    const unwatch = store.watch(() => {
      if (isDone()) end(resolve)
    })
  })
}
