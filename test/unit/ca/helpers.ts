import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { Env } from '../../../src/env/env.js'
import { createSigner, type Signer } from '../../../src/ca/index.js'
import { createRootCa, DEFAULT_NODE_EXPIRY_MS, issueNodeCertificate } from '../../../src/ca/issue.js'
import type { NodeIdentity } from '../../../src/ca/identity.js'
import { generateKey, publicKeyDer } from '../../../src/ca/keys.js'
import type { NodeCredentials } from '../../../src/ca/key-read-writer.js'

export function newRoot(env: Env, expiryMs?: number): Signer {
  const { certPem, keyPem } = createRootCa(env, expiryMs === undefined ? {} : { expiryMs })
  return createSigner(certPem, keyPem)
}

export const aManager: NodeIdentity = { nodeId: 'node1', role: 'manager', clusterId: 'cluster1' }

/** A node with a fresh key and certificate. */
export function newNode(
  env: Env,
  signer: Signer,
  options: Partial<NodeIdentity> & { expiryMs?: number } = {},
): NodeCredentials {
  const key = generateKey()
  const certificatePem = issueNodeCertificate(env, signer, {
    ...aManager,
    expiryMs: DEFAULT_NODE_EXPIRY_MS,
    ...options,
    publicKeyDer: publicKeyDer(key),
  })
  return { key, certificatePem, rootPem: signer.certificate.pem }
}

// By way of PEM, as `generateKey` goes by way of DER, and for its reason.
const privateKeyEncoding = { type: 'pkcs8', format: 'pem' } as const
const publicKeyEncoding = { type: 'spki', format: 'pem' } as const

export function rsaKey(modulusLength: number): KeyObject {
  const options = { modulusLength, privateKeyEncoding, publicKeyEncoding }
  return createPrivateKey(generateKeyPairSync('rsa', options).privateKey)
}

export function ecKey(namedCurve: string): KeyObject {
  const options = { namedCurve, privateKeyEncoding, publicKeyEncoding }
  return createPrivateKey(generateKeyPairSync('ec', options).privateKey)
}

export function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'skep-ca-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** Runs openssl and returns what it prints (both streams) and its exit code. */
export function openssl(...args: string[]): { code: number | null; output: string } {
  const done = spawnSync('openssl', args, { encoding: 'utf8' })
  return { code: done.status, output: done.stdout + done.stderr }
}

export const withoutOpenssl =
  spawnSync('openssl', ['version']).status === 0 ? false : 'skipped: needs the openssl command'
