/** Big-endian bytes as a number in base 36 (`0-9a-z`), padded with zeros to `length`. */
export function toBase36(bytes: Uint8Array, length: number): string {
  return BigInt(`0x${Buffer.from(bytes).toString('hex')}`)
    .toString(36)
    .padStart(length, '0')
}

/** The number as `byteCount` big-endian bytes, or undefined when it is no base-36 number or too large. */
export function fromBase36(digits: string, byteCount: number): Buffer | undefined {
  if (!/^[0-9a-z]+$/.test(digits)) return undefined
  let value = 0n
  for (const digit of digits) value = value * 36n + BigInt(parseInt(digit, 36))
  const hex = value.toString(16)
  return hex.length > byteCount * 2 ? undefined : Buffer.from(hex.padStart(byteCount * 2, '0'), 'hex')
}
