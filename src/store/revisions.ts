import type { Revision, RevisionCause, Service } from '../model/objects.js'
import type { View } from './schema.js'
import type { Tx } from './transaction.js'

/** Former specs that are kept of each service. */
export const revisionLimit = 10

/** Former specs of a service, the oldest first. */
export function revisionsOf(view: Pick<View, 'revisions'>, serviceId: string): readonly Revision[] {
  return view.revisions.by('service', serviceId).toSorted((a, b) => a.number - b.number)
}

/** The number of the spec that the service has now, and since when it has it, in Unix ms. */
export function currentRevision(
  view: Pick<View, 'revisions'>,
  service: Service,
): Pick<Revision, 'number' | 'setAtMs'> {
  const last = revisionsOf(view, service.id).at(-1)
  if (last === undefined) return { number: 1, setAtMs: service.createdAtMs }
  return { number: last.number + 1, setAtMs: last.createdAtMs }
}

/**
 * Keeps the spec that a service has, in the transaction that is about to give it another one. Beyond the
 * limit the oldest is forgotten.
 */
export function keepRevision(tx: Tx, service: Service, replacedBy: RevisionCause): void {
  const { id: serviceId, spec, specVersion } = service
  const { number, setAtMs } = currentRevision(tx, service)
  const kept = revisionsOf(tx, serviceId)
  for (const { id } of kept.slice(0, Math.max(0, kept.length + 1 - revisionLimit))) tx.remove('revisions', id)
  tx.create('revisions', {
    id: `${serviceId}.${number}`,
    serviceId,
    number,
    spec,
    specVersion,
    setAtMs,
    replacedBy,
  })
}

/** Former specs go with their service. */
export function removeRevisions(tx: Tx, serviceId: string): void {
  for (const { id } of revisionsOf(tx, serviceId)) tx.remove('revisions', id)
}
