import type { KeyObject } from 'node:crypto'
import type { Env } from '../env/env.js'
import { SwarmError } from '../model/errors.js'
import { algorithmIdentifier, algorithmOfKey, sign, type SignatureAlgorithm } from './algorithms.js'
import { extensionOids, keyIdOf, nameOids, parseCertificate, type Certificate } from './certificate.js'
import {
  bitString,
  boolean,
  children,
  explicit,
  flagBits,
  fromDer,
  implicit,
  isContext,
  octetString,
  oid,
  oidOf,
  sequence,
  set,
  text,
  time,
  toDer,
  unsignedInteger,
  type Asn1,
} from './der.js'
import { CA_NAME, dnsNamesOf, organizationalUnit, type NodeIdentity } from './identity.js'
import { generateKey, parsePrivateKey, privateKeyPem, publicKeyDer } from './keys.js'
import { formatPem } from './pem.js'

const HOUR_MS = 3_600_000
/** Docker's 630720000 s: twenty years of 365 days. */
export const ROOT_EXPIRY_MS = 630_720_000_000
/** Docker's 2160 h: ninety days. */
export const DEFAULT_NODE_EXPIRY_MS = 2160 * HOUR_MS
/** Certificates start an hour ago, so that a node whose clock is a little behind takes them. */
export const BACKDATE_MS = HOUR_MS

const keyUsageFlag = { digitalSignature: 0, keyEncipherment: 2, certSign: 5, crlSign: 6 } as const
const serverAuth = '1.3.6.1.5.5.7.3.1'
const clientAuth = '1.3.6.1.5.5.7.3.2'

/** A root, or an intermediate below it, together with its key. */
export interface Signer {
  readonly certificate: Certificate
  readonly key: KeyObject
  readonly algorithm: SignatureAlgorithm
  /** PEM that goes behind each leaf: while a root rotates, the new root cross-signed by the old one. */
  readonly intermediatesPem: string
}

/**
 * @throws {SwarmError} InvalidArgument when either is malformed or too weak, or `certificate key mismatch`.
 * Behaviour: moby/swarmkit ca/certificates.go, NewRootCA.
 */
export function createSigner(certPem: string, keyPem: string, intermediatesPem = ''): Signer {
  const certificate = parseCertificate(certPem)
  const key = parsePrivateKey(keyPem)
  const algorithm = algorithmOfKey(key)
  if (!publicKeyDer(key).equals(certificate.publicKeyDer)) {
    throw new SwarmError('InvalidArgument', 'certificate key mismatch')
  }
  return { certificate, key, algorithm, intermediatesPem }
}

/** A new self-signed P-256 root for a cluster: PEM of the certificate and of its key in clear. */
export function createRootCa(
  env: Env,
  options: { readonly expiryMs?: number } = {},
): { readonly certPem: string; readonly keyPem: string } {
  const key = generateKey()
  const spki = publicKeyDer(key)
  const name = distinguishedName({ commonName: CA_NAME })
  const algorithm = algorithmOfKey(key)
  const der = signedDer(algorithm, key, [
    ...head(env, algorithm, name, validity(env.nowMs(), options.expiryMs ?? ROOT_EXPIRY_MS), name, spki),
    extensions(
      keyUsage(keyUsageFlag.certSign, keyUsageFlag.crlSign),
      extension(extensionOids.basicConstraints, true, sequence(boolean(true))),
      extension(extensionOids.subjectKeyIdentifier, false, octetString(keyIdOf(spki))),
    ),
  ])
  return { certPem: formatPem('CERTIFICATE', der), keyPem: privateKeyPem(key) }
}

export interface NodeCertificateRequest extends NodeIdentity {
  /** SubjectPublicKeyInfo of the node's key, as `parseCsr` gives it. */
  readonly publicKeyDer: Uint8Array
  readonly expiryMs: number
}

/**
 * A node certificate as Docker's CA issues it, followed by the signer's intermediates, in PEM.
 * Nothing but the key comes from the node: subject and names come from the store.
 * Behaviour: moby/swarmkit ca/certificates.go, ParseValidateAndSignCSR.
 */
export function issueNodeCertificate(env: Env, signer: Signer, request: NodeCertificateRequest): string {
  const { nodeId, role, clusterId, expiryMs } = request
  const unit = organizationalUnit(role)
  const names = dnsNamesOf(request)
  const subject = distinguishedName({
    organization: clusterId,
    organizationalUnit: unit,
    commonName: nodeId,
  })
  const issuer = fromDer(signer.certificate.subjectDer)
  const der = signedDer(signer.algorithm, signer.key, [
    ...head(env, signer.algorithm, issuer, validity(env.nowMs(), expiryMs), subject, request.publicKeyDer),
    extensions(
      keyUsage(keyUsageFlag.digitalSignature, keyUsageFlag.keyEncipherment),
      extension(extensionOids.extendedKeyUsage, false, sequence(oid(serverAuth), oid(clientAuth))),
      extension(extensionOids.basicConstraints, true, sequence()),
      extension(extensionOids.subjectKeyIdentifier, false, octetString(keyIdOf(request.publicKeyDer))),
      authorityKeyId(signer),
      extension(
        extensionOids.subjectAltName,
        false,
        sequence(...names.map((name) => implicit(2, Buffer.from(name)))),
      ),
    ),
  ])
  return formatPem('CERTIFICATE', der) + signer.intermediatesPem
}

