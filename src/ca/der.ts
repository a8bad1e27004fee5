import asn1, { type Asn1 } from 'node-forge/lib/asn1.js'
import { timeDigits, unixMsOf } from './der-time.js'

export type { Asn1 }

const { Class, Type: tag } = asn1

/** Bytes that do not hold the ASN.1 structure that is expected there. */
export class DerError extends Error {
  override readonly name = 'DerError'
}

// Writing.

export function sequence(...items: readonly Asn1[]): Asn1 {
  return asn1.create(Class.UNIVERSAL, tag.SEQUENCE, true, [...items])
}

export function set(...items: readonly Asn1[]): Asn1 {
  return asn1.create(Class.UNIVERSAL, tag.SET, true, [...items])
}

export function oid(dotted: string): Asn1 {
  return asn1.create(Class.UNIVERSAL, tag.OID, false, asn1.oidToDer(dotted).getBytes())
}

export function nullValue(): Asn1 {
  return asn1.create(Class.UNIVERSAL, tag.NULL, false, '')
}

export function boolean(value: boolean): Asn1 {
  return asn1.create(Class.UNIVERSAL, tag.BOOLEAN, false, value ? '\xff' : '\x00')
}

/** An INTEGER from its big-endian bytes, read as a positive number. */
export function unsignedInteger(bytes: Uint8Array): Asn1 {
  const firstSet = bytes.findIndex((byte) => byte !== 0)
  const digits = firstSet === -1 ? Buffer.of(0) : bytes.subarray(firstSet)
  const padded = (digits[0] ?? 0) & 0x80 ? Buffer.concat([Buffer.of(0), digits]) : digits
  return asn1.create(Class.UNIVERSAL, tag.INTEGER, false, binary(padded))
}

export function octetString(bytes: Uint8Array): Asn1 {
  return asn1.create(Class.UNIVERSAL, tag.OCTETSTRING, false, binary(bytes))
}

/** A BIT STRING without unused bits. */
export function bitString(bytes: Uint8Array): Asn1 {
  return asn1.create(Class.UNIVERSAL, tag.BITSTRING, false, `\x00${binary(bytes)}`)
}

/** Flags numbered from 0, as in X.509's KeyUsage: trailing zero bits are cut, as DER demands. */
export function flagBits(...flags: readonly number[]): Asn1 {
  const highest = Math.max(...flags)
  const bytes = Buffer.alloc(Math.floor(highest / 8) + 1)
  for (const flag of flags) {
    const at = Math.floor(flag / 8)
    bytes[at] = (bytes[at] ?? 0) | (0x80 >> (flag % 8))
  }
  const unusedBits = bytes.length * 8 - 1 - highest
  return asn1.create(Class.UNIVERSAL, tag.BITSTRING, false, String.fromCharCode(unusedBits) + binary(bytes))
}

/** PrintableString where its characters allow, else UTF8String, as Go writes names. */
export function text(value: string): Asn1 {
  return /^[A-Za-z0-9 '()+,\-./:=?]*$/.test(value)
    ? asn1.create(Class.UNIVERSAL, tag.PRINTABLESTRING, false, value)
    : asn1.create(Class.UNIVERSAL, tag.UTF8, false, binary(Buffer.from(value, 'utf8')))
}

/** `[number]` with the items inside (constructed). */
export function explicit(number: number, ...items: readonly Asn1[]): Asn1 {
  return asn1.create(Class.CONTEXT_SPECIFIC, number, true, [...items])
}

/** `[number] IMPLICIT` over plain bytes. */
export function implicit(number: number, bytes: Uint8Array): Asn1 {
  return asn1.create(Class.CONTEXT_SPECIFIC, number, false, binary(bytes))
}

/** UTCTime for the years 1950 to 2049, else GeneralizedTime, as RFC 5280 demands. Cuts to whole seconds. */
export function time(unixMs: number): Asn1 {
  const { year, digits } = timeDigits(unixMs)
  return year >= 1950 && year < 2050
    ? asn1.create(Class.UNIVERSAL, tag.UTCTIME, false, digits.slice(2))
    : asn1.create(Class.UNIVERSAL, tag.GENERALIZEDTIME, false, digits)
}

export function toDer(value: Asn1): Buffer {
  return Buffer.from(asn1.toDer(value).getBytes(), 'latin1')
}

// Reading.

/** @throws {DerError} when `der` is not exactly one well-formed value. */
export function fromDer(der: Uint8Array): Asn1 {
  try {
    return asn1.fromDer(binary(der), { strict: true, parseAllBytes: true, decodeBitStrings: false })
  } catch (error) {
    throw new DerError('malformed DER', { cause: error })
  }
}

/** The items of a constructed value. @throws {DerError} when it is a plain one. */
export function children(value: Asn1 | undefined): Asn1[] {
  if (value === undefined || !Array.isArray(value.value)) throw new DerError('expected a constructed value')
  return value.value
}

/** The bytes of a plain value. @throws {DerError} when it is a constructed one. */
export function bytesOf(value: Asn1 | undefined): Buffer {
  if (value === undefined || typeof value.value !== 'string') throw new DerError('expected a plain value')
  return Buffer.from(value.value, 'latin1')
}

/** The bytes of a BIT STRING whose length is a multiple of eight. */
export function bitsOf(value: Asn1 | undefined): Buffer {
  const bytes = bytesOf(value)
  if (bytes[0] !== 0) throw new DerError('expected a bit string of whole bytes')
  return bytes.subarray(1)
}

export function oidOf(value: Asn1 | undefined): string {
  if (value === undefined || !isUniversal(value, tag.OID)) throw new DerError('expected an object identifier')
  return asn1.derToOid(bytesOf(value).toString('latin1'))
}

export function textOf(value: Asn1 | undefined): string {
  return bytesOf(value).toString('utf8')
}

/** Unix ms of a UTCTime or GeneralizedTime. @throws {DerError} when it is neither, or not in UTC. */
export function timeOf(value: Asn1 | undefined): number {
  const digits = bytesOf(value).toString('latin1')
  const utc = value !== undefined && isUniversal(value, tag.UTCTIME)
  const match = (utc ? /^(\d{2})(\d{10})Z$/ : /^(\d{4})(\d{10})Z$/).exec(digits)
  if (match === null) throw new DerError('expected a time in UTC')
  const [, yearDigits = '', rest = ''] = match
  const shortYear = Number(yearDigits)
  const year = !utc ? shortYear : shortYear >= 50 ? 1900 + shortYear : 2000 + shortYear
  const [month = 0, day = 0, hour = 0, minute = 0, second = 0] = (rest.match(/../g) ?? []).map(Number)
  const unixMs = unixMsOf(year, month, day, hour, minute, second)
  if (unixMs === undefined) throw new DerError('no such date')
  return unixMs
}

export function isContext(value: Asn1 | undefined, number: number): boolean {
  return value !== undefined && value.tagClass === Class.CONTEXT_SPECIFIC && value.type === number
}

export function isBoolean(value: Asn1 | undefined): boolean {
  return value !== undefined && isUniversal(value, tag.BOOLEAN)
}

function isUniversal(value: Asn1, type: number): boolean {
  return value.tagClass === Class.UNIVERSAL && value.type === type
}

function binary(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
}
