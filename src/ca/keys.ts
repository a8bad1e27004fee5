import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { SwarmError } from '../model/errors.js'

/**
 * A new P-256 key. Synchronous: it takes half a millisecond. (RSA would take 100 and is never generated.)
 * It goes through DER on purpose. The object that `generateKeyPair` returns shares a lock with its job; when the
 * job is collected while another call (`asymmetricKeyDetails`, for one) holds that lock, Node.js 20 waits for
 * itself for ever. A key that was read in has no such job.
 */
export function generateKey(): KeyObject {
  const { privateKey } = generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    privateKeyEncoding: { type: 'pkcs8', format: 'der' },
    publicKeyEncoding: { type: 'spki', format: 'der' },
  })
  return createPrivateKey({ key: privateKey, format: 'der', type: 'pkcs8' })
}

/** PKCS#8 in PEM, in clear. For the replicated root key; node keys go to disk by `KeyReadWriter`. */
export function privateKeyPem(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString()
}

/** @throws {SwarmError} InvalidArgument when it is no private key in clear PEM (PKCS#8, PKCS#1 or SEC1). */
export function parsePrivateKey(pem: string): KeyObject {
  try {
    return createPrivateKey(pem)
  } catch (error) {
    throw new SwarmError('InvalidArgument', 'malformed private key', { cause: error })
  }
}

/** SubjectPublicKeyInfo of a private or public key. */
export function publicKeyDer(key: KeyObject): Buffer {
  const publicKey = key.type === 'private' ? createPublicKey(key) : key
  return publicKey.export({ type: 'spki', format: 'der' })
}
