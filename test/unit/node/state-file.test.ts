import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { SwarmDirectory } from '../../../src/node/state-file.js'

const state = { listenAddr: '0.0.0.0:2377', advertiseAddr: '10.0.0.1:2377', dataPathAddr: '', localAddr: '' }

function directory(t: TestContext): SwarmDirectory {
  const root = mkdtempSync(join(tmpdir(), 'skep-state-'))
  t.after(() => rmSync(root, { recursive: true }))
  return new SwarmDirectory(root)
}

test('what was begun counts when it is complete', (t) => {
  const swarm = directory(t)
  swarm.begin()
  writeFileSync(swarm.keyFile, 'key')
  swarm.writeState(state)
  assert.ok(swarm.isIncomplete)
  // The next attempt finds nothing of it.
  swarm.begin()
  assert.ok(!existsSync(swarm.keyFile))
  assert.equal(swarm.readState(), undefined)
  swarm.writeState(state)
  swarm.complete()
  assert.ok(!swarm.isIncomplete)
  assert.deepEqual(swarm.readState(), state)
  swarm.wipe()
  assert.deepEqual(readdirSync(swarm.path), [])
})

test('the data of a swarm is not taken for an attempt', (t) => {
  const swarm = directory(t)
  mkdirSync(swarm.certificates, { recursive: true })
  writeFileSync(join(swarm.certificates, 'swarm-node.crt'), 'certificate')
  assert.throws(() => swarm.begin(), /holds the data of a swarm without its node-state.json/)
  assert.ok(existsSync(join(swarm.certificates, 'swarm-node.crt')))
})

test('copies for backups do not outlive a crash', (t) => {
  const swarm = directory(t)
  swarm.removeLeftovers()
  swarm.create()
  writeFileSync(swarm.backupCopy('x'), 'copy')
  writeFileSync(swarm.managerDatabase, 'database')
  swarm.removeLeftovers()
  assert.deepEqual([existsSync(swarm.backupCopy('x')), existsSync(swarm.managerDatabase)], [false, true])
})
