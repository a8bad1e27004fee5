import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import {
  certificateIdentity,
  createCsr,
  createJoinToken,
  createRootCa,
  createSigner,
  generateKey,
  parseCertificate,
  publicKeyDer,
  type NodeIdentity,
} from '../../../src/ca/index.js'
import { silentLog } from '../../../src/env/log.js'
import { systemEnv } from '../../../src/env/system.js'
import { CaServer, type CertificateRequest } from '../../../src/manager/ca-server.js'
import { defaultSwarmSpec } from '../../../src/model/cluster-defaults.js'
import type { Cluster } from '../../../src/model/objects.js'
import { newImportedRoot, signCertificate } from '../../lib/certificates.js'
import { CfsslServer } from '../../lib/cfssl-server.js'
import { instantStore } from '../../lib/instant-store.js'
import { newNode } from '../ca/helpers.js'

// External CAs are real servers, and OpenSSL compares dates with the machine's clock.
const env = systemEnv(silentLog)
const clusterId = 'cluster1'

async function newSwarm(root = createRootCa(env), fields: Partial<Cluster> = {}) {
  const store = instantStore(env)
  await store.update((tx) => {
    tx.create('clusters', {
      id: clusterId,
      spec: defaultSwarmSpec,
      rootCa: { ...root, lastForcedRotation: 0 },
      joinTokens: {
        worker: createJoinToken(env, root.certPem),
        manager: createJoinToken(env, root.certPem),
      },
      defaultAddressPools: null,
      subnetSize: 24,
      dataPathPort: 4789,
      blacklistedCertificates: {},
      ...fields,
    })
  })
  const credentials = newNode(env, createSigner(root.certPem, root.keyPem))
  const ca = new CaServer(env, store, () => credentials)
  const cluster = () => {
    const found = store.view.clusters.get(clusterId)
    assert.ok(found)
    return found
  }
  const update = (patch: Partial<Cluster>) =>
    store.update((tx) => {
      tx.update('clusters', clusterId, patch)
    })
  return { store, ca, cluster, update }
}

const newRequest = (fields: Partial<CertificateRequest> = {}): CertificateRequest => ({
  csrPem: createCsr(generateKey()),
  ...fields,
})

test('a token makes a node of its role, and the same request again the same node', async () => {
  const { store, ca, cluster } = await newSwarm()
  const { worker, manager } = cluster().joinTokens
  for (const [role, token] of [['worker', worker] as const, ['manager', manager] as const]) {
    const key = generateKey()
    const request = { csrPem: createCsr(key), token, availability: 'drain' as const }
    const issued = await ca.issue(request, undefined)
    const certificate = parseCertificate(issued.certificatePem)
    assert.deepEqual(certificateIdentity(certificate), { nodeId: issued.nodeId, role, clusterId })
    assert.deepEqual(certificate.publicKeyDer, publicKeyDer(key))
    const node = store.view.nodes.get(issued.nodeId)
    assert.deepEqual(node?.spec, { Labels: {}, Role: role, Availability: 'drain' })
    assert.equal(node.certificate?.status, 'issued')
    assert.equal((await ca.issue(request, undefined)).nodeId, issued.nodeId)
  }
  assert.equal(store.view.nodes.size, 2)
})

test('without a token that counts nobody gets in', async () => {
  const { ca, cluster } = await newSwarm()
  const expected = {
    code: 'InvalidArgument',
    message: 'rpc error: code = InvalidArgument desc = A valid join token is necessary to join this cluster',
  }
  await assert.rejects(ca.issue(newRequest(), undefined), expected)
  const cut = cluster().joinTokens.worker.slice(0, -1)
  await assert.rejects(ca.issue(newRequest({ token: cut }), undefined), expected)
  await assert.rejects(ca.issue({ csrPem: 'zz', token: cluster().joinTokens.worker }, undefined), {
    code: 'InvalidArgument',
  })
})

