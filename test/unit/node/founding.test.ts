import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import {
  certificateIdentity,
  createSigner,
  parseJoinToken,
  checkRootDigest,
  verifyChain,
} from '../../../src/ca/index.js'
import { foundCluster } from '../../../src/node/founding.js'
import { planInit } from '../../../src/node/init-request.js'
import { SwarmDirectory } from '../../../src/node/state-file.js'
import type { CAConfig } from '../../../src/model/spec/index.js'
import { newImportedRoot } from '../../lib/certificates.js'
import { SimulatedEnv } from '../../lib/simulated-env.js'

const env = new SimulatedEnv(9)
const nowMs = env.nowMs()

async function found(t: TestContext, CAConfig: CAConfig) {
  const folder = mkdtempSync(join(tmpdir(), 'skep-founding-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const directory = new SwarmDirectory(folder)
  directory.create()
  const plan = planInit({ ListenAddr: '0.0.0.0:2377', Spec: { CAConfig } })
  const { keys, newCluster } = await foundCluster(env, directory, plan)
  return { keys, cluster: newCluster.cluster }
}

test('a swarm begins with the root that the user brings', async (t) => {
  for (const kind of ['ec', 'rsa'] as const) {
    const { certPem, keyPem } = newImportedRoot(kind, { nowMs })
    const { keys, cluster } = await found(t, {
      SigningCACert: `\n${certPem} `,
      SigningCAKey: keyPem,
      NodeCertExpiry: 2 * 3600e9,
      ForceRotate: 3,
    })
    assert.deepEqual(cluster.rootCa, { certPem, keyPem, lastForcedRotation: 3 })
    const { certificate, credentials } = keys
    assert.equal(credentials.rootPem, certPem)
    verifyChain(certificate, { roots: [createSigner(certPem, keyPem).certificate], nowMs })
    assert.equal(certificateIdentity(certificate).clusterId, cluster.id)
    assert.equal(certificate.notAfterMs - nowMs, 2 * 3600 * 1000)
    checkRootDigest(parseJoinToken(cluster.joinTokens.worker), certPem)
    assert.deepEqual(cluster.spec.CAConfig, { NodeCertExpiry: 2 * 3600e9, ForceRotate: 3 })
  }
})

test('a root that no swarm can have makes none', async (t) => {
  const { certPem, keyPem } = newImportedRoot('ec', { nowMs })
  const refused = (config: CAConfig, text: RegExp) =>
    assert.rejects(found(t, config), { code: 'InvalidArgument', message: text })
  await refused({ SigningCAKey: keyPem }, /the signing CA cert must also be provided$/)
  await refused({ SigningCACert: certPem }, /a new swarm needs the key of its root CA/)
  const other = newImportedRoot('rsa', { nowMs }).keyPem
  await refused({ SigningCACert: certPem, SigningCAKey: other }, /desc = certificate key mismatch$/)
  await refused({ NodeCertExpiry: 1 }, /minimum certificate expiry time is: 1h0m0s$/)
  await refused({ ExternalCAs: [{ Protocol: 'zz', URL: 'https://x' }] as never }, /invalid protocol: "zz"$/)
})
