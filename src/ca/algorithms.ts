import { sign as signBytes, verify as verifyBytes, type KeyObject } from 'node:crypto'
import { SwarmError } from '../model/errors.js'
import { nullValue, oid, sequence, type Asn1 } from './der.js'

/** A signature algorithm of X.509. ECDSA signatures are DER sequences, as node:crypto makes them. */
export interface SignatureAlgorithm {
  readonly oid: string
  readonly hash: 'sha256' | 'sha384' | 'sha512'
  readonly keyType: 'ec' | 'rsa'
}

const ecdsaSha256: SignatureAlgorithm = { oid: '1.2.840.10045.4.3.2', hash: 'sha256', keyType: 'ec' }
const ecdsaSha384: SignatureAlgorithm = { oid: '1.2.840.10045.4.3.3', hash: 'sha384', keyType: 'ec' }
const ecdsaSha512: SignatureAlgorithm = { oid: '1.2.840.10045.4.3.4', hash: 'sha512', keyType: 'ec' }
const rsaSha256: SignatureAlgorithm = { oid: '1.2.840.113549.1.1.11', hash: 'sha256', keyType: 'rsa' }
const rsaSha384: SignatureAlgorithm = { oid: '1.2.840.113549.1.1.12', hash: 'sha384', keyType: 'rsa' }
const rsaSha512: SignatureAlgorithm = { oid: '1.2.840.113549.1.1.13', hash: 'sha512', keyType: 'rsa' }

const byOid = new Map(
  [ecdsaSha256, ecdsaSha384, ecdsaSha512, rsaSha256, rsaSha384, rsaSha512].map((each) => [each.oid, each]),
)
const byCurve = new Map([
  ['prime256v1', ecdsaSha256],
  ['secp384r1', ecdsaSha384],
  ['secp521r1', ecdsaSha512],
])

/** The algorithm with this OID, or undefined: SHA-1, MD5 and other kinds of keys are not accepted. */
export function algorithmByOid(dotted: string): SignatureAlgorithm | undefined {
  return byOid.get(dotted)
}

/**
 * What a key signs with.
 * @throws {SwarmError} InvalidArgument unless it is RSA of 2048 bits or more, or EC on P-256, P-384 or P-521.
 */
export function algorithmOfKey(key: KeyObject): SignatureAlgorithm {
  const { modulusLength = 0, namedCurve = '' } = key.asymmetricKeyDetails ?? {}
  if (key.asymmetricKeyType === 'rsa') {
    if (modulusLength >= 2048) return rsaSha256
    throw new SwarmError(
      'InvalidArgument',
      `unsupported RSA key size: ${modulusLength} bits, at least 2048 needed`,
    )
  }
  const algorithm = key.asymmetricKeyType === 'ec' ? byCurve.get(namedCurve) : undefined
  if (algorithm !== undefined) return algorithm
  const kind = [key.asymmetricKeyType, namedCurve].filter(Boolean).join(' ')
  throw new SwarmError(
    'InvalidArgument',
    `unsupported key type: ${kind}, RSA or EC on P-256, P-384, P-521 needed`,
  )
}

/** The AlgorithmIdentifier of X.509. RSA's has a NULL as parameter, ECDSA's none. */
export function algorithmIdentifier(algorithm: SignatureAlgorithm): Asn1 {
  return algorithm.keyType === 'rsa'
    ? sequence(oid(algorithm.oid), nullValue())
    : sequence(oid(algorithm.oid))
}

export function sign(algorithm: SignatureAlgorithm, key: KeyObject, bytes: Uint8Array): Buffer {
  return signBytes(algorithm.hash, bytes, key)
}

/** Whether `signature` is over `bytes` by the private half of `key`. False for a key of another type. */
export function verify(
  algorithm: SignatureAlgorithm,
  key: KeyObject,
  bytes: Uint8Array,
  signature: Uint8Array,
): boolean {
  return key.asymmetricKeyType === algorithm.keyType && verifyBytes(algorithm.hash, bytes, key, signature)
}
