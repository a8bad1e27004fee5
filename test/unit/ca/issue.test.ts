import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { isSignedBy, parseCertificate, parseCertificates, tlsInfo } from '../../../src/ca/certificate.js'
import { verifyChain } from '../../../src/ca/chain.js'
import { certificateIdentity } from '../../../src/ca/identity.js'
import { createRootCa, createSigner, crossSign, ROOT_EXPIRY_MS } from '../../../src/ca/issue.js'
import { privateKeyPem } from '../../../src/ca/keys.js'
import { SimulatedEnv } from '../../lib/simulated-env.js'
import { dockerCluster, dockerNodePem, dockerRootPem } from './docker-fixture.js'
import { ecKey, newNode, newRoot, openssl, rsaKey, temporaryFolder, withoutOpenssl } from './helpers.js'

const hourMs = 3_600_000

test('a root is self-signed, a CA, and valid for twenty years', () => {
  const env = new SimulatedEnv()
  const { certificate } = newRoot(env)
  assert.deepEqual(certificate.subject, { commonName: 'swarm-ca' })
  assert.deepEqual(certificate.issuerDer, certificate.subjectDer)
  assert.equal(certificate.isCa, true)
  assert.deepEqual([...(certificate.keyUsage ?? [])], [5, 6])
  assert.equal(certificate.notBeforeMs, env.nowMs() - hourMs)
  assert.equal(certificate.notAfterMs, env.nowMs() + ROOT_EXPIRY_MS)
  assert.ok(isSignedBy(certificate, certificate.publicKey))
})

test('a node certificate carries the identity, the names and the dates that Docker gives it', () => {
  const env = new SimulatedEnv()
  const root = newRoot(env)
  const manager = parseCertificate(newNode(env, root, { expiryMs: 5 * hourMs }).certificatePem)
  assert.deepEqual(certificateIdentity(manager), {
    nodeId: 'node1',
    role: 'manager',
    clusterId: 'cluster1',
  })
  assert.deepEqual(manager.dnsNames, ['swarm-manager', 'node1', 'swarm-ca'])
  assert.equal(manager.notBeforeMs, env.nowMs() - hourMs)
  assert.equal(manager.notAfterMs, env.nowMs() + 5 * hourMs)
  assert.equal(manager.isCa, false)
  const worker = parseCertificate(newNode(env, root, { role: 'worker' }).certificatePem)
  assert.equal(certificateIdentity(worker).role, 'worker')
  assert.deepEqual(worker.dnsNames, ['swarm-worker', 'node1'])
})

test('our parser agrees with the one of Node.js', () => {
  const env = new SimulatedEnv()
  const { certificatePem } = newNode(env, newRoot(env))
  for (const pem of [certificatePem, dockerNodePem, dockerRootPem]) {
    const ours = parseCertificate(pem)
    const theirs = new X509Certificate(pem)
    assert.equal(ours.serialNumber.toString('hex').toUpperCase(), theirs.serialNumber)
    assert.equal(ours.notBeforeMs, new Date(theirs.validFrom).getTime())
    assert.equal(ours.notAfterMs, new Date(theirs.validTo).getTime())
    assert.equal(ours.isCa, theirs.ca)
    assert.deepEqual(ours.publicKeyDer, theirs.publicKey.export({ type: 'spki', format: 'der' }))
    assert.equal(ours.pem, theirs.toString())
    assert.equal(ours.dnsNames.map((name) => `DNS:${name}`).join(', ') || undefined, theirs.subjectAltName)
  }
})

test('certificates made by dockerd are read and verified', () => {
  const root = parseCertificate(dockerRootPem)
  const node = parseCertificate(dockerNodePem)
  assert.deepEqual(certificateIdentity(node), {
    nodeId: dockerCluster.nodeId,
    role: 'manager',
    clusterId: dockerCluster.clusterId,
  })
  assert.equal(verifyChain(node, { roots: [root], nowMs: node.notBeforeMs + 2 * hourMs }).length, 2)
  assert.deepEqual(tlsInfo(dockerRootPem, root), {
    TrustRoot: dockerRootPem,
    CertIssuerSubject: dockerCluster.certIssuerSubject,
    CertIssuerPublicKey: dockerCluster.certIssuerPublicKey,
  })
})

test('the certificates have the extensions, critical or not, that dockerd gives them', () => {
  const env = new SimulatedEnv()
  const root = newRoot(env)
  const node = parseCertificate(newNode(env, root).certificatePem)
  const oids = (pem: string) =>
    [...new X509Certificate(pem).raw.toString('hex').matchAll(/0603551d(..)(010?1?ff)?/g)].map(
      ([, id, critical]) => `${id}${critical ? ' critical' : ''}`,
    )
  assert.deepEqual(oids(node.pem), oids(dockerNodePem))
  assert.deepEqual(oids(root.certificate.pem), oids(dockerRootPem))
})

