import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defaultSwarmSpec } from '../../../src/model/cluster-defaults.js'
import type { SwarmSpec } from '../../../src/model/spec/index.js'
import { Fixture, assertFails, assertRpcFails } from './fixture.js'

const autolock = { EncryptionConfig: { AutoLockManagers: true } }

async function newSwarm() {
  const f = new Fixture()
  await f.addCluster()
  const cluster = () => f.get('clusters', 'clusterid')
  const update = (spec: SwarmSpec, more: object = {}) =>
    f.control.updateSwarm({
      version: cluster().version,
      spec,
      rotateWorkerToken: false,
      rotateManagerToken: false,
      rotateManagerUnlockKey: false,
      ...more,
    })
  return { cluster, update }
}

test('what is absent becomes zero', async () => {
  const { cluster, update } = await newSwarm()
  await update({})
  assert.deepEqual(cluster().spec, {
    Name: 'default',
    Labels: {},
    Orchestration: { TaskHistoryRetentionLimit: 0 },
    Raft: { KeepOldSnapshots: 0, ElectionTick: 0, HeartbeatTick: 0 },
    Dispatcher: {},
    CAConfig: {},
    TaskDefaults: {},
    EncryptionConfig: { AutoLockManagers: false },
  })
  await update(defaultSwarmSpec)
  assert.deepEqual(cluster().spec, defaultSwarmSpec)
})

test('what a swarm cannot be', async () => {
  const { cluster, update } = await newSwarm()
  const before = cluster()
  await assertFails(update({ Name: 'other' }), 'InvalidArgument', 'swarm spec must be named "default"')
  await assertFails(
    update({ CAConfig: { ExternalCAs: [{ Protocol: 'zz', URL: 'https://x' }] } }),
    'InvalidArgument',
    'invalid protocol: "zz"',
  )
  await assertFails(update({ CAConfig: { ExternalCAs: [{}] } }), 'InvalidArgument', 'invalid protocol: ""')
  await assertRpcFails(
    update({ CAConfig: { NodeCertExpiry: 1 } }),
    'InvalidArgument',
    'minimum certificate expiry time is: 1h0m0s',
  )
  await assertRpcFails(
    update({ Dispatcher: { HeartbeatPeriod: -5 } }),
    'InvalidArgument',
    'heartbeat time period cannot be a negative duration',
  )
  await assertRpcFails(
    update({ CAConfig: { SigningCAKey: 'zz' } }),
    'InvalidArgument',
    'if a signing CA key is provided, the signing CA cert must also be provided',
  )
  await assertRpcFails(update({}, { version: 99 }), 'Unknown', 'update out of sequence')
  assert.deepEqual(cluster(), before)
})

test('a signing key never gets into the spec', async () => {
  const { cluster, update } = await newSwarm()
  await update({ CAConfig: { SigningCACert: 'not PEM' } })
  assert.deepEqual(cluster().spec.CAConfig, {})
})

test('each token rotates alone', async () => {
  const { cluster, update } = await newSwarm()
  await update(defaultSwarmSpec, { rotateWorkerToken: true })
  const first = cluster().joinTokens
  assert.match(first.worker, /^SWMTKN-1-[0-9a-z]{50}-[0-9a-z]{25}$/)
  assert.equal(first.manager, 'm')
  await update(defaultSwarmSpec, { rotateManagerToken: true })
  const second = cluster().joinTokens
  assert.equal(second.worker, first.worker)
  assert.match(second.manager, /^SWMTKN-1-/)
})

test('autolock makes a key, keeps it, rotates it when asked, and drops it', async () => {
  const { cluster, update } = await newSwarm()
  const key = () => cluster().unlockKey
  await update(defaultSwarmSpec, { rotateManagerUnlockKey: true })
  assert.equal(key(), undefined)
  await update(autolock)
  const first = key()
  assert.equal(Buffer.from(first ?? '', 'base64').length, 32)
  await update(autolock)
  assert.equal(key(), first)
  await update(autolock, { rotateManagerUnlockKey: true })
  assert.notEqual(key(), first)
  assert.equal(Buffer.from(key() ?? '', 'base64').length, 32)
  await update({})
  assert.equal(key(), undefined)
})
