import { createHash, createPublicKey, type KeyObject } from 'node:crypto'
import { SwarmError } from '../model/errors.js'
import { algorithmByOid, verify, type SignatureAlgorithm } from './algorithms.js'
import {
  bitsOf,
  bytesOf,
  children,
  fromDer,
  isBoolean,
  isContext,
  oidOf,
  textOf,
  timeOf,
  toDer,
  type Asn1,
} from './der.js'
import { formatPem, parsePem } from './pem.js'

/** The fields of a subject that the cluster uses; the last of each kind counts. */
export interface DistinguishedName {
  readonly commonName?: string
  readonly organization?: string
  readonly organizationalUnit?: string
}

export const nameOids = {
  commonName: '2.5.4.3',
  organization: '2.5.4.10',
  organizationalUnit: '2.5.4.11',
} as const

export const extensionOids = {
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKeyIdentifier: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
} as const

/** A parsed X.509 certificate. Parsing proves nothing: see `verifyChain`. */
export interface Certificate {
  readonly der: Buffer
  /** One PEM block with a final newline. */
  readonly pem: string
  readonly serialNumber: Buffer
  readonly subject: DistinguishedName
  readonly subjectDer: Buffer
  readonly issuerDer: Buffer
  /** Unix ms, whole seconds. */
  readonly notBeforeMs: number
  readonly notAfterMs: number
  readonly publicKey: KeyObject
  /** SubjectPublicKeyInfo. */
  readonly publicKeyDer: Buffer
  readonly subjectKeyId: Buffer | undefined
  /** BasicConstraints with CA:TRUE. */
  readonly isCa: boolean
  readonly maxPathLength: number | undefined
  /** Undefined without the extension: any use. Else the numbers of the flags that are set. */
  readonly keyUsage: ReadonlySet<number> | undefined
  readonly extendedKeyUsage: readonly string[] | undefined
  readonly dnsNames: readonly string[]
  /** As they are in the certificate. */
  readonly extensions: readonly Asn1[]
  /** Undefined for an algorithm that is not accepted (SHA-1, MD5, Ed25519, ...). */
  readonly signatureAlgorithm: SignatureAlgorithm | undefined
  readonly signatureAlgorithmOid: string
  readonly signature: Buffer
  /** What the signature covers. */
  readonly tbsDer: Buffer
  /** The items of the TBSCertificate, for signing it anew under another root. */
  readonly tbs: readonly Asn1[]
}

/** @throws {SwarmError} InvalidArgument when it is no X.509 certificate. */
export function parseCertificateDer(der: Uint8Array): Certificate {
  try {
    return parse(Buffer.from(der))
  } catch (error) {
    throw new SwarmError('InvalidArgument', 'malformed certificate', { cause: error })
  }
}

/**
 * All certificates of a PEM bundle in their order; other blocks are skipped.
 * @throws {SwarmError} InvalidArgument when there is none, or one is malformed.
 */
export function parseCertificates(pem: string): [Certificate, ...Certificate[]] {
  const [first, ...rest] = parsePem(pem)
    .filter((block) => block.label === 'CERTIFICATE')
    .map((block) => parseCertificateDer(block.der))
  if (first === undefined) throw new SwarmError('InvalidArgument', 'no certificate found in the PEM text')
  return [first, ...rest]
}

/** The first certificate of a PEM text: the leaf of a chain. @throws as `parseCertificates`. */
export function parseCertificate(pem: string): Certificate {
  return parseCertificates(pem)[0]
}

/** Whether `certificate` was signed with the private half of `issuerKey`. Looks at nothing else. */
export function isSignedBy(certificate: Certificate, issuerKey: KeyObject): boolean {
  const { signatureAlgorithm } = certificate
  return (
    signatureAlgorithm !== undefined &&
    verify(signatureAlgorithm, issuerKey, certificate.tbsDer, certificate.signature)
  )
}

/**
 * Whose key signed the first certificate of `chainPem`: one of those behind it, or one of the roots. The first
 * root where it was none of them.
 */
export function issuerOf(chainPem: string, rootPem: string): Certificate {
  const [leaf, ...intermediates] = parseCertificates(chainPem)
  const roots = parseCertificates(rootPem)
  const signed = (issuer: Certificate) =>
    issuer.subjectDer.equals(leaf.issuerDer) && isSignedBy(leaf, issuer.publicKey)
  return [...intermediates, ...roots].find(signed) ?? roots[0]
}

/** Subject key identifier after RFC 5280 4.2.1.2 (1): SHA-1 of the public key's bits. */
export function keyIdOf(publicKeyDer: Uint8Array): Buffer {
  const [, bits] = children(fromDer(publicKeyDer))
  return createHash('sha1').update(bitsOf(bits)).digest()
}

/**
 * What Docker shows of the trust of a node or cluster. The binary ones are base64 in JSON.
 * `issuer` is the certificate whose key signs now: the rotation's target while a root rotates.
 */