test('openssl accepts the chain', { skip: withoutOpenssl }, (t) => {
  const folder = temporaryFolder(t)
  const env = new SimulatedEnv(1, { startMs: Date.now() })
  const root = newRoot(env)
  const node = newNode(env, root)
  const rootPath = join(folder, 'root.pem')
  const nodePath = join(folder, 'node.pem')
  writeFileSync(rootPath, root.certificate.pem)
  writeFileSync(nodePath, node.certificatePem)
  const strict = ['verify', '-x509_strict', '-check_ss_sig', '-CAfile', rootPath]
  for (const purpose of ['sslserver', 'sslclient']) {
    assert.equal(openssl(...strict, '-purpose', purpose, nodePath).code, 0)
  }
  const { output } = openssl('x509', '-noout', '-text', '-in', nodePath)
  assert.match(output, /Subject: O = cluster1, OU = swarm-manager, CN = node1\n/)
  assert.match(output, /X509v3 Key Usage: critical\s+Digital Signature, Key Encipherment\n/)
  assert.match(output, /TLS Web Server Authentication, TLS Web Client Authentication\n/)
  assert.match(output, /X509v3 Basic Constraints: critical\s+CA:FALSE\n/)
  assert.match(output, /DNS:swarm-manager, DNS:node1, DNS:swarm-ca\n/)
})

test('imported roots of every accepted kind sign nodes', { skip: withoutOpenssl }, (t) => {
  const folder = temporaryFolder(t)
  // A minute ahead, since openssl dates the roots with the machine's clock while this one stands still.
  const env = new SimulatedEnv(1, { startMs: Date.now() + 60_000 })
  const keys = {
    rsa: rsaKey(2048),
    p256: ecKey('P-256'),
    p384: ecKey('P-384'),
    p521: ecKey('P-521'),
  }
  for (const [name, key] of Object.entries(keys)) {
    const keyPath = join(folder, `${name}.key`)
    const rootPath = join(folder, `${name}.crt`)
    const nodePath = join(folder, `${name}-node.crt`)
    writeFileSync(keyPath, privateKeyPem(key))
    const made = openssl(
      'req',
      '-x509',
      '-new',
      '-key',
      keyPath,
      '-out',
      rootPath,
      '-days',
      '900',
      '-subj',
      '/CN=own',
    )
    assert.equal(made.code, 0, made.output)
    const signer = createSigner(openssl('x509', '-in', rootPath).output, privateKeyPem(key))
    const node = newNode(env, signer)
    writeFileSync(nodePath, node.certificatePem)
    assert.equal(openssl('verify', '-CAfile', rootPath, nodePath).output, `${nodePath}: OK\n`)
    const leaf = parseCertificate(node.certificatePem)
    assert.equal(verifyChain(leaf, { roots: [signer.certificate], nowMs: env.nowMs() }).length, 2, name)
  }
})

test('a weak or foreign key is refused as a root', () => {
  const env = new SimulatedEnv()
  const { certPem } = createRootCa(env)
  const weak = privateKeyPem(rsaKey(1024))
  assert.throws(() => createSigner(certPem, weak), /unsupported RSA key size: 1024 bits/)
  const other = createRootCa(env).keyPem
  assert.throws(() => createSigner(certPem, other), /^SwarmError: certificate key mismatch$/)
  assert.throws(() => createSigner('nonsense', other), /no certificate found/)
  assert.throws(() => createSigner(certPem, 'nonsense'), /malformed private key/)
})

test('a cross-signed root makes new leaves valid under the old root', () => {
  const env = new SimulatedEnv()
  const oldRoot = newRoot(env)
  const { certPem, keyPem } = createRootCa(env)
  const crossSigned = crossSign(oldRoot, parseCertificate(certPem))
  const signer = createSigner(certPem, keyPem, crossSigned)
  const [leaf, ...intermediates] = parseCertificates(newNode(env, signer).certificatePem)
  const nowMs = env.nowMs()
  assert.equal(verifyChain(leaf, { roots: [oldRoot.certificate], intermediates, nowMs }).length, 3)
  assert.equal(verifyChain(leaf, { roots: [signer.certificate], intermediates, nowMs }).length, 2)
  assert.throws(() => verifyChain(leaf, { roots: [oldRoot.certificate], nowMs }), { fault: 'untrusted' })
})

test('malformed certificates are refused', () => {
  const env = new SimulatedEnv()
  const { der } = newRoot(env).certificate
  const pem = (bytes: Buffer) =>
    `-----BEGIN CERTIFICATE-----\n${bytes.toString('base64')}\n-----END CERTIFICATE-----\n`
  assert.throws(() => parseCertificate(pem(der.subarray(0, -1))), /malformed certificate/)
  assert.throws(() => parseCertificate(pem(Buffer.concat([der, Buffer.of(0)]))), /malformed certificate/)
  assert.throws(() => parseCertificate(pem(Buffer.from('3003020101', 'hex'))), /malformed certificate/)
  assert.throws(() => parseCertificate(''), /no certificate found/)
})
