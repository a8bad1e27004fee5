import { failingFilter, filterNames, type FilterName } from './filters.js'
import type { NodeState } from './node-state.js'
import type { Requirements } from './requirements.js'

/** How many nodes each filter keeps the task off. */
export type FilterCounts = ReadonlyMap<FilterName, number>

/** Counts every node once, under the first filter that it fails. Nodes that fit are not counted. */
export function countFilters(nodes: Iterable<NodeState>, wanted: Requirements): FilterCounts {
  const counts = new Map<FilterName, number>()
  for (const state of nodes) {
    const filter = failingFilter(state, wanted)
    if (filter !== undefined) counts.set(filter, (counts.get(filter) ?? 0) + 1)
  }
  return counts
}

/**
 * The filters in words, the one with the most nodes first: `insufficient resources on 2 nodes; 1 node not
 * available for new tasks`. Texts: moby/swarmkit manager/scheduler/filter.go.
 */
export function explain(counts: FilterCounts): string {
  return filterNames
    .map((name) => ({ name, count: counts.get(name) ?? 0 }))
    .filter(({ count }) => count > 0)
    .sort((a, b) => b.count - a.count)
    .map(({ name, count }) => words(name, count))
    .join('; ')
}

/** What a task's `Status.Err` says when no node takes it. */
export function noSuitableNode(counts: FilterCounts): string {
  const why = explain(counts)
  return why === '' ? 'no suitable node' : `no suitable node (${why})`
}

function words(filter: FilterName, count: number): string {
  const nodes = count === 1 ? '1 node' : `${count} nodes`
  switch (filter) {
    case 'ready':
      return `${nodes} not available for new tasks`
    case 'resources':
      return `insufficient resources on ${nodes}`
    case 'plugins':
      return `missing plugin on ${nodes}`
    case 'constraints':
      return `scheduling constraints not satisfied on ${nodes}`
    case 'platform':
      return `unsupported platform on ${nodes}`
    case 'host ports':
      return `host-mode port already in use on ${nodes}`
    case 'max replicas':
      return 'max replicas per node limit exceed'
    case 'affinity':
      return `affinity not satisfied on ${nodes}`
    case 'anti-affinity':
      return `anti-affinity not satisfied on ${nodes}`
    case 'volumes':
      return `cannot fulfill requested CSI volume mounts on ${nodes}`
    default:
      return filter satisfies never
  }
}
