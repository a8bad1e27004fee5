const maxInt64 = 2n ** 63n - 1n
const minInt64 = -(2n ** 63n)
const maxUint64 = 2n ** 64n - 1n

/**
 * `JSON.stringify` whose large whole numbers a Go client can read back: JavaScript writes 2^63 - 1, which
 * it holds as 2^63, as `9223372036854776000`, which no int64 can take. Here a number beyond 2^53 is
 * written with all its digits, and the largest as the limit that it stands for.
 */
export function stringifyExact(value: unknown): string {
  const text = JSON.stringify(value)
  // Only text with so many digits in a row can hold such a number; most never does.
  return /\d{17}|\de\+\d/.test(text) ? write(value) : text
}

function write(value: unknown): string {
  if (typeof value === 'number' && Number.isInteger(value) && !Number.isSafeInteger(value)) {
    return wholeNumber(value)
  }
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null'
  if (Array.isArray(value)) return `[${value.map(write).join(',')}]`
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .map(([name, member]) => `${JSON.stringify(name)}:${write(member)}`)
  return `{${members.join(',')}}`
}

function wholeNumber(value: number): string {
  if (value >= 2 ** 65 || value < -(2 ** 63)) return JSON.stringify(value)
  const exact = BigInt(value)
  if (exact > maxUint64) return String(maxUint64)
  if (exact === maxInt64 + 1n) return String(maxInt64)
  return String(exact < minInt64 ? minInt64 : exact)
}
