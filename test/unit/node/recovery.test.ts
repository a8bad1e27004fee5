import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defaultSwarmSpec, mergedSwarmSpec } from '../../../src/model/cluster-defaults.js'
import { restoredAddresses } from '../../../src/node/recovery.js'

const interfaces = [{ name: 'eth0', addresses: ['10.0.0.5'], isLoopback: false, isDevice: true }]
const at = (listenAddr: string, advertiseAddr: string) => ({
  listenAddr,
  advertiseAddr,
  dataPathAddr: '10.0.0.1',
  localAddr: '10.0.0.1',
})
const nothing = { listenAddr: '', advertiseAddr: '' }

test('a restored manager keeps the addresses that this machine has', () => {
  assert.deepEqual(restoredAddresses(at('0.0.0.0:4000', '10.0.0.5:4000'), nothing, interfaces), {
    listenAddr: '0.0.0.0:4000',
    advertiseAddr: '10.0.0.5:4000',
    dataPathAddr: '',
  })
})

test('another address has to be named, and is enough', () => {
  const elsewhere = at('10.0.0.1:4000', '10.0.0.1:4000')
  assert.throws(
    () => restoredAddresses(elsewhere, nothing, interfaces),
    /the backup is of a manager at 10.0.0.1:4000, which is no address of this machine: name one with --advertise-addr/,
  )
  assert.deepEqual(restoredAddresses(elsewhere, { ...nothing, advertiseAddr: 'eth0' }, interfaces), {
    listenAddr: '0.0.0.0:4000',
    advertiseAddr: 'eth0',
    dataPathAddr: '',
  })
  const { listenAddr } = restoredAddresses(
    elsewhere,
    { listenAddr: '10.0.0.5:9', advertiseAddr: '1.2.3.4' },
    interfaces,
  )
  assert.equal(listenAddr, '10.0.0.5:9')
})

test('settings of a forced init are added to those that there are, and never unlock', () => {
  const spec = {
    ...defaultSwarmSpec,
    Labels: { a: '1' },
    CAConfig: { NodeCertExpiry: 7, ForceRotate: 3 },
    EncryptionConfig: { AutoLockManagers: true },
  }
  assert.deepEqual(mergedSwarmSpec(spec, undefined, false), spec)
  const wanted = { Labels: {}, Raft: { ElectionTick: 0 }, CAConfig: { NodeCertExpiry: 0, ForceRotate: 0 } }
  assert.deepEqual(mergedSwarmSpec(spec, wanted, false), spec)
  const changed = mergedSwarmSpec(
    defaultSwarmSpec,
    { Labels: { b: '2' }, Raft: { SnapshotInterval: 5 } },
    true,
  )
  assert.deepEqual(changed, {
    ...defaultSwarmSpec,
    Labels: { b: '2' },
    Raft: { ...defaultSwarmSpec.Raft, SnapshotInterval: 5 },
    EncryptionConfig: { AutoLockManagers: true },
  })
})
