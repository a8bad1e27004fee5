import type { ControlContext } from '../context.js'
import { removeRevisions } from '../../store/revisions.js'
import { findService } from '../lookup.js'

/**
 * Removes a service at once. Its tasks are stopped by the orchestrator, which sees it go.
 * @throws {SwarmError} NotFound; InvalidArgument when `id` is ambiguous.
 */
export async function removeService(
  { store }: ControlContext,
  { id: ref }: { readonly id: string },
): Promise<void> {
  await store.update((tx) => {
    const { id } = findService(tx, ref)
    removeRevisions(tx, id)
    tx.remove('services', id)
  })
}
