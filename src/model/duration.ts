const nanosPerUnit: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  µs: 1e3, // U+00B5, the micro sign
  μs: 1e3, // U+03BC, the Greek letter
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
}

export const second = 1e9
export const nanosPerMs = 1e6

/**
 * Reads a Go duration such as `1h15m`, `1.5s`, `-200ms` or `0`.
 * @returns nanoseconds, a whole number.
 * @throws {Error} with Go's text: `time: invalid duration "x"`.
 */
export function parseDuration(text: string): number {
  const quoted = JSON.stringify(text)
  const match = /^([+-]?)(.*)$/s.exec(text)
  const [, sign = '', body = ''] = match ?? []
  if (body === '0') return 0
  if (body === '') throw new Error(`time: invalid duration ${quoted}`)
  let nanos = 0
  let rest = body
  while (rest !== '') {
    const part = /^(\d+\.?\d*|\.\d+)([^\d.]*)/.exec(rest)
    if (part === null) throw new Error(`time: invalid duration ${quoted}`)
    const [whole, amount = '', unit = ''] = part
    if (unit === '') throw new Error(`time: missing unit in duration ${quoted}`)
    const perUnit = Object.hasOwn(nanosPerUnit, unit) ? nanosPerUnit[unit] : undefined
    if (perUnit === undefined) {
      throw new Error(`time: unknown unit ${JSON.stringify(unit)} in duration ${quoted}`)
    }
    nanos += Number(amount) * perUnit
    rest = rest.slice(whole.length)
  }
  if (nanos >= 2 ** 63) throw new Error(`time: invalid duration ${quoted}`)
  const rounded = Math.trunc(nanos)
  return sign === '-' && rounded !== 0 ? -rounded : rounded
}

/** Like `parseDuration`, in milliseconds, for timers. May have a fraction. */
export function parseDurationMs(text: string): number {
  return parseDuration(text) / nanosPerMs
}

/** Writes nanoseconds as Go does: `1h0m0s`, `1.5s`, `250ms`, `0s`. */
export function formatDuration(nanos: number): string {
  if (nanos === 0) return '0s'
  const sign = nanos < 0 ? '-' : ''
  const size = Math.abs(nanos)
  if (size < 1e3) return `${sign}${size}ns`
  if (size < 1e6) return `${sign}${size / 1e3}µs`
  if (size < 1e9) return `${sign}${size / 1e6}ms`
  const hours = Math.floor(size / 3600e9)
  const minutes = Math.floor((size % 3600e9) / 60e9)
  const seconds = `${(size % 60e9) / 1e9}s`
  if (hours > 0) return `${sign}${hours}h${minutes}m${seconds}`
  return minutes > 0 ? `${sign}${minutes}m${seconds}` : `${sign}${seconds}`
}