export function tlsInfo(
  trustRootPem: string,
  issuer: Certificate,
): { TrustRoot: string; CertIssuerSubject: string; CertIssuerPublicKey: string } {
  return {
    TrustRoot: trustRootPem,
    CertIssuerSubject: issuer.subjectDer.toString('base64'),
    CertIssuerPublicKey: issuer.publicKeyDer.toString('base64'),
  }
}

function parse(der: Buffer): Certificate {
  const whole = fromDer(der)
  // Parts are written anew from what was parsed; that gives the signed bytes only if the input was true DER.
  if (!toDer(whole).equals(der)) throw new Error('not in DER')
  const [tbs, algorithm, signature] = children(whole)
  const items = children(tbs)
  // The version is absent in X.509 v1.
  const fields = isContext(items[0], 0) ? items.slice(1) : items
  const [serialNumber, , issuer, validity, subject, publicKeyInfo] = fields
  const [notBefore, notAfter] = children(validity)
  if (tbs === undefined || issuer === undefined || subject === undefined || publicKeyInfo === undefined) {
    throw new Error('a field is missing')
  }
  const extensionItems = readExtensions(fields.slice(6))
  const extensions = parseExtensions(extensionItems)
  const publicKeyDer = toDer(publicKeyInfo)
  const signatureAlgorithmOid = oidOf(children(algorithm)[0])
  const constraints = parseBasicConstraints(extensions.get(extensionOids.basicConstraints))
  const subjectKeyId = extensions.get(extensionOids.subjectKeyIdentifier)
  return {
    der,
    pem: formatPem('CERTIFICATE', der),
    serialNumber: bytesOf(serialNumber),
    subject: parseName(subject),
    subjectDer: toDer(subject),
    issuerDer: toDer(issuer),
    notBeforeMs: timeOf(notBefore),
    notAfterMs: timeOf(notAfter),
    publicKey: createPublicKey({ key: publicKeyDer, format: 'der', type: 'spki' }),
    publicKeyDer,
    subjectKeyId: subjectKeyId && bytesOf(subjectKeyId),
    ...constraints,
    keyUsage: parseFlags(extensions.get(extensionOids.keyUsage)),
    extendedKeyUsage: parseOids(extensions.get(extensionOids.extendedKeyUsage)),
    dnsNames: parseDnsNames(extensions.get(extensionOids.subjectAltName)),
    extensions: extensionItems,
    signatureAlgorithm: algorithmByOid(signatureAlgorithmOid),
    signatureAlgorithmOid,
    signature: bitsOf(signature),
    tbsDer: toDer(tbs),
    tbs: items,
  }
}

function parseName(name: Asn1): DistinguishedName {
  const found = new Map<string, string>()
  for (const relative of children(name)) {
    for (const pair of children(relative)) {
      const [type, value] = children(pair)
      found.set(oidOf(type), textOf(value))
    }
  }
  const [commonName, organization, organizationalUnit] = [
    found.get(nameOids.commonName),
    found.get(nameOids.organization),
    found.get(nameOids.organizationalUnit),
  ]
  return {
    ...(commonName !== undefined && { commonName }),
    ...(organization !== undefined && { organization }),
    ...(organizationalUnit !== undefined && { organizationalUnit }),
  }
}

function readExtensions(tail: readonly Asn1[]): readonly Asn1[] {
  const wrapped = tail.find((item) => isContext(item, 3))
  return wrapped === undefined ? [] : children(children(wrapped)[0])
}

/** Extension values by OID. */
function parseExtensions(items: readonly Asn1[]): Map<string, Asn1> {
  const found = new Map<string, Asn1>()
  for (const extension of items) {
    const parts = children(extension)
    // The criticality between them is optional.
    found.set(oidOf(parts[0]), fromDer(bytesOf(parts.at(-1))))
  }
  return found
}

function parseBasicConstraints(value: Asn1 | undefined): {
  isCa: boolean
  maxPathLength: number | undefined
} {
  if (value === undefined) return { isCa: false, maxPathLength: undefined }
  const [first, second] = children(value)
  const isCa = isBoolean(first) && bytesOf(first)[0] !== 0
  const length = isBoolean(first) ? second : first
  return { isCa, maxPathLength: length && bytesOf(length).at(-1) }
}

function parseFlags(value: Asn1 | undefined): ReadonlySet<number> | undefined {
  if (value === undefined) return undefined
  const [, ...bytes] = bytesOf(value)
  const flags = bytes.flatMap((byte, at) =>
    [0, 1, 2, 3, 4, 5, 6, 7].filter((bit) => byte & (0x80 >> bit)).map((bit) => at * 8 + bit),
  )
  return new Set(flags)
}

function parseOids(value: Asn1 | undefined): readonly string[] | undefined {
  return value && children(value).map(oidOf)
}

function parseDnsNames(value: Asn1 | undefined): readonly string[] {
  if (value === undefined) return []
  return children(value)
    .filter((name) => isContext(name, 2))
    .map(textOf)
}
