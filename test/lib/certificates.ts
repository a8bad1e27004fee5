import { createPrivateKey, generateKeyPairSync, randomBytes, type KeyObject } from 'node:crypto'
import { isIPv4 } from 'node:net'
import { algorithmIdentifier, algorithmOfKey } from '../../src/ca/algorithms.js'
import { extensionOids } from '../../src/ca/certificate.js'
import {
  boolean,
  explicit,
  flagBits,
  fromDer,
  implicit,
  octetString,
  oid,
  sequence,
  time,
  toDer,
  unsignedInteger,
  type Asn1,
} from '../../src/ca/der.js'
import { parseCertificate } from '../../src/ca/index.js'
import { distinguishedName, signedDer } from '../../src/ca/issue.js'
import { privateKeyPem, publicKeyDer } from '../../src/ca/keys.js'
import { formatPem } from '../../src/ca/pem.js'

const yearMs = 365 * 24 * 60 * 60 * 1000
const flags = { digitalSignature: 0, keyEncipherment: 2, certSign: 5, crlSign: 6 } as const

export interface Root {
  readonly certPem: string
  readonly keyPem: string
}

export interface CertificateWish {
  readonly subject: Parameters<typeof distinguishedName>[0]
  readonly publicKeyDer: Uint8Array
  readonly isCa?: boolean
  /** DNS names and IPv4 addresses. */
  readonly hosts?: readonly string[]
  readonly nowMs?: number
  readonly expiryMs?: number
}

/** An X.509 certificate as any CA would make it, which the product's own code to issue some has no part in. */
export function signCertificate(wish: CertificateWish, root: Root | { readonly selfKey: KeyObject }): string {
  const { subject, isCa = false, hosts = [], nowMs = Date.now(), expiryMs = 10 * yearMs } = wish
  const key = 'selfKey' in root ? root.selfKey : createPrivateKey(root.keyPem)
  const name = distinguishedName(subject)
  const issuer = 'selfKey' in root ? name : fromDer(parseCertificate(root.certPem).subjectDer)
  const algorithm = algorithmOfKey(key)
  const usage = isCa ? [flags.certSign, flags.crlSign] : [flags.digitalSignature, flags.keyEncipherment]
  const names = hosts.map((host) =>
    isIPv4(host) ? implicit(7, Buffer.from(host.split('.').map(Number))) : implicit(2, Buffer.from(host)),
  )
  const der = signedDer(algorithm, key, [
    explicit(0, unsignedInteger(Buffer.of(2))),
    unsignedInteger(Buffer.concat([Buffer.of(1), randomBytes(15)])),
    algorithmIdentifier(algorithm),
    issuer,
    sequence(time(nowMs - 60_000), time(nowMs + expiryMs)),
    name,
    fromDer(wish.publicKeyDer),
    explicit(
      3,
      sequence(
        extension(extensionOids.keyUsage, flagBits(...usage)),
        extension(extensionOids.basicConstraints, isCa ? sequence(boolean(true)) : sequence()),
        ...(names.length > 0 ? [extension(extensionOids.subjectAltName, sequence(...names))] : []),
      ),
    ),
  ])
  return formatPem('CERTIFICATE', der)
}

/**
 * A root as users bring them: named by themselves, and without an identifier of its key.
 * @param keyPem default: a new one.
 */
export function newImportedRoot(
  kind: 'rsa' | 'ec' = 'ec',
  wish: Partial<Omit<CertificateWish, 'publicKeyDer'>> = {},
  keyPem?: string,
): Root {
  const key = keyPem === undefined ? newKey(kind) : createPrivateKey(keyPem)
  const subject = { commonName: `our ${kind} root`, organization: 'Example' }
  const certPem = signCertificate(
    { subject, isCa: true, ...wish, publicKeyDer: publicKeyDer(key) },
    { selfKey: key },
  )
  return { certPem, keyPem: privateKeyPem(key) }
}

const privateKeyEncoding = { type: 'pkcs8', format: 'pem' } as const
const publicKeyEncoding = { type: 'spki', format: 'pem' } as const

/** By way of PEM, as the product's own keys go by way of DER. */
function newKey(kind: 'rsa' | 'ec'): KeyObject {
  const [modulusLength, namedCurve] = [2048, 'P-384']
  const rsa = { modulusLength, privateKeyEncoding, publicKeyEncoding }
  const ec = { namedCurve, privateKeyEncoding, publicKeyEncoding }
  const { privateKey } = kind === 'rsa' ? generateKeyPairSync('rsa', rsa) : generateKeyPairSync('ec', ec)
  return createPrivateKey(privateKey)
}

function extension(dotted: string, value: Asn1): Asn1 {
  return sequence(oid(dotted), boolean(true), octetString(toDer(value)))
}
