import { SwarmError } from '../../model/errors.js'
import { predefinedNetworkLabel, type Network } from '../../model/objects.js'
import type { View } from '../../store/store.js'
import { toNetworkInspect, type NetworkInspect } from '../convert/network.js'

/** The cluster's networks that users see. */
export function visibleNetworks(view: View | undefined): readonly Network[] {
  return (view?.networks.list() ?? []).filter(({ spec }) => !isPredefined(spec.Labels))
}

function isPredefined(labels: Readonly<Record<string, string>> | undefined): boolean {
  return labels !== undefined && Object.hasOwn(labels, predefinedNetworkLabel)
}

/** A network that a path names, and who owns it. */
export interface Found {
  readonly network: NetworkInspect
  readonly owner: 'engine' | 'swarm'
}

/**
 * Finds a network to look at among this host's and the cluster's. A whole ID of this host wins; then what
 * the cluster has by ID, or by name where the scope says so; then a whole name, then the start of an ID,
 * which must be unique over both.
 * @throws {SwarmError} NotFound; InvalidArgument where it is ambiguous.
 * Behaviour: moby daemon/server/router/network, getNetwork.
 */
export function findNetworkToInspect(
  local: readonly NetworkInspect[],
  view: View | undefined,
  term: string,
  scope: string,
): Found {
  const locals = local.filter((network) => scope === '' || network.Scope === scope)
  const whole = locals.find(({ Id }) => Id === term)
  if (whole !== undefined) return { network: whole, owner: 'engine' }
  const direct = swarmNetwork(view, term, scope === 'swarm')
  if (direct !== undefined) {
    const twin = locals.find(({ Id }) => Id === direct.id)
    return twin === undefined
      ? { network: toNetworkInspect(direct), owner: 'swarm' }
      : { network: twin, owner: 'engine' }
  }
  const swarms = scope === '' || scope === 'swarm' ? visibleNetworks(view) : []
  return unique(union(locals, swarms), term, {
    name: (count) => `${count} matches found based on name: network ${term} is ambiguous`,
    id: (count) => `${count} matches found based on ID prefix: network ${term} is ambiguous`,
  })
}

/**
 * Finds a network to remove. @throws {SwarmError} NotFound; InvalidArgument where it is ambiguous.
 * Behaviour: moby daemon/server/router/network, findUniqueNetwork.
 */
export function findNetworkToRemove(
  local: readonly NetworkInspect[],
  view: View | undefined,
  term: string,
): Found {
  const whole = local.find(({ Id }) => Id === term)
  if (whole !== undefined) return { network: whole, owner: 'engine' }
  const own = view?.networks.get(term)
  if (own !== undefined) return { network: toNetworkInspect(own), owner: 'swarm' }
  return unique(union(local, visibleNetworks(view)), term, {
    name: (count) => `network ${term} is ambiguous (${count} matches found based on name)`,
    id: (count) => `network ${term} is ambiguous (${count} matches found based on ID prefix)`,
  })
}

/** By ID, by its start where that is unique, and by name if wished. */
function swarmNetwork(view: View | undefined, term: string, byName: boolean): Network | undefined {
  if (view === undefined || term === '') return undefined
  const whole = view.networks.get(term)
  if (whole !== undefined) return whole
  const named = view.networks.by('name', term.toLowerCase()).filter(({ spec }) => spec.Name === term)
  if (named.length > 0) return byName ? named[0] : undefined
  const matches = view.networks.byIdPrefix(term)
  return matches.length === 1 ? matches[0] : undefined
}

/** What the engine has under the same ID is the same network: its copy knows more. */
function union(local: readonly NetworkInspect[], swarm: readonly Network[]): readonly Found[] {
  const known = new Set(local.map(({ Id }) => Id))
  return [
    ...local.map((network) => ({ network, owner: 'engine' as const })),
    ...swarm
      .filter(({ id }) => !known.has(id))
      .map((network) => ({ network: toNetworkInspect(network), owner: 'swarm' as const })),
  ]
}

function unique(
  candidates: readonly Found[],
  term: string,
  ambiguous: Readonly<Record<'name' | 'id', (count: number) => string>>,
): Found {
  const named = candidates.filter(({ network }) => network.Name === term)
  const prefixed = candidates.filter(({ network }) => network.Id.startsWith(term))
  for (const [matches, text] of [
    [named, ambiguous.name],
    [prefixed, ambiguous.id],
  ] as const) {
    const [only] = matches
    if (matches.length > 1) throw new SwarmError('InvalidArgument', text(matches.length))
    if (only !== undefined) return only
  }
  throw new SwarmError('NotFound', `network ${term} not found`)
}
