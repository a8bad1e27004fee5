import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseCertificate, type Certificate } from '../../../src/ca/certificate.js'
import { verifyChain } from '../../../src/ca/chain.js'
import { createSigner, crossSign } from '../../../src/ca/issue.js'
import { privateKeyPem } from '../../../src/ca/keys.js'
import { SimulatedEnv } from '../../lib/simulated-env.js'
import { newNode, newRoot } from './helpers.js'

const hourMs = 3_600_000

test('the root of another cluster is no proof, although its name is the same', () => {
  const env = new SimulatedEnv()
  const leaf = parseCertificate(newNode(env, newRoot(env)).certificatePem)
  const other = newRoot(env).certificate
  assert.throws(() => verifyChain(leaf, { roots: [other], nowMs: env.nowMs() }), {
    code: 'Unauthenticated',
    fault: 'untrusted',
  })
})

test('dates count, for the leaf and for the root', () => {
  const env = new SimulatedEnv()
  const root = newRoot(env, 10 * hourMs)
  const leaf = parseCertificate(newNode(env, root, { expiryMs: 2 * hourMs }).certificatePem)
  const roots = [root.certificate]
  const at = (offsetMs: number, allowExpiredLeaf = false) =>
    verifyChain(leaf, { roots, nowMs: env.nowMs() + offsetMs, allowExpiredLeaf })
  assert.equal(at(0).length, 2)
  assert.equal(at(2 * hourMs).length, 2)
  assert.throws(() => at(2 * hourMs + 1), { fault: 'expired' })
  assert.throws(() => at(-hourMs - 1), { fault: 'expired' })
  assert.equal(at(3 * hourMs, true).length, 2)
  assert.throws(() => at(11 * hourMs, true), { fault: 'untrusted' })
})

test('a node cannot issue certificates with its own key', () => {
  const env = new SimulatedEnv()
  const root = newRoot(env)
  const node = newNode(env, root)
  const rogue = createSigner(node.certificatePem, privateKeyPem(node.key))
  const leaf = parseCertificate(newNode(env, rogue, { nodeId: 'victim' }).certificatePem)
  const options = { roots: [root.certificate], nowMs: env.nowMs() }
  assert.throws(() => verifyChain(leaf, { ...options, intermediates: [rogue.certificate] }), {
    fault: 'untrusted',
  })
})

test('each mark of a CA counts by itself', () => {
  const env = new SimulatedEnv()
  const root = newRoot(env)
  const middle = newRoot(env)
  const crossSigned = parseCertificate(crossSign(root, middle.certificate))
  const leaf = parseCertificate(newNode(env, middle).certificatePem)
  const through = (change: Partial<Certificate>, rootChange: Partial<Certificate> = {}) =>
    verifyChain(leaf, {
      roots: [{ ...root.certificate, ...rootChange }],
      intermediates: [{ ...crossSigned, ...change }],
      nowMs: env.nowMs(),
    })
  assert.equal(through({}).length, 3)
  assert.equal(through({ keyUsage: undefined, maxPathLength: 0 }, { maxPathLength: 1 }).length, 3)
  for (const change of [{ isCa: false }, { keyUsage: new Set([0, 2]) }]) {
    assert.throws(() => through(change), { fault: 'untrusted' })
    assert.throws(() => through({}, change), { fault: 'untrusted' })
  }
  assert.throws(() => through({}, { maxPathLength: 0 }), { fault: 'untrusted' })
})

test('a changed certificate does not verify', () => {
  const env = new SimulatedEnv()
  const root = newRoot(env)
  const { der } = parseCertificate(newNode(env, root, { nodeId: 'nodeA' }).certificatePem)
  const forged = Buffer.from(der)
  forged.write('nodeB', der.indexOf('nodeA'))
  const leaf = parseCertificate(
    `-----BEGIN CERTIFICATE-----\n${forged.toString('base64')}\n-----END CERTIFICATE-----\n`,
  )
  assert.equal(leaf.subject.commonName, 'nodeB')
  assert.throws(() => verifyChain(leaf, { roots: [root.certificate], nowMs: env.nowMs() }), {
    fault: 'untrusted',
  })
})

test('a root serves no purpose that a node certificate has', () => {
  const env = new SimulatedEnv()
  const root = newRoot(env)
  const leaf = parseCertificate(newNode(env, root).certificatePem)
  const options = { roots: [root.certificate], nowMs: env.nowMs() }
  assert.equal(verifyChain(leaf, { ...options, purpose: 'client' }).length, 2)
  const clientOnly = { ...leaf, extendedKeyUsage: ['1.3.6.1.5.5.7.3.2'] }
  assert.throws(() => verifyChain(clientOnly, { ...options, purpose: 'server' }), { fault: 'purpose' })
})
