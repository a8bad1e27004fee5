/** Compares API versions part by part: 1.9 < 1.10. */
export function compareApiVersions(a: string, b: string): number {
  const left = a.split('.').map(Number)
  const right = b.split('.').map(Number)
  for (let index = 0; index < Math.max(left.length, right.length); index++) {
    const difference = (left[index] ?? 0) - (right[index] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}

/** The version nearest to `wanted` that an engine speaks; its newest one for "". */
export function clampApiVersion(wanted: string, min: string, max: string): string {
  if (wanted === '' || compareApiVersions(wanted, max) > 0) return max
  return compareApiVersions(wanted, min) < 0 ? min : wanted
}
