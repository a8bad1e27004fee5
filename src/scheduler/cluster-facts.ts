import type { Service } from '../model/objects.js'
import {
  placementOf,
  selects,
  type AffinityTerm,
  type ServiceSelector,
  type Strategy,
} from '../model/placement.js'
import type { Change } from '../store/apply.js'
import type { View } from '../store/schema.js'
import { VolumeSet } from './volume-set.js'

type FactsView = Pick<View, 'networks' | 'services' | 'clusters' | 'volumes'>

interface Selection {
  readonly selector: ServiceSelector
  readonly ids: Set<string>
}

/**
 * What the scheduler must know of the cluster besides nodes and tasks: drivers of networks, and what the
 * labels of services say about where their tasks run. It reads the store when asked; what would cost a look
 * at every service it remembers, so it must be told of each change.
 */
export class ClusterFacts {
  readonly #view: FactsView
  /** Services by selector. */
  readonly #selections = new Map<string, Selection>()
  /** Services that keep others away from their nodes. */
  #keepingAway: Set<string> | undefined
  /** Must be told of tasks that use volumes. */
  readonly volumes: VolumeSet

  constructor(view: FactsView) {
    this.#view = view
    this.volumes = new VolumeSet(view.volumes)
  }

  /** Name of a network's driver, or undefined where it has none yet. */
  networkDriver(networkId: string): string | undefined {
    return this.#view.networks.get(networkId)?.driverState?.name
  }

  service(serviceId: string | undefined): Service | undefined {
    return serviceId === undefined ? undefined : this.#view.services.get(serviceId)
  }

  /** How nodes are ranked for a service that says nothing itself; undefined: as Swarm does. */
  get defaultStrategy(): Strategy | undefined {
    return placementOf(this.#view.clusters.list()[0]?.spec.Labels).strategy
  }

  /** The services that a selector means, by ID. The set follows later changes. */
  selected(selector: ServiceSelector): ReadonlySet<string> {
    const key = JSON.stringify(selector)
    let selection = this.#selections.get(key)
    if (selection === undefined) {
      const { services } = this.#view
      const candidates =
        'name' in selector ? services.by('name', selector.name.toLowerCase()) : services.list()
      const ids = candidates.filter((service) => isSelected(selector, service)).map(({ id }) => id)
      selection = { selector, ids: new Set(ids) }
      this.#selections.set(key, selection)
    }
    return selection.ids
  }

  /** The services whose anti-affinity means this one, by ID. */
  keptAwayBy(service: Service): ReadonlySet<string> {
    this.#keepingAway ??= new Set(
      this.#view.services
        .list()
        .filter(keepsAway)
        .map(({ id }) => id),
    )
    const ids = new Set<string>()
    for (const id of this.#keepingAway) {
      const terms = placementOf(this.#view.services.get(id)?.spec.Labels).antiAffinity
      if (terms.some((term) => !term.preferred && isSelected(term.selector, service))) ids.add(id)
    }
    return ids
  }

  /** Takes note of a change. @returns whether tasks may have a place now that had none. */
  note(change: Change): boolean {
    switch (change.table) {
      case 'services':
        return this.#noteService(change.id, change.before, change.after)
      case 'volumes':
        return true
      case 'clusters':
        return change.before?.spec !== change.after?.spec
      default:
        return false
    }
  }

  #noteService(id: string, before: Service | undefined, after: Service | undefined): boolean {
    if (before?.spec.Labels === after?.spec.Labels && before !== undefined && after !== undefined)
      return false
    let matters = before !== undefined && after !== undefined && hasWishes(before) !== hasWishes(after)
    for (const { selector, ids } of this.#selections.values()) {
      const was = ids.has(id)
      const is = after !== undefined && isSelected(selector, after)
      if (was === is) continue
      matters = true
      if (is) ids.add(id)
      else ids.delete(id)
    }
    if (after !== undefined && keepsAway(after)) this.#keepingAway?.add(id)
    else this.#keepingAway?.delete(id)
    if (before !== undefined && keepsAway(before)) matters = true
    if (after !== undefined && hasWishes(after) && before !== undefined) matters = true
    return matters
  }
}

function isSelected(selector: ServiceSelector, { spec }: Service): boolean {
  return selects(selector, spec.Name ?? '', spec.Labels)
}

function isHard({ preferred }: AffinityTerm): boolean {
  return !preferred
}

function keepsAway({ spec }: Service): boolean {
  return placementOf(spec.Labels).antiAffinity.some(isHard)
}

function hasWishes({ spec }: Service): boolean {
  const { affinity, antiAffinity } = placementOf(spec.Labels)
  return affinity.length + antiAffinity.length > 0
}
