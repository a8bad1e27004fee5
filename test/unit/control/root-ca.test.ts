import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import {
  createRootCa,
  crossSign,
  createSigner,
  parseCertificate,
  verifyChain,
} from '../../../src/ca/index.js'
import { nextRootCa } from '../../../src/control/root-ca.js'
import { membersInStore, type ControlContext } from '../../../src/control/context.js'
import { silentLog } from '../../../src/env/log.js'
import { systemEnv } from '../../../src/env/system.js'
import type { RootCa } from '../../../src/model/objects.js'
import type { CAConfig } from '../../../src/model/spec/index.js'
import { newImportedRoot, type Root } from '../../lib/certificates.js'
import { CfsslServer } from '../../lib/cfssl-server.js'
import { instantStore } from '../../lib/instant-store.js'
import { newNode } from '../ca/helpers.js'
import { assertRpcFails } from './fixture.js'

const dayMs = 24 * 60 * 60 * 1000

// External CAs are real servers, and OpenSSL compares dates with the machine's clock.
const env = systemEnv(silentLog)
const first = createRootCa(env)
const ours = newImportedRoot('ec')
const rsa = newImportedRoot('rsa')

/** A manager of a cluster with the root `root`. */
function contextOf(root: Root): ControlContext {
  const store = instantStore(env)
  const credentials = newNode(env, createSigner(root.certPem, root.keyPem))
  return {
    env,
    store,
    findLocalNetwork: () => Promise.resolve(undefined),
    members: membersInStore(store),
    credentials: () => credentials,
  }
}

const next = (rootCa: RootCa, sent: CAConfig, root: Root = first) => nextRootCa(contextOf(root), rootCa, sent)
const initial: RootCa = { ...first, lastForcedRotation: 0 }
const external: RootCa = { certPem: first.certPem, lastForcedRotation: 0 }

function rotationTo(root: { readonly certPem: string; readonly keyPem?: string }): RootCa {
  const signer = createSigner(first.certPem, first.keyPem)
  const crossSignedPem = crossSign(signer, parseCertificate(root.certPem))
  return { ...initial, rotation: { ...root, crossSignedPem } }
}

async function externalCa(t: TestContext, root: Root): Promise<CfsslServer> {
  const server = await CfsslServer.start(root, [first.certPem, root.certPem])
  t.after(() => server.stop())
  return server
}

const cfssl = ({ url }: CfsslServer, root?: Root) => ({
  Protocol: 'cfssl' as const,
  URL: url,
  ...(root !== undefined && { CACert: root.certPem }),
})

function assertCrossSigned({ rotation }: RootCa): void {
  assert.ok(rotation)
  const crossSigned = parseCertificate(rotation.crossSignedPem)
  const chain = verifyChain(crossSigned, { roots: [parseCertificate(first.certPem)], nowMs: env.nowMs() })
  assert.equal(chain.length, 2)
  assert.deepEqual(crossSigned.publicKeyDer, parseCertificate(rotation.certPem).publicKeyDer)
}

test('what no swarm can have as its root is refused in the words of Docker', async () => {
  const refused = (sent: CAConfig, text: string, rootCa = initial) =>
    assertRpcFails(next(rootCa, sent), 'InvalidArgument', text)
  const own = (root: Root) => ({ SigningCACert: root.certPem, SigningCAKey: root.keyPem })
  const keyAlone = 'if a signing CA key is provided, the signing CA cert must also be provided'
  await refused({ SigningCAKey: ours.keyPem }, keyAlone)
  await refused({ SigningCACert: 'not PEM', SigningCAKey: ours.keyPem }, keyAlone)
  const mismatch = 'certificate key mismatch'
  await refused({ SigningCACert: ours.certPem, SigningCAKey: rsa.keyPem }, mismatch)
  await refused({ SigningCACert: first.certPem, SigningCAKey: rsa.keyPem }, mismatch)
  await refused(
    { SigningCACert: ours.certPem + rsa.certPem, SigningCAKey: ours.keyPem },
    'the desired CA certificate cannot contain multiple certificates',
  )
  await refused(own(newImportedRoot('ec', { expiryMs: 364 * dayMs })), 'CA certificate expires too soon')
  const damaged = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'
  await refused(
    { SigningCACert: damaged, SigningCAKey: ours.keyPem },
    'invalid root certificates: {"code":1003,"message":"Failed to parse certificate"}',
  )
  await refused(
    { SigningCACert: ours.certPem, SigningCAKey: 'zz' },
    'malformed private key: {"code":2002,"message":"Failed to decode private key"}',
  )
  const missing = (word: string) =>
    `there must be at least one valid, reachable external CA corresponding to the ${word} CA certificate`
  await refused({ SigningCACert: ours.certPem }, missing('desired'))
  const nowhere = { Protocol: 'cfssl' as const, URL: 'https://127.0.0.1:1', CACert: ours.certPem }
  await refused({ SigningCACert: ours.certPem, ExternalCAs: [nowhere] }, missing('desired'))
  await refused({ SigningCACert: ours.certPem, ExternalCAs: [{ ...nowhere, URL: 'zz' }] }, missing('desired'))
  await refused({}, missing('current'), external)
  await refused({}, missing('next'), rotationTo({ certPem: ours.certPem }))
  await assert.rejects(
    next(initial, own(newImportedRoot('ec', { nowMs: env.nowMs() - 20 * 365 * dayMs }))),
    /error while validating Root CA Certificate: x509: certificate has expired or is not yet valid: current time /,
  )
})

