/**
 * Whether two JSON values say the same. An absent member, an empty list and `undefined` are one, as they
 * are once a spec has been through protobuf.
 */
export function sameValue(a: unknown, b: unknown): boolean {
  if (a === b) return true
  if (isNothing(a) || isNothing(b)) return isNothing(a) && isNothing(b)
  if (typeof a !== 'object' || typeof b !== 'object') return false
  if (Array.isArray(a) || Array.isArray(b)) {
    if (!Array.isArray(a) || !Array.isArray(b) || a.length !== b.length) return false
    return a.every((item, at) => sameValue(item, b[at]))
  }
  const left = a as Readonly<Record<string, unknown>>
  const right = b as Readonly<Record<string, unknown>>
  for (const key in left) if (!sameValue(left[key], right[key])) return false
  for (const key in right) if (!(key in left) && !isNothing(right[key])) return false
  return true
}

function isNothing(value: unknown): value is null | undefined | readonly never[] {
  return value === undefined || value === null || (Array.isArray(value) && value.length === 0)
}
