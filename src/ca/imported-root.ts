import type { KeyObject } from 'node:crypto'
import { SwarmError } from '../model/errors.js'
import { formatTime } from '../model/time.js'
import { isSignedBy, parseCertificates, type Certificate } from './certificate.js'
import { parsePrivateKey, publicKeyDer } from './keys.js'

/** What Go calls the signature algorithms that are not accepted. */
const refusedAlgorithms: Readonly<Record<string, string>> = {
  '1.2.840.113549.1.1.2': 'MD2-RSA',
  '1.2.840.113549.1.1.4': 'MD5-RSA',
  '1.2.840.113549.1.1.5': 'SHA1-RSA',
  '1.2.840.113549.1.1.10': 'RSAPSS',
  '1.2.840.10045.4.1': 'ECDSA-SHA1',
  '1.3.101.112': 'Ed25519',
}
const acceptedCurves: readonly string[] = ['prime256v1', 'secp384r1', 'secp521r1']

/**
 * Checks a root that a user brings.
 * @param certPem in normal form. @param keyPem undefined where an external CA has the key.
 * @returns its certificates.
 * @throws {SwarmError} InvalidArgument.
 * Behaviour and texts: moby/swarmkit ca/certificates.go, NewRootCA.
 */
export function checkImportedRoot(
  nowMs: number,
  certPem: string,
  keyPem: string | undefined,
): readonly [Certificate, ...Certificate[]] {
  const certificates = parseRoot(certPem)
  for (const certificate of certificates) {
    if (certificate.signatureAlgorithm === undefined) {
      const { signatureAlgorithmOid: dotted } = certificate
      throw invalid(`unsupported signature algorithm: ${refusedAlgorithms[dotted] ?? dotted}`)
    }
    checkDates(nowMs, certificate)
    // Docker takes an intermediate, too. OpenSSL follows a chain to its end, which nodes would not know.
    if (!isSignedBy(certificate, certificate.publicKey)) {
      throw invalid(
        'error while validating Root CA Certificate: x509: certificate signed by unknown authority',
      )
    }
  }
  const [certificate] = certificates
  checkKeyParameters(certificate.publicKey)
  if (keyPem !== undefined && !publicKeyDer(parseKey(keyPem)).equals(certificate.publicKeyDer)) {
    throw invalid('certificate key mismatch')
  }
  return certificates
}

function checkDates(nowMs: number, { notBeforeMs, notAfterMs }: Certificate): void {
  if (notBeforeMs <= nowMs && nowMs <= notAfterMs) return
  const [word, limitMs] = nowMs < notBeforeMs ? ['before', notBeforeMs] : ['after', notAfterMs]
  const times = `current time ${formatTime(nowMs)} is ${word} ${formatTime(limitMs)}`
  throw invalid(
    `error while validating Root CA Certificate: x509: certificate has expired or is not yet valid: ${times}`,
  )
}

function parseRoot(certPem: string): [Certificate, ...Certificate[]] {
  try {
    return parseCertificates(certPem)
  } catch (error) {
    throw invalid('invalid root certificates: {"code":1003,"message":"Failed to parse certificate"}', error)
  }
}

function parseKey(keyPem: string): KeyObject {
  try {
    return parsePrivateKey(keyPem)
  } catch (error) {
    const isPem = keyPem.includes('-----BEGIN ')
    const reason = isPem
      ? '{"code":2003,"message":"Failed to parse private key"}'
      : '{"code":2002,"message":"Failed to decode private key"}'
    throw invalid(`malformed private key: ${reason}`, error)
  }
}

function checkKeyParameters({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): void {
  const { modulusLength = 0, namedCurve = '' } = asymmetricKeyDetails ?? {}
  if (asymmetricKeyType === 'rsa') {
    if (modulusLength < 2048) throw invalid('unsupported RSA key parameters')
  } else if (asymmetricKeyType === 'ec') {
    if (!acceptedCurves.includes(namedCurve)) throw invalid('unsupported ECDSA key parameters')
  } else {
    throw invalid('unknown or unsupported certificate public key algorithm')
  }
}

function invalid(text: string, cause?: unknown): SwarmError {
  return new SwarmError('InvalidArgument', text, { cause })
}
