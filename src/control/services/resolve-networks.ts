import { SwarmError, errorText } from '../../model/errors.js'
import type { NetworkAttachmentConfig, ServiceSpec } from '../../model/spec/index.js'
import type { View } from '../../store/store.js'
import type { ControlContext } from '../context.js'
import { findNetwork } from '../lookup.js'

/** Networks that every engine has. Some have a twin in the cluster's store. */
const predefined: ReadonlySet<string> = new Set(['bridge', 'host', 'none', 'default'])

/**
 * Puts IDs where a spec names its networks. The old place, beside the task template, is read only where
 * the template has none.
 * @throws {SwarmError} PermissionDenied for a network of this host; else Unknown `network x not found`,
 *   which clients see as HTTP 500.
 * Behaviour: moby daemon/cluster/services.go, populateNetworkID.
 */
export async function resolveNetworks(context: ControlContext, spec: ServiceSpec): Promise<ServiceSpec> {
  const own = spec.TaskTemplate?.Networks ?? []
  if (own.length > 0) {
    return { ...spec, TaskTemplate: { ...spec.TaskTemplate, Networks: await resolve(context, own) } }
  }
  return spec.Networks === undefined ? spec : { ...spec, Networks: await resolve(context, spec.Networks) }
}

/**
 * The engine's own networks among those that a spec names and the cluster does not have: name or ID as the spec
 * has it, and name. For a write that another node will carry out.
 */
export async function localNetworksIn(
  { store, findLocalNetwork }: Pick<ControlContext, 'store' | 'findLocalNetwork'>,
  spec: ServiceSpec,
): Promise<Readonly<Record<string, string>>> {
  const found: Record<string, string> = {}
  for (const { Target: target = '' } of [...(spec.TaskTemplate?.Networks ?? []), ...(spec.Networks ?? [])]) {
    if (isOfCluster(store.view, target)) continue
    const local = await findLocalNetwork(target)
    if (local !== undefined) found[target] = local
  }
  return found
}

function isOfCluster(view: View, target: string): boolean {
  try {
    findNetwork(view, target)
    return true
  } catch {
    // Not there, or not clear: who carries the write out says which.
    return false
  }
}

function resolve(
  context: ControlContext,
  attachments: readonly NetworkAttachmentConfig[],
): Promise<readonly NetworkAttachmentConfig[]> {
  return Promise.all(
    attachments.map(async (attachment) => ({
      ...attachment,
      Target: await resolveTarget(context, attachment.Target ?? ''),
    })),
  )
}

async function resolveTarget(context: ControlContext, target: string): Promise<string> {
  try {
    return findNetwork(context.store.view, target).id
  } catch (error) {
    if (!(error instanceof SwarmError && error.code === 'NotFound')) throw error
    const local = await context.findLocalNetwork(target)
    if (local === undefined) throw new SwarmError('Unknown', error.message, { cause: error })
    if (predefined.has(local)) return resolvePredefined(context, local)
    throw new SwarmError(
      'PermissionDenied',
      `The network ${local} cannot be used with services. Only networks scoped to the swarm can be used, such as those created with the overlay driver.`,
      { cause: error },
    )
  }
}

function resolvePredefined(context: ControlContext, name: string): string {
  try {
    return findNetwork(context.store.view, name).id
  } catch (error) {
    const text = `could not find the corresponding predefined swarm network: ${errorText(error)}`
    throw new SwarmError('NotFound', text, { cause: error })
  }
}
