/**
 * IPv4 arithmetic. An address is an integer from 0 to 2^32 - 1; JavaScript's bit operators work on signed
 * numbers, so sizes are computed with powers instead.
 */
export interface Subnet {
  /** First address. */
  readonly base: number
  readonly prefixLength: number
}

const maxAddress = 2 ** 32 - 1

/** `10.0.1.2` as a number; undefined for anything else. Leading zeros are refused, as in Go. */
export function parseAddress(text: string): number | undefined {
  const parts = text.split('.')
  if (parts.length !== 4) return undefined
  let address = 0
  for (const part of parts) {
    if (!/^(0|[1-9][0-9]{0,2})$/.test(part) || Number(part) > 255) return undefined
    address = address * 256 + Number(part)
  }
  return address
}

/** @param address 0 to 2^32 - 1. */
export function formatAddress(address: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(address / 2 ** shift) % 256).join('.')
}

/**
 * `10.0.1.0/24` as a subnet; bits beyond the prefix are cleared, as Go's `net.ParseCIDR` does.
 * Undefined for anything else.
 */
export function parseSubnet(text: string): Subnet | undefined {
  const [address = '', prefix = '', ...rest] = text.split('/')
  const parsed = parseAddress(address)
  if (parsed === undefined || rest.length > 0 || !/^(0|[1-9][0-9]?)$/.test(prefix)) return undefined
  const prefixLength = Number(prefix)
  return prefixLength > 32 ? undefined : subnetOf(parsed, prefixLength)
}

/** The subnet of that prefix length that `address` is in. */
export function subnetOf(address: number, prefixLength: number): Subnet {
  const size = 2 ** (32 - prefixLength)
  return { base: address - (address % size), prefixLength }
}

export function formatSubnet({ base, prefixLength }: Subnet): string {
  return `${formatAddress(base)}/${prefixLength}`
}

/** An address with the prefix length of its subnet: `10.0.1.2/24`. */
export function formatInterface(address: number, prefixLength: number): string {
  return `${formatAddress(address)}/${prefixLength}`
}

/** The address in `10.0.1.2/24`, or in `10.0.1.2`. */
export function addressOf(text: string): number | undefined {
  const [address = '', prefix] = text.split('/')
  return prefix === undefined || parseSubnet(text) !== undefined ? parseAddress(address) : undefined
}

export function subnetSize({ prefixLength }: Subnet): number {
  return 2 ** (32 - prefixLength)
}

export function lastAddress(subnet: Subnet): number {
  return Math.min(subnet.base + subnetSize(subnet) - 1, maxAddress)
}

export function contains(subnet: Subnet, address: number): boolean {
  return address >= subnet.base && address <= lastAddress(subnet)
}

/** Whether all of `inner` is in `outer`. */
export function containsSubnet(outer: Subnet, inner: Subnet): boolean {
  return inner.prefixLength >= outer.prefixLength && contains(outer, inner.base)
}

export function overlap(a: Subnet, b: Subnet): boolean {
  return a.base <= lastAddress(b) && b.base <= lastAddress(a)
}
