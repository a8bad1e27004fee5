import { newId } from '../../env/id.js'
import { clusterError } from '../../model/errors.js'
import { randomName } from '../../model/names.js'
import type { ServiceSpec } from '../../model/spec/index.js'
import type { Tx } from '../../store/store.js'
import type { ControlContext } from '../context.js'
import type { Control } from '../interface.js'
import { normaliseServiceSpec } from './normalise.js'
import { resolveNetworks } from './resolve-networks.js'
import { checkIngressPresent, checkNoIngressAttachment, checkPortConflicts } from './validate-cluster.js'
import { checkReferencesExist } from './validate-references.js'
import { isJob, validateServiceSpec } from './validate-spec.js'

/** Random names that are tried before one gets a number. */
const nameAttempts = 20

/**
 * Makes a service.
 * @throws {SwarmError} with Docker's texts, in its order.
 * Behaviour: moby daemon/cluster/services.go; moby/swarmkit manager/controlapi/service.go, CreateService.
 */
export async function createService(
  context: ControlContext,
  { spec: sent, registryAuth }: Parameters<Control['createService']>[0],
): Promise<{ readonly id: string }> {
  const { env, store } = context
  const resolved = await resolveNetworks(context, sent)
  const named = (resolved.Name ?? '') === '' ? { ...resolved, Name: randomName(env) } : resolved
  const checked = normaliseServiceSpec(named)
  validateServiceSpec(checked)
  const id = newId(env)
  await store.update((tx) => {
    const spec =
      named === resolved ? checked : { ...checked, Name: freeName(context, tx, checked.Name ?? '') }
    checkNoIngressAttachment(tx, spec)
    checkPortConflicts(tx, spec)
    checkIngressPresent(tx, spec)
    checkReferencesExist(tx, spec)
    checkNameIsFree(tx, spec)
    tx.create('services', {
      id,
      spec,
      specVersion: 0,
      ...(isJob(spec) && { jobStatus: { iteration: 0, lastExecutionMs: tx.nowMs } }),
      ...(!needsAllocation(spec) && {
        endpoint: { spec: spec.EndpointSpec ?? {}, ports: [], virtualIPs: [] },
      }),
      ...(registryAuth !== undefined && registryAuth !== '' && { registryAuth }),
    })
  })
  return { id }
}

/** Without ports and networks the endpoint is known at once, which spares a second write per service. */
function needsAllocation({ EndpointSpec, TaskTemplate, Networks }: ServiceSpec): boolean {
  return [EndpointSpec?.Ports, TaskTemplate?.Networks, Networks].some((list) => (list ?? []).length > 0)
}

function checkNameIsFree(tx: Tx, spec: ServiceSpec): void {
  const name = spec.Name ?? ''
  if (tx.services.by('name', name.toLowerCase()).length > 0) {
    throw clusterError(
      'AlreadyExists',
      `name conflicts with an existing object: service ${name} already exists`,
    )
  }
}

/** `wanted`, or another name that no service has. */
function freeName({ env }: ControlContext, tx: Tx, wanted: string): string {
  const isFree = (name: string) => tx.services.by('name', name.toLowerCase()).length === 0
  let name = wanted
  for (let attempt = 0; attempt < nameAttempts && !isFree(name); attempt++) name = randomName(env)
  for (let number = 1; !isFree(name); number++) name = `${wanted}${number}`
  return name
}
