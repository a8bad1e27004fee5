import { createPublicKey, type KeyObject } from 'node:crypto'
import { SwarmError } from '../model/errors.js'
import { algorithmByOid, algorithmOfKey, verify } from './algorithms.js'
import type { Certificate } from './certificate.js'
import {
  bitsOf,
  children,
  explicit,
  fromDer,
  oid,
  oidOf,
  sequence,
  set,
  toDer,
  unsignedInteger,
} from './der.js'
import { distinguishedName, signedDer } from './issue.js'
import { publicKeyDer } from './keys.js'
import { formatPem, parsePem } from './pem.js'

const LABEL = 'CERTIFICATE REQUEST'

/** A PKCS#10 request for `key` in PEM. Its subject is empty: the CA takes only the key from it. */
export function createCsr(key: KeyObject): string {
  const der = signedDer(algorithmOfKey(key), key, [
    unsignedInteger(Buffer.of(0)),
    distinguishedName({}),
    fromDer(publicKeyDer(key)),
    explicit(0),
  ])
  return formatPem(LABEL, der)
}

const EXTENSION_REQUEST_OID = '1.2.840.113549.1.9.14'

/** A PKCS#10 request in PEM for what `certificate` says already, names and extensions included. */
export function createRootCsr(certificate: Certificate, key: KeyObject): string {
  const der = signedDer(algorithmOfKey(key), key, [
    unsignedInteger(Buffer.of(0)),
    fromDer(certificate.subjectDer),
    fromDer(certificate.publicKeyDer),
    explicit(0, sequence(oid(EXTENSION_REQUEST_OID), set(sequence(...certificate.extensions)))),
  ])
  return formatPem(LABEL, der)
}

/**
 * The public key that a request asks a certificate for, proven by the request's own signature. Subject, names
 * and extensions of the request are not even read.
 * @returns SubjectPublicKeyInfo, RSA of 2048 bits or more or EC on P-256, P-384 or P-521.
 * @throws {SwarmError} InvalidArgument when it is malformed, wrongly signed or for a weak key.
 */
export function parseCsr(pem: string): Buffer {
  const block = parsePem(pem).find(({ label }) => label === LABEL || label === `NEW ${LABEL}`)
  if (block === undefined) throw invalid('not in PEM form')
  const { body, keyDer, algorithmOid, signature } = readCsr(block.der)
  const key = readKey(keyDer)
  algorithmOfKey(key)
  const algorithm = algorithmByOid(algorithmOid)
  if (algorithm === undefined || !verify(algorithm, key, body, signature)) throw invalid('wrong signature')
  return keyDer
}

function readCsr(der: Buffer): { body: Buffer; keyDer: Buffer; algorithmOid: string; signature: Buffer } {
  try {
    const [info, algorithm, signature] = children(fromDer(der))
    const [, , key] = children(info)
    if (info === undefined || key === undefined) throw invalid('a field is missing')
    return {
      body: toDer(info),
      keyDer: toDer(key),
      algorithmOid: oidOf(children(algorithm)[0]),
      signature: bitsOf(signature),
    }
  } catch (error) {
    throw invalid('malformed', error)
  }
}

function readKey(der: Buffer): KeyObject {
  try {
    return createPublicKey({ key: der, format: 'der', type: 'spki' })
  } catch (error) {
    throw invalid('unreadable key', error)
  }
}

function invalid(why: string, cause?: unknown): SwarmError {
  return new SwarmError('InvalidArgument', `invalid certificate signing request: ${why}`, { cause })
}
