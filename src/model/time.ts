/**
 * Times at the border to users: RFC 3339 in UTC, as Go's JSON encoder writes them. Inside, a time is a
 * number of Unix milliseconds.
 */

/** How Go writes a time that was never set. */
export const zeroTime = '0001-01-01T00:00:00Z'

/** Writes Unix ms as `2026-11-21T05:10:26.5Z`: zeros at the end of the fraction are left out. */
export function formatTime(unixMs: number | undefined): string {
  if (unixMs === undefined) return zeroTime
  // oxlint-disable-next-line no-restricted-globals -- turns a given time into text, reads no clock
  return new Date(unixMs).toISOString().replace(/\.?0*Z$/, 'Z')
}

/** Reads RFC 3339. Undefined where the text is no such time. Digits below a millisecond are dropped. */
export function parseTime(text: string): number | undefined {
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/.test(text)) return undefined
  // oxlint-disable-next-line no-restricted-globals -- reads a text, no clock
  const unixMs = Date.parse(text)
  return Number.isNaN(unixMs) ? undefined : unixMs
}
