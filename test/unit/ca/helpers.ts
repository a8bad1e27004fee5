import { generateKeyPair, type KeyObject } from 'node:crypto'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { promisify } from 'node:util'
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

const generate = promisify(generateKeyPair)

export async function rsaKey(modulusLength: number): Promise<KeyObject> {
  return (await generate('rsa', { modulusLength })).privateKey
}

export async function ecKey(namedCurve: string): Promise<KeyObject> {
  return (await generate('ec', { namedCurve })).privateKey
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
