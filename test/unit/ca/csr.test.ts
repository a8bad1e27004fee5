import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { createCsr, parseCsr } from '../../../src/ca/csr.js'
import { generateKey, privateKeyPem, publicKeyDer } from '../../../src/ca/keys.js'
import { formatPem, parsePem } from '../../../src/ca/pem.js'
import { ecKey, openssl, rsaKey, temporaryFolder, withoutOpenssl } from './helpers.js'

test('a request carries the key and nothing else', () => {
  const key = generateKey()
  assert.deepEqual(parseCsr(createCsr(key)), publicKeyDer(key))
})

test('a request is refused unless its own key signed it', () => {
  const [block] = parsePem(createCsr(generateKey()))
  assert.ok(block)
  const label = 'CERTIFICATE REQUEST'
  const forged = Buffer.from(block.der)
  // Within the public key's point, which ends before the attributes and the signature.
  const at = forged.indexOf(Buffer.from('0342000', 'hex')) + 20
  forged[at] = (forged[at] ?? 0) ^ 1
  assert.throws(() => parseCsr(formatPem(label, forged)), /invalid certificate signing request/)
  const resigned = Buffer.from(block.der)
  resigned[resigned.length - 1] = (resigned.at(-1) ?? 0) ^ 1
  assert.throws(() => parseCsr(formatPem(label, resigned)), /wrong signature/)
  assert.throws(() => parseCsr(formatPem(label, block.der.subarray(0, 50))), /malformed/)
  assert.throws(() => parseCsr('nonsense'), { code: 'InvalidArgument' })
})

test('openssl verifies our requests, and we its own', { skip: withoutOpenssl }, (t) => {
  const folder = temporaryFolder(t)
  const ours = join(folder, 'ours.csr')
  writeFileSync(ours, createCsr(generateKey()))
  assert.match(openssl('req', '-in', ours, '-noout', '-verify').output, /verify OK/)
  const keys = { rsa: rsaKey(2048), p384: ecKey('P-384'), p256: generateKey() }
  for (const [name, key] of Object.entries(keys)) {
    const keyPath = join(folder, `${name}.key`)
    writeFileSync(keyPath, privateKeyPem(key))
    const csr = openssl('req', '-new', '-key', keyPath, '-subj', '/CN=evil/O=other')
    assert.deepEqual(parseCsr(csr.output), publicKeyDer(key), name)
  }
})

test('weak keys are refused', { skip: withoutOpenssl }, (t) => {
  const keyPath = join(temporaryFolder(t), 'weak.key')
  writeFileSync(keyPath, privateKeyPem(rsaKey(1024)))
  const csr = openssl('req', '-new', '-key', keyPath, '-subj', '/CN=x')
  assert.throws(() => parseCsr(csr.output), /unsupported RSA key size: 1024/)
})