/**
 * The same certificate (subject, key, dates, extensions) issued by `signer` instead, in PEM. What the target
 * of a root rotation signs is then valid under the old root too. Unlike Docker's it names the issuer's key: both
 * roots are called `swarm-ca`, and without that OpenSSL takes the result for self-signed.
 * Behaviour: moby/swarmkit ca/certificates.go, CrossSignCACertificate.
 */
export function crossSign(signer: Signer, certificate: Certificate): string {
  const [version, serialNumber, , , dates, subject, key] = certificate.tbs
  if (!version || !isContext(version, 0) || !serialNumber || !dates || !subject || !key) {
    throw new SwarmError('InvalidArgument', 'only X.509 v3 certificates can be cross-signed')
  }
  const { authorityKeyIdentifier, subjectKeyIdentifier } = extensionOids
  const kept = certificate.extensions.filter((item) => {
    const dotted = oidOf(children(item)[0])
    return dotted !== authorityKeyIdentifier && dotted !== subjectKeyIdentifier
  })
  const der = signedDer(signer.algorithm, signer.key, [
    version,
    serialNumber,
    algorithmIdentifier(signer.algorithm),
    fromDer(signer.certificate.subjectDer),
    dates,
    subject,
    key,
    extensions(...kept, subjectKeyId(certificate), authorityKeyId(signer)),
  ])
  return formatPem('CERTIFICATE', der)
}

/** An X.501 name, one attribute per level, in Go's order: O, OU, CN. */
export function distinguishedName(fields: {
  readonly organization?: string
  readonly organizationalUnit?: string
  readonly commonName?: string
}): Asn1 {
  const order = ['organization', 'organizationalUnit', 'commonName'] as const
  return sequence(
    ...order.flatMap((field) => {
      const value = fields[field]
      return value === undefined ? [] : [set(sequence(oid(nameOids[field]), text(value)))]
    }),
  )
}

/** The bytes of SEQUENCE { body, algorithm, signature over body }: certificates and requests alike. */
export function signedDer(algorithm: SignatureAlgorithm, key: KeyObject, body: readonly Asn1[]): Buffer {
  const signed = sequence(...body)
  const signature = sign(algorithm, key, toDer(signed))
  return toDer(sequence(signed, algorithmIdentifier(algorithm), bitString(signature)))
}

function head(
  env: Env,
  algorithm: SignatureAlgorithm,
  issuer: Asn1,
  dates: Asn1,
  subject: Asn1,
  spki: Uint8Array,
): Asn1[] {
  const version3 = explicit(0, unsignedInteger(Buffer.of(2)))
  return [version3, serial(env), algorithmIdentifier(algorithm), issuer, dates, subject, fromDer(spki)]
}

/** 20 random bytes, positive: RFC 5280 allows no more. */
function serial(env: Env): Asn1 {
  const bytes = env.randomBytes(20)
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40
  return unsignedInteger(bytes)
}

function validity(nowMs: number, expiryMs: number): Asn1 {
  return sequence(time(nowMs - BACKDATE_MS), time(nowMs + expiryMs))
}

/** Roots that users bring may not name their key; what they sign does all the same. */
function keyIdOfCertificate({ subjectKeyId: named, publicKeyDer: spki }: Certificate): Buffer {
  return named ?? keyIdOf(spki)
}

function subjectKeyId(certificate: Certificate): Asn1 {
  return extension(extensionOids.subjectKeyIdentifier, false, octetString(keyIdOfCertificate(certificate)))
}

function authorityKeyId({ certificate }: Signer): Asn1 {
  return extension(
    extensionOids.authorityKeyIdentifier,
    false,
    sequence(implicit(0, keyIdOfCertificate(certificate))),
  )
}

function keyUsage(...flags: readonly number[]): Asn1 {
  return extension(extensionOids.keyUsage, true, flagBits(...flags))
}

function extension(dotted: string, critical: boolean, value: Asn1): Asn1 {
  const wrapped = octetString(toDer(value))
  return critical ? sequence(oid(dotted), boolean(true), wrapped) : sequence(oid(dotted), wrapped)
}

function extensions(...items: readonly Asn1[]): Asn1 {
  return explicit(3, sequence(...items))
}
