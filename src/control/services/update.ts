import { isDeepStrictEqual } from 'node:util'
import { SwarmError, clusterError } from '../../model/errors.js'
import { randomName } from '../../model/names.js'
import type { RevisionCause, Service } from '../../model/objects.js'
import type { ServiceSpec } from '../../model/spec/index.js'
import type { Patch } from '../../store/action.js'
import { currentRevision, keepRevision, revisionsOf } from '../../store/revisions.js'
import type { Tx } from '../../store/store.js'
import { checkVersion, type ControlContext } from '../context.js'
import type { Control } from '../interface.js'
import { findService } from '../lookup.js'
import { normaliseServiceSpec } from './normalise.js'
import { resolveNetworks } from './resolve-networks.js'
import { checkIngressPresent, checkNoIngressAttachment, checkPortConflicts } from './validate-cluster.js'
import { checkReferencesExist } from './validate-references.js'
import { isJob, validateServiceSpec } from './validate-spec.js'

type Args = Parameters<Control['updateService']>[0]
type RollbackArgs = Parameters<Control['rollbackService']>[0]

/**
 * Replaces the spec of a service, or goes back to the one before. The spec that is sent must be valid for
 * a rollback, too, though it is not used then.
 * @throws {SwarmError} with Docker's texts, in its order: a stale version comes last.
 * Behaviour: moby daemon/cluster/services.go; moby/swarmkit manager/controlapi/service.go, UpdateService.
 */
export async function updateService(context: ControlContext, args: Args): Promise<void> {
  const { store } = context
  // As with Docker, no name is a made-up name, and so a new one.
  const named = (args.spec.Name ?? '') === '' ? { ...args.spec, Name: randomName(context.env) } : args.spec
  const spec = normaliseServiceSpec(await resolveNetworks(context, named))
  const { id } = findService(store.view, args.id)
  registryAuthOf(findService(store.view, id), args)
  validateServiceSpec(spec)
  await store.update((tx) => {
    const service = tx.services.get(id)
    if (service === undefined) throw clusterError('NotFound', `service ${id} not found`)
    checkNoIngressAttachment(tx, spec)
    if (!isDeepStrictEqual(spec.EndpointSpec, service.spec.EndpointSpec)) checkPortConflicts(tx, spec, id)
    checkNetworksMigrated(service.spec, spec)
    checkReferencesExist(tx, spec)
    if (modeName(spec) !== modeName(service.spec)) {
      throw clusterError('Unimplemented', 'service mode change is not allowed')
    }
    if (spec.Name !== service.spec.Name) {
      throw clusterError('Unimplemented', 'renaming services is not supported')
    }
    const patch = args.rollback === 'previous' ? rollback(tx, service) : replacement(service, spec, args)
    checkIngressPresent(tx, patch.spec ?? spec)
    checkVersion(service, args.version)
    replace(tx, service, patch, args.rollback === 'previous' ? 'rollback' : 'update')
  })
}

/**
 * Goes back to a spec that the service had before; as a rollback to the one before the present one does it.
 * @param args `revision`: its number, see `src/store/revisions.ts`.
 * @throws {SwarmError} NotFound for a revision that is not kept; InvalidArgument when what it refers to is gone,
 *   or its ports are taken.
 */
export async function rollbackService({ store }: ControlContext, args: RollbackArgs): Promise<void> {
  await store.update((tx) => {
    const service = findService(tx, args.id)
    const kept = revisionsOf(tx, service.id)
    const current = currentRevision(tx, service).number
    const name = service.spec.Name ?? service.id
    if (args.revision === current) {
      throw clusterError('FailedPrecondition', `service ${name} is at revision ${current} already`)
    }
    const revision = kept.find(({ number }) => number === args.revision)
    if (revision === undefined) {
      const known = kept.map(({ number }) => number).join(', ')
      const text = `service ${name} has no revision ${args.revision}`
      throw clusterError(
        'NotFound',
        known === '' ? `${text}: it never had another spec` : `${text}: it has ${known}`,
      )
    }
    const { spec, specVersion } = revision
    checkReferencesExist(tx, spec)
    checkPortConflicts(tx, spec, service.id)
    checkIngressPresent(tx, spec)
    const message = `manually requested rollback to revision ${args.revision}`
    replace(tx, service, { ...rolledBack(tx, service, message), spec, specVersion }, 'rollback')
  })
}

/** Gives a service another spec, and keeps the one it had. */
function replace(tx: Tx, service: Service, patch: Patch<Service>, cause: RevisionCause): void {
  if (!isDeepStrictEqual(patch.spec, service.spec)) keepRevision(tx, service, cause)
  tx.update('services', service.id, { ...patch, ...nextIteration(tx, service) })
}

/** Credentials for pulls that the new spec keeps or gets. @throws {SwarmError} Unknown. */
function registryAuthOf(service: Service, args: Args): string | undefined {
  if (args.registryAuth !== undefined && args.registryAuth !== '') return args.registryAuth
  if (args.registryAuthFrom === 'spec') return service.registryAuth
  if (service.previousSpec === undefined) {
    throw new SwarmError('Unknown', 'service does not have a previous spec')
  }
  return service.previousRegistryAuth
}

function replacement(service: Service, spec: ServiceSpec, args: Args): Patch<Service> {
  return {
    spec,
    specVersion: args.version,
    registryAuth: registryAuthOf(service, args),
    previousSpec: service.spec,
    previousSpecVersion: service.specVersion,
    previousRegistryAuth: service.registryAuth,
    updateStatus: undefined,
  }
}

/** Present and previous spec change places. */
function rollback(tx: Tx, service: Service): Patch<Service> {
  const spec = service.previousSpec
  if (spec === undefined) {
    throw clusterError('FailedPrecondition', `service ${service.id} does not have a previous spec`)
  }
  // swarmkit does not look: the tasks would then wait for what is gone.
  checkReferencesExist(tx, spec)
  checkPortConflicts(tx, spec, service.id)
  return {
    ...rolledBack(tx, service, 'manually requested rollback'),
    spec,
    specVersion: service.previousSpecVersion ?? 0,
    registryAuth: service.previousRegistryAuth,
  }
}

function rolledBack(tx: Tx, service: Service, message: string): Patch<Service> {
  return {
    previousSpec: service.spec,
    previousSpecVersion: service.specVersion,
    previousRegistryAuth: service.registryAuth,
    updateStatus: { state: 'rollback_started', startedAtMs: tx.nowMs, message },
  }
}

/** Each update makes a job run again. */
function nextIteration(tx: Tx, { spec, jobStatus }: Service): Patch<Service> {
  if (!isJob(spec)) return {}
  return { jobStatus: { iteration: (jobStatus?.iteration ?? 0) + 1, lastExecutionMs: tx.nowMs } }
}

/** Networks in the old place may move to the task template, but not change by themselves. */
function checkNetworksMigrated(current: ServiceSpec, next: ServiceSpec): void {
  const isSame = (a: ServiceSpec['Networks'], b: ServiceSpec['Networks']) =>
    isDeepStrictEqual(a ?? [], b ?? [])
  if (
    !isSame(current.Networks, next.Networks) &&
    isSame(current.TaskTemplate?.Networks, next.TaskTemplate?.Networks)
  ) {
    throw clusterError('Unimplemented', 'networks must be migrated to TaskSpec before being changed')
  }
}

function modeName({ Mode: mode }: ServiceSpec): string | undefined {
  return Object.keys(mode ?? {})[0]
}
