const unitNs: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  μs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
}

const wholePattern =
  /^(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|μs|ms|s|m|h)(?:(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))*$/
const partPattern = /(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)/g

/**
 * Reads a Go duration without sign, such as `1500ms`, `1m30s` or `0`.
 * @returns milliseconds, possibly fractional; undefined when the text is no such duration.
 */
export function parseGoDurationMs(text: string): number | undefined {
  if (text === '0') return 0
  if (!wholePattern.test(text)) return undefined
  let ns = 0
  for (const [, number = '0', unit = 'ns'] of text.matchAll(partPattern)) {
    ns += Number(number) * (unitNs[unit] ?? 0)
  }
  return Number.isFinite(ns) ? ns / 1e6 : undefined
}
