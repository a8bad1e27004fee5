import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import {
  certificateIdentity,
  createSigner,
  issueNodeCertificate,
  parseCertificate,
  parseCsr,
  type NodeRole,
  type Signer,
} from '../../../src/ca/index.js'
import type { IssuedCertificate } from '../../../src/manager/ca-server.js'
import { SwarmError } from '../../../src/model/errors.js'
import { CertificateRenewer, type RenewerOptions } from '../../../src/node/certificate-renewer.js'
import { newImportedRoot } from '../../lib/certificates.js'
import { SimulatedEnv } from '../../lib/simulated-env.js'
import { newNode, newRoot } from '../ca/helpers.js'

const minuteMs = 60_000
const hourMs = 60 * minuteMs
const dayMs = 24 * hourMs
const identity = { nodeId: 'node1', clusterId: 'cluster1' } as const

/** A renewer whose managers answer as `answer` says; by default with a certificate for 90 days. */
function newRenewer(t: TestContext, options: { readonly expiryMs?: number } = {}) {
  const env = new SimulatedEnv(3)
  const signer = newRoot(env)
  const state = {
    credentials: newNode(env, signer, { role: 'worker', ...options }),
    role: 'worker' as NodeRole,
    /** Monotonic ms of each request. */
    asked: [] as number[],
    renewed: 0,
    unlockKeys: [] as (Buffer | undefined)[],
  }
  const issue = (csrPem: string, by: Signer = signer): IssuedCertificate => ({
    nodeId: identity.nodeId,
    certificatePem: issueNodeCertificate(env, by, {
      ...identity,
      role: state.role,
      publicKeyDer: parseCsr(csrPem),
      expiryMs: 90 * dayMs,
    }),
    rootPem: signer.certificate.pem,
    ...(state.role === 'manager' && { unlockKey: 'a2V5', unlockKeyVersion: 4 }),
  })
  const managers = { answer: (csrPem: string) => Promise.resolve(issue(csrPem)) }
  const keys: RenewerOptions['keys'] = {
    get certificate() {
      return parseCertificate(state.credentials.certificatePem)
    },
    get credentials() {
      return state.credentials
    },
    saveCertificate: (key, certificatePem) => {
      state.credentials = { ...state.credentials, key, certificatePem }
      return Promise.resolve()
    },
    setUnlockKey: (key) => {
      state.unlockKeys.push(key)
      return Promise.resolve('unchanged')
    },
  }
  const renewer = new CertificateRenewer(env, {
    keys,
    request: (csrPem) => {
      state.asked.push(env.monotonicMs())
      return managers.answer(csrPem)
    },
    onRenewed: () => {
      state.renewed++
      return Promise.resolve()
    },
  })
  t.after(() => renewer.stop())
  renewer.start()
  return { env, state, renewer, managers, issue, keys }
}

test('a certificate is renewed with a new key in its later life', async (t) => {
  const { env, state, keys } = newRenewer(t)
  const before = keys.certificate
  await env.advanceAsync(44 * dayMs)
  assert.deepEqual(state.asked, [])
  await env.advanceAsync(28 * dayMs)
  assert.equal(state.renewed, 1)
  assert.notDeepEqual(keys.certificate.publicKeyDer, before.publicKeyDer)
  assert.ok(keys.certificate.notAfterMs > before.notAfterMs)
})

test('one that ran out while the node was off is renewed at once', async (t) => {
  const { env, state } = newRenewer(t, { expiryMs: -dayMs })
  await env.advanceAsync(0)
  assert.equal(state.renewed, 1)
})

test('failures are tried again after growing, random waits of an hour at most', async (t) => {
  const { env, state, managers, issue } = newRenewer(t, { expiryMs: -dayMs })
  managers.answer = () => Promise.reject(new SwarmError('Unavailable', 'no manager is known'))
  await env.advanceAsync(12 * hourMs)
  const waits = state.asked.map((at, index) => at - (state.asked[index - 1] ?? 0))
  for (const [index, waitMs] of waits.entries()) {
    const boundMs = index === 0 ? 1 : Math.min(5000 + 5000 * 2 ** (index - 1), hourMs)
    assert.ok(waitMs < boundMs, `wait ${index}: ${waitMs} of ${boundMs}`)
  }
  assert.ok(Math.max(...waits) > 30 * minuteMs)
  managers.answer = (csrPem) => Promise.resolve(issue(csrPem))
  await env.advanceAsync(hourMs)
  assert.equal(state.renewed, 1)
})

test('another role is asked for at once, until the certificate says so', async (t) => {
  const { env, state, renewer, keys } = newRenewer(t)
  renewer.roleIs('worker')
  await env.advanceAsync(1000)
  assert.equal(state.asked.length, 0)
  // The managers have not come round to it yet.
  renewer.roleIs('manager')
  await env.advanceAsync(0)
  assert.equal(state.renewed, 1)
  assert.equal(certificateIdentity(keys.certificate).role, 'worker')
  state.role = 'manager'
  await env.advanceAsync(10_000)
  assert.equal(state.renewed, 2)
  assert.equal(certificateIdentity(keys.certificate).role, 'manager')
  assert.deepEqual(state.unlockKeys, [Buffer.from('key')])
  await env.advanceAsync(dayMs)
  assert.equal(state.renewed, 2)
})

test('what is not of this root, or for another key, is not taken', async (t) => {
  const { env, state, renewer, managers, issue, keys } = newRenewer(t)
  const before = keys.certificate.pem
  const { certPem, keyPem } = newImportedRoot('ec', { nowMs: env.nowMs() })
  managers.answer = (csrPem) => Promise.resolve(issue(csrPem, createSigner(certPem, keyPem)))
  renewer.renewNow()
  await env.advanceAsync(0)
  const { certificatePem } = newNode(env, newRoot(env))
  managers.answer = (csrPem) => Promise.resolve({ ...issue(csrPem), certificatePem })
  renewer.renewNow()
  await env.advanceAsync(0)
  assert.equal(state.asked.length, 2)
  assert.equal(state.renewed, 0)
  assert.equal(keys.certificate.pem, before)
})

test('a stopped renewer asks no more', async (t) => {
  const { env, state, renewer } = newRenewer(t)
  await renewer.stop()
  renewer.renewNow()
  await env.advanceAsync(100 * dayMs)
  assert.deepEqual(state.asked, [])
})