test('a certificate that is no CA cannot be cross-signed', async () => {
  const leaf = newImportedRoot('ec', { isCa: false })
  await assertRpcFails(
    next(initial, { SigningCACert: leaf.certPem, SigningCAKey: leaf.keyPem }),
    'Internal',
    'unable to generate a cross-signed certificate for root rotation',
  )
})

test('without a change the root stays', async () => {
  assert.equal(await next(initial, {}), initial)
  const rotating = rotationTo(ours)
  assert.equal(await next(rotating, {}), rotating)
})

test('a forced rotation makes a new root, and begins anew when asked again', async () => {
  const once = await next(initial, { ForceRotate: 5 })
  assert.equal(once.lastForcedRotation, 5)
  assert.equal(once.certPem, first.certPem)
  assertCrossSigned(once)
  assert.equal(await next(once, { ForceRotate: 5 }), once)
  const twice = await next(once, { ForceRotate: 6 })
  assert.notEqual(twice.rotation?.certPem, once.rotation?.certPem)
  // The target is signed by the root that all nodes trust, not by the target that is given up.
  assertCrossSigned(twice)
})

test('a root that a user brings is taken in normal form', async () => {
  for (const root of [ours, rsa]) {
    const ugly = `\n\n junk ${root.certPem.replaceAll('\n', '\r\n')}\n`
    const rotating = await next(initial, { SigningCACert: ugly, SigningCAKey: root.keyPem, ForceRotate: 2 })
    assert.equal(rotating.rotation?.certPem, root.certPem)
    assert.equal(rotating.rotation.keyPem, root.keyPem)
    assert.equal(rotating.lastForcedRotation, 2)
    assertCrossSigned(rotating)
  }
})

test('the present root calls a rotation off, and the target of one changes nothing', async () => {
  const rotating = rotationTo(ours)
  const back = { SigningCACert: first.certPem, SigningCAKey: first.keyPem, ForceRotate: 3 }
  assert.deepEqual(await next(rotating, back), { ...initial, lastForcedRotation: 3 })
  const same = { SigningCACert: ours.certPem, SigningCAKey: ours.keyPem }
  assert.deepEqual(await next(rotating, same), rotating)
  const other = await next(rotating, { SigningCACert: rsa.certPem, SigningCAKey: rsa.keyPem })
  assert.equal(other.rotation?.certPem, rsa.certPem)
  assertCrossSigned(other)
})

test('one key in two roots is refused: what it signed could not be told apart', async () => {
  const { certPem, keyPem } = newImportedRoot('ec')
  const present: RootCa = { certPem, keyPem, lastForcedRotation: 0 }
  const renewed = newImportedRoot('ec', {}, keyPem)
  await assertRpcFails(
    next(present, { SigningCACert: renewed.certPem, SigningCAKey: keyPem }),
    'InvalidArgument',
    'Cannot update to a cert with an identical key',
  )
})

test('a root with the name of one that does not identify its key is refused', async () => {
  const present: RootCa = { ...newImportedRoot('ec'), lastForcedRotation: 0 }
  const { certPem, keyPem } = newImportedRoot('ec')
  await assert.rejects(
    next(present, { SigningCACert: certPem, SigningCAKey: keyPem }),
    /InvalidArgument desc = the desired CA certificate has the subject of the current one/,
  )
})

test('to an external CA and back', async (t) => {
  const server = await externalCa(t, ours)
  const ExternalCAs = [cfssl(server, ours)]
  const rotating = await next(initial, { SigningCACert: ours.certPem, ExternalCAs })
  assert.equal(rotating.rotation?.certPem, ours.certPem)
  assert.equal(rotating.rotation.keyPem, undefined)
  assertCrossSigned(rotating)
  // While it rotates the CA must stay there.
  assert.equal(await next(rotating, { ExternalCAs }), rotating)
  const arrived: RootCa = { certPem: ours.certPem, lastForcedRotation: 0 }
  assert.equal(await next(arrived, { ExternalCAs: [cfssl(server)] }, ours), arrived)

  const back = await next(arrived, { ForceRotate: 1, ExternalCAs: [cfssl(server)] }, ours)
  assert.ok(back.rotation?.keyPem)
  const crossSigned = parseCertificate(back.rotation.crossSignedPem)
  assert.equal(crossSigned.isCa, true)
  const roots = [parseCertificate(ours.certPem)]
  assert.equal(verifyChain(crossSigned, { roots, nowMs: env.nowMs() }).length, 2)

  await assertRpcFails(
    next(
      arrived,
      { SigningCACert: rsa.certPem, ExternalCAs: [cfssl(server), cfssl(await externalCa(t, rsa), rsa)] },
      ours,
    ),
    'InvalidArgument',
    'rotating from one external CA to a different external CA is not supported',
  )
  const adopted = { SigningCACert: ours.certPem, SigningCAKey: ours.keyPem }
  assert.deepEqual(await next(arrived, adopted, ours), { ...ours, lastForcedRotation: 0 })
})

test('an external CA must show a certificate of the root that it signs for', async (t) => {
  const impostor = await externalCa(t, rsa)
  await assert.rejects(
    next(initial, { SigningCACert: ours.certPem, ExternalCAs: [cfssl(impostor, ours)] }),
    /reachable external CA corresponding to the desired CA certificate/,
  )
})
