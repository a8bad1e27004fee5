import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SwarmError } from '../../../src/model/errors.js'
import { manifest, recovered, testApp } from './fake-backend.js'

const json = { 'content-type': 'application/json' }

test('recover: what is said, and what is not', async () => {
  const { app, swarm } = testApp()
  const bare = await app.inject({ method: 'POST', url: '/skep/v1/recover' })
  assert.equal(bare.statusCode, 200)
  assert.deepEqual(bare.json(), recovered)
  const payload = { force: true, advertiseAddr: '10.0.0.7' }
  await app.inject({ method: 'POST', url: '/skep/v1/recover', headers: json, payload })
  assert.deepEqual(
    swarm.calls.map(({ argument }) => argument),
    [
      { force: false, listenAddr: '', advertiseAddr: '' },
      { force: true, listenAddr: '', advertiseAddr: '10.0.0.7' },
    ],
  )
})

test('backup: an archive', async () => {
  const { app, swarm } = testApp()
  const payload = { unlockKey: 'SWMKEY-1-x', stale: true }
  const reply = await app.inject({ method: 'POST', url: '/skep/v1/backup', headers: json, payload })
  assert.equal(reply.statusCode, 200)
  assert.equal(reply.headers['content-type'], 'application/x-tar')
  assert.equal(reply.body, 'a backup')
  assert.deepEqual(swarm.calls, [{ name: 'backup', argument: payload }])
})

test('restore: the body is not read into memory, and no limit holds for it', async () => {
  const { app, swarm } = testApp(undefined, 1000)
  const payload = 'x'.repeat(5000)
  const headers = { 'content-type': 'application/x-tar' }
  const url = '/skep/v1/restore?advertiseAddr=10.0.0.7'
  const reply = await app.inject({ method: 'POST', url, headers, payload })
  assert.equal(reply.statusCode, 200)
  assert.deepEqual(reply.json(), manifest)
  assert.deepEqual(swarm.calls, [
    { name: 'restore', argument: { listenAddr: '', advertiseAddr: '10.0.0.7', archive: payload } },
  ])
})

test('restore: a refusal comes when all has been sent', async () => {
  const { app, swarm } = testApp()
  Object.assign(swarm, { restore: () => Promise.reject(new SwarmError('Unavailable', 'in a swarm already')) })
  const headers = { 'content-type': 'application/x-tar' }
  const payload = 'x'.repeat(100_000)
  const reply = await app.inject({ method: 'POST', url: '/skep/v1/restore', headers, payload })
  assert.deepEqual([reply.statusCode, reply.json()], [503, { message: 'in a swarm already' }])
})

test('restore: what is no archive is refused', async () => {
  const { app, swarm } = testApp()
  const reply = await app.inject({ method: 'POST', url: '/skep/v1/restore', headers: json, payload: {} })
  assert.equal(reply.statusCode, 400)
  assert.deepEqual(swarm.calls, [])
})
