import type { ControlContext } from './context.js'
import type { Control } from './interface.js'

/** Services that one transaction changes. */
const servicesPerTransaction = 200

/**
 * Asks for the tasks of services to be spread anew; the rebalancer does it, a few at a time. Services that
 * are gone by now are left out.
 */
export async function requestRebalance(
  { store }: ControlContext,
  { ids }: Parameters<Control['requestRebalance']>[0],
): Promise<void> {
  for (let at = 0; at < ids.length; at += servicesPerTransaction) {
    await store.update((tx) => {
      for (const id of ids.slice(at, at + servicesPerTransaction)) {
        if (tx.services.get(id) === undefined) continue
        tx.update('services', id, { rebalanceRequestedMs: tx.nowMs })
      }
    })
  }
}
