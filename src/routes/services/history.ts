import type { FastifyInstance } from 'fastify'
import { findService } from '../../control/lookup.js'
import { SwarmError } from '../../model/errors.js'
import type { Service } from '../../model/objects.js'
import type { ServiceSpec } from '../../model/spec/index.js'
import { formatTime } from '../../model/time.js'
import { currentRevision, revisionsOf } from '../../store/revisions.js'
import type { View } from '../../store/store.js'
import type { RouteContext, WithId } from '../context.js'
import { sendJson } from '../http/answer.js'
import { historyOperations as operations } from '../schema/history.js'
import { specChanges } from './spec-changes.js'

interface Entry {
  readonly number: number
  readonly setAtMs: number
  readonly cause?: string
  readonly spec: ServiceSpec
}

/** Skep's own routes about the specs that a service had, and the way back to them. */
export function historyRoutes(app: FastifyInstance, { backend }: RouteContext): void {
  const { swarm } = backend

  app.get<WithId>('/skep/v1/services/:id/history', { schema: operations.history }, async (request, reply) => {
    const { view } = await swarm.manager()
    const service = findService(view, request.params.id)
    const entries = entriesOf(view, service)
    const revisions = entries.map(({ number, setAtMs, cause, spec }, at) => {
      const before = entries[at - 1]
      return {
        revision: number,
        current: at === entries.length - 1,
        setAt: formatTime(setAtMs),
        ...(cause !== undefined && { cause }),
        changes: before === undefined ? null : specChanges(before.spec, spec),
        spec,
      }
    })
    return sendJson(reply, {
      serviceId: service.id,
      serviceName: service.spec.Name ?? '',
      revisions: revisions.reverse(),
    })
  })

  app.post<WithId>(
    '/skep/v1/services/:id/rollback',
    { schema: operations.rollback },
    async (request, reply) => {
      const revision = revisionNumber(request.query)
      const { view, control } = await swarm.manager()
      const { id } = findService(view, request.params.id)
      await control.rollbackService({ id, revision })
      return sendJson(reply, { serviceId: id, revision })
    },
  )
}

/** Former specs and the present one, the oldest first. */
function entriesOf(view: View, service: Service): readonly Entry[] {
  const kept = revisionsOf(view, service.id)
  const { number, setAtMs } = currentRevision(view, service)
  const all = [...kept, { number, setAtMs, spec: service.spec }]
  return all.map((entry, at) => {
    const { number: n, setAtMs: ms, spec } = entry
    const cause = n === 1 ? 'create' : kept[at - 1]?.replacedBy
    return { number: n, setAtMs: ms, spec, ...(cause !== undefined && { cause }) }
  })
}

/** @throws {SwarmError} InvalidArgument. */
function revisionNumber(query: unknown): number {
  const { revision: text = '' } = query as { readonly revision?: string }
  if (/^[1-9]\d{0,14}$/.test(text)) return Number(text)
  throw new SwarmError(
    'InvalidArgument',
    `invalid revision '${text}': must be a number from the service's history`,
  )
}