test('a renewal takes the role and the expiry of the store, and a removed node has to join anew', async () => {
  const { store, ca, cluster, update } = await newSwarm()
  const { nodeId } = await ca.issue(newRequest({ token: cluster().joinTokens.worker }), undefined)
  await store.update((tx) => {
    tx.update('nodes', nodeId, { role: 'manager' })
  })
  await update({ spec: { ...defaultSwarmSpec, CAConfig: { NodeCertExpiry: 3600e9 } }, unlockKey: 'a2V5' })
  const peer: NodeIdentity = { nodeId, role: 'worker', clusterId }
  const renewed = await ca.issue(newRequest(), peer)
  const certificate = parseCertificate(renewed.certificatePem)
  assert.equal(certificateIdentity(certificate).role, 'manager')
  assert.equal(certificate.notAfterMs - certificate.notBeforeMs, 2 * 3600 * 1000)
  assert.equal(renewed.unlockKey, 'a2V5')
  assert.equal(renewed.unlockKeyVersion, cluster().version)

  await assert.rejects(ca.issue(newRequest(), { ...peer, nodeId: 'gone' }), {
    code: 'NotFound',
    message: /node gone not found when attempting to renew certificate$/,
  })
  await update({ blacklistedCertificates: { [nodeId]: env.nowMs() + 1000 } })
  await assert.rejects(ca.issue(newRequest(), peer), { message: /A valid join token is necessary/ })
  const joined = await ca.issue(newRequest({ token: cluster().joinTokens.worker }), peer)
  assert.notEqual(joined.nodeId, nodeId)
  assert.equal(joined.unlockKey, undefined)
})

async function externally(t: TestContext) {
  const root = newImportedRoot('ec')
  const server = await CfsslServer.start(root)
  t.after(() => server.stop())
  const CAConfig = { ExternalCAs: [{ Protocol: 'cfssl' as const, URL: server.url, CACert: root.certPem }] }
  const spec = { ...defaultSwarmSpec, CAConfig }
  const swarm = await newSwarm(root, { spec, rootCa: { certPem: root.certPem, lastForcedRotation: 0 } })
  return { ...swarm, server, root }
}

test('an external CA signs first certificates and renewals', async (t) => {
  const { ca, cluster, server, store } = await externally(t)
  const joined = await ca.issue(newRequest({ token: cluster().joinTokens.manager }), undefined)
  const peer = certificateIdentity(parseCertificate(joined.certificatePem))
  assert.deepEqual(peer, { nodeId: joined.nodeId, role: 'manager', clusterId })
  assert.deepEqual(parseCertificate(joined.certificatePem).dnsNames, [
    'swarm-manager',
    joined.nodeId,
    'swarm-ca',
  ])
  await ca.issue(newRequest(), peer)
  assert.deepEqual(server.signed, [joined.nodeId, joined.nodeId])
  assert.equal(store.view.nodes.get(joined.nodeId)?.certificate?.status, 'issued')
})

test('an external CA that refuses or cannot be reached leaves nothing behind', async (t) => {
  const { ca, cluster, server, store, root } = await externally(t)
  const join = () => ca.issue(newRequest({ token: cluster().joinTokens.worker }), undefined)
  const errors = [{ code: 1, message: 'not today' }]
  server.refusal = {
    status: 200,
    body: JSON.stringify({ success: false, result: null, errors, messages: [] }),
  }
  await assert.rejects(join(), {
    code: 'Unknown',
    message:
      /the external CA gave node \w{25} no certificate: response errors: \[\{code: 1, message: not today\}\]/,
  })
  server.refusal = { status: 502, body: 'bad gateway' }
  await assert.rejects(join(), {
    code: 'Unavailable',
    message: /unexpected status code in CSR response: 502/,
  })
  server.refusal = { status: 200, body: 'no JSON' }
  await assert.rejects(join(), { code: 'Unavailable', message: /unable to parse JSON response/ })
  const certificate = signCertificate(
    { subject: { commonName: 'somebody' }, publicKeyDer: publicKeyDer(generateKey()) },
    root,
  )
  server.refusal = { status: 200, body: JSON.stringify({ success: true, result: { certificate } }) }
  await assert.rejects(join(), /no certificate/)
  assert.equal(store.view.nodes.size, 0)
  server.refusal = undefined
  await join()
  assert.equal(store.view.nodes.size, 1)
})

test('without a key and without an external CA the way out is named', async () => {
  const { certPem } = createRootCa(env)
  const { ca, cluster } = await newSwarm(undefined, { rootCa: { certPem, lastForcedRotation: 0 } })
  await assert.rejects(ca.issue(newRequest({ token: cluster().joinTokens.worker }), undefined), {
    code: 'Unavailable',
    message: /docker swarm update --external-ca/,
  })
})
