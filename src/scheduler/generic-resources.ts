import type { GenericResource } from '../model/spec/index.js'

/**
 * Generic resources of one kind that a node has left: a number, or names. A node that offers names of a
 * kind offers no number of it.
 */
export type GenericPool = ReadonlyMap<string, number | readonly string[]>

/** What a node offers, by kind. */
export function poolOf(resources: readonly GenericResource[]): GenericPool {
  const pool = new Map<string, number | string[]>()
  for (const { NamedResourceSpec: named, DiscreteResourceSpec: discrete } of resources) {
    if (named?.Kind !== undefined) {
      const names = pool.get(named.Kind)
      if (Array.isArray(names)) names.push(named.Value ?? '')
      else pool.set(named.Kind, [named.Value ?? ''])
    } else if (discrete?.Kind !== undefined) {
      const count = pool.get(discrete.Kind) ?? 0
      if (typeof count === 'number') pool.set(discrete.Kind, count + (discrete.Value ?? 0))
    }
  }
  return pool
}

/** How many of a kind are left. */
export function genericCount(pool: GenericPool, kind: string): number {
  const left = pool.get(kind) ?? 0
  return typeof left === 'number' ? left : left.length
}

/**
 * Takes `wanted` out of `pool`: numbers from numbers, the first names from names.
 * @returns what was taken, as a task carries it; undefined when something is short.
 * Behaviour: moby/swarmkit api/genericresource/resource_management.go.
 */
export function claimGenerics(
  pool: GenericPool,
  wanted: ReadonlyMap<string, number>,
): readonly GenericResource[] | undefined {
  const claimed: GenericResource[] = []
  for (const [kind, count] of wanted) {
    if (genericCount(pool, kind) < count) return undefined
    const left = pool.get(kind) ?? 0
    if (typeof left === 'number') claimed.push({ DiscreteResourceSpec: { Kind: kind, Value: count } })
    else {
      const names = left.slice(0, count)
      claimed.push(...names.map((value) => ({ NamedResourceSpec: { Kind: kind, Value: value } })))
    }
  }
  return claimed
}

/** `pool` without what `claims` hold. Claims of what is not offered any more count for nothing. */
export function remainingPool(pool: GenericPool, claims: Iterable<readonly GenericResource[]>): GenericPool {
  const remaining = new Map(pool)
  for (const claim of claims) {
    for (const { NamedResourceSpec: named, DiscreteResourceSpec: discrete } of claim) {
      const kind = named?.Kind ?? discrete?.Kind ?? ''
      const left = remaining.get(kind)
      if (typeof left === 'number') remaining.set(kind, left - (discrete?.Value ?? 0))
      else if (left !== undefined && named !== undefined)
        remaining.set(
          kind,
          left.filter((name) => name !== named.Value),
        )
    }
  }
  return remaining
}
