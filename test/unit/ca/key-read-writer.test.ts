import assert from 'node:assert/strict'
import { readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { KeyReadWriter } from '../../../src/ca/key-read-writer.js'
import { publicKeyDer } from '../../../src/ca/keys.js'
import { createUnlockKey, formatUnlockKey } from '../../../src/ca/unlock-key.js'
import { SimulatedEnv } from '../../lib/simulated-env.js'
import { newNode, newRoot, openssl, temporaryFolder, withoutOpenssl } from './helpers.js'

const env = new SimulatedEnv(21)

async function loaded(folder: string, unlockKey?: Buffer): Promise<KeyReadWriter> {
  const outcome = await KeyReadWriter.load(folder, unlockKey)
  assert.equal(outcome.state, 'loaded')
  if (outcome.state !== 'loaded') throw new Error('unreachable')
  return outcome.keys
}

async function stateOf(folder: string, unlockKey?: Buffer): Promise<string> {
  return (await KeyReadWriter.load(folder, unlockKey)).state
}

test('what is created is loaded again, with the modes of Docker', async (t) => {
  const folder = join(temporaryFolder(t), 'certificates')
  assert.equal(await stateOf(folder), 'missing')
  const node = newNode(env, newRoot(env))
  const keys = await KeyReadWriter.create(folder, node)
  const dataKey = await keys.createDataKey(env)
  const again = await loaded(folder)
  assert.equal(again.credentials.certificatePem, node.certificatePem)
  assert.equal(again.credentials.rootPem, node.rootPem)
  assert.deepEqual(publicKeyDer(again.credentials.key), publicKeyDer(node.key))
  assert.deepEqual(again.dataKey, dataKey)
  assert.equal(again.certificate.subject.commonName, 'node1')
  const mode = (name: string) => (statSync(join(folder, name)).mode & 0o777).toString(8)
  assert.deepEqual(readdirSync(folder).sort(), ['swarm-node.crt', 'swarm-node.key', 'swarm-root-ca.crt'])
  assert.deepEqual(['swarm-node.crt', 'swarm-node.key', 'swarm-root-ca.crt'].map(mode), ['644', '600', '644'])
  assert.equal((statSync(folder).mode & 0o777).toString(8), '700')
})

test('a locked file shows neither key nor data key, and opens with the unlock key alone', async (t) => {
  const folder = temporaryFolder(t)
  const unlockKey = createUnlockKey(env)
  const node = newNode(env, newRoot(env))
  const keys = await KeyReadWriter.create(folder, node, { unlockKey, kekVersion: 7 })
  const { key } = await keys.createDataKey(env)
  const text = readFileSync(join(folder, 'swarm-node.key'), 'utf8')
  assert.match(text, /^-----BEGIN ENCRYPTED PRIVATE KEY-----\nkek-version: 7\nraft-dek: 1 /)
  assert.ok(!text.includes(key.toString('base64')))
  assert.equal(await stateOf(folder), 'locked')
  for (let round = 0; round < 20; round++) {
    assert.equal(await stateOf(folder, createUnlockKey(env)), 'wrongKey')
  }
  assert.equal(await stateOf(folder, Buffer.alloc(3)), 'wrongKey')
  const again = await loaded(folder, unlockKey)
  assert.deepEqual(again.dataKey, { id: 1, key })
  assert.equal(again.kekVersion, 7)
})

test('openssl opens a locked key with the text of the unlock key', { skip: withoutOpenssl }, async (t) => {
  const folder = temporaryFolder(t)
  const unlockKey = createUnlockKey(env)
  const keys = await KeyReadWriter.create(folder, newNode(env, newRoot(env)), { unlockKey })
  assert.equal(keys.dataKey, undefined)
  const path = join(folder, 'swarm-node.key')
  // OpenSSL knows no headers but its own.
  writeFileSync(path, readFileSync(path, 'utf8').replace(/\nkek-version.*\n\n/, '\n'))
  const password = formatUnlockKey(unlockKey).slice('SWMKEY-1-'.length)
  assert.match(openssl('pkey', '-in', path, '-passin', `pass:${password}`).output, /BEGIN PRIVATE KEY/)
  assert.notEqual(openssl('pkey', '-in', path, '-passin', 'pass:wrong').code, 0)
})

test('the lock follows the cluster, but never back', async (t) => {
  const folder = temporaryFolder(t)
  const [first, second] = [createUnlockKey(env), createUnlockKey(env)]
  const keys = await KeyReadWriter.create(folder, newNode(env, newRoot(env)))
  const dataKey = await keys.createDataKey(env)
  assert.equal(await keys.setUnlockKey(undefined, 3), 'unchanged')
  assert.equal(await keys.setUnlockKey(first, 5), 'locked')
  assert.equal(await stateOf(folder), 'locked')
  assert.equal(await keys.setUnlockKey(second, 8), 'changed')
  assert.equal(await keys.setUnlockKey(first, 6), 'unchanged')
  assert.equal(await stateOf(folder, first), 'wrongKey')
  assert.deepEqual((await loaded(folder, second)).dataKey, dataKey)
  assert.equal(await keys.setUnlockKey(undefined, 9), 'changed')
  assert.deepEqual((await loaded(folder)).dataKey, dataKey)
})

test('a data key is rotated in two steps, and survives a restart between them', async (t) => {
  const folder = temporaryFolder(t)
  const unlockKey = createUnlockKey(env)
  const keys = await KeyReadWriter.create(folder, newNode(env, newRoot(env)), { unlockKey })
  await assert.rejects(keys.rotateDataKey(env), /no data key/)
  await assert.rejects(keys.promoteDataKey(), /no rotation/)
  const first = await keys.createDataKey(env)
  await assert.rejects(keys.createDataKey(env), /already/)
  const second = await keys.rotateDataKey(env)
  assert.notEqual(second.id, first.id)
  const again = await loaded(folder, unlockKey)
  assert.deepEqual([again.dataKey, again.pendingDataKey], [first, second])
  assert.deepEqual(await again.rotateDataKey(env), second)
  assert.equal((await loaded(folder, unlockKey)).dataKeyNeedsRotation, true)
  assert.equal(await again.promoteDataKey(), true)
  const last = await loaded(folder, unlockKey)
  assert.deepEqual([last.dataKey, last.pendingDataKey], [second, undefined])
  await last.rotateDataKey(env)
  assert.equal(await last.promoteDataKey(), false)
})

test('key ids stay within a byte over many rotations', async (t) => {
  const keys = await KeyReadWriter.create(temporaryFolder(t), newNode(env, newRoot(env)))
  await keys.createDataKey(env)
  const ids = new Set<number>()
  for (let round = 0; round < 260; round++) {
    ids.add((await keys.rotateDataKey(env)).id)
    await keys.promoteDataKey()
  }
  assert.deepEqual([Math.min(...ids), Math.max(...ids), ids.size], [1, 255, 255])
})

test('writes that overlap are all there in the end', async (t) => {
  const folder = temporaryFolder(t)
  const root = newRoot(env)
  const unlockKey = createUnlockKey(env)
  const renewed = newNode(env, root)
  const keys = await KeyReadWriter.create(folder, newNode(env, root))
  await Promise.all([
    keys.createDataKey(env),
    keys.setUnlockKey(unlockKey, 4),
    keys.saveCertificate(renewed.key, renewed.certificatePem),
    keys.rotateDataKey(env),
  ])
  const again = await loaded(folder, unlockKey)
  assert.equal(again.credentials.certificatePem, renewed.certificatePem)
  assert.deepEqual([again.dataKey?.id, again.pendingDataKey?.id], [1, 2])
})

test('a renewal that was cut short is finished from what is on disk', async (t) => {
  const folder = temporaryFolder(t)
  const root = newRoot(env)
  const before = newNode(env, root)
  const after = newNode(env, root)
  const file = (name: string) => join(folder, name)
  const keys = await KeyReadWriter.create(folder, before)
  const oldKey = readFileSync(file('swarm-node.key'))
  await keys.saveCertificate(after.key, after.certificatePem)
  const newKey = readFileSync(file('swarm-node.key'))
  const cutShort = (key: Buffer) => {
    writeFileSync(file('swarm-node.crt'), before.certificatePem)
    writeFileSync(file('.swarm-node.crt'), after.certificatePem)
    writeFileSync(file('swarm-node.key'), key)
  }
  // Before the key was replaced: the old pair still holds.
  cutShort(oldKey)
  assert.equal((await loaded(folder)).credentials.certificatePem, before.certificatePem)
  // After: the certificate beside its place belongs to the key.
  cutShort(newKey)
  assert.equal((await loaded(folder)).credentials.certificatePem, after.certificatePem)
  assert.equal(readFileSync(file('swarm-node.crt'), 'utf8'), after.certificatePem)
  // The same for a node's first certificate.
  renameSync(file('swarm-node.crt'), file('.swarm-node.crt'))
  assert.equal((await loaded(folder)).credentials.certificatePem, after.certificatePem)
  // Nothing fits: no guess.
  writeFileSync(file('swarm-node.crt'), before.certificatePem)
  await assert.rejects(KeyReadWriter.load(folder), /do not belong together/)
})

test('a certificate for another key is not written', async (t) => {
  const folder = temporaryFolder(t)
  const root = newRoot(env)
  const node = newNode(env, root)
  const keys = await KeyReadWriter.create(folder, node)
  await assert.rejects(keys.saveCertificate(newNode(env, root).key, node.certificatePem), /do not belong/)
  assert.equal((await loaded(folder)).credentials.certificatePem, node.certificatePem)
})

test('damaged files are an error, not a node without a swarm', async (t) => {
  const folder = temporaryFolder(t)
  await KeyReadWriter.create(folder, newNode(env, newRoot(env)))
  writeFileSync(join(folder, 'swarm-node.key'), 'nonsense')
  await assert.rejects(KeyReadWriter.load(folder), /no private key/)
  rmSync(join(folder, 'swarm-node.key'))
  assert.equal(await stateOf(folder), 'missing')
})

test('a demoted manager keeps its certificate but no data keys and no lock', async (t) => {
  const folder = temporaryFolder(t)
  const unlockKey = createUnlockKey(env)
  const keys = await KeyReadWriter.create(folder, newNode(env, newRoot(env)), { unlockKey })
  await keys.createDataKey(env)
  await keys.dropDataKeys()
  const again = await loaded(folder)
  assert.equal(again.dataKey, undefined)
  assert.equal(again.unlockKey, undefined)
})
