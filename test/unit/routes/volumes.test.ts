import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { inactive, testApp, type Answer } from './fake-backend.js'

const local = { Name: 'local', Driver: 'local', Scope: 'local' }
const spec = { AccessMode: { MountVolume: {} } }

/** An engine with one volume. */
const engineAnswer: Answer = ({ method, path }) => {
  if (path.startsWith('/volumes?') || path === '/volumes')
    return { status: 200, json: { Volumes: [local], Warnings: null } }
  if (path === '/volumes/create') return { status: 201, json: local }
  if (path.startsWith('/volumes/local')) return { status: method === 'DELETE' ? 204 : 200, json: local }
  if (method === 'DELETE' && path.includes('force=1')) return { status: 204 }
  return { status: 404, json: { message: 'get it: no such volume' } }
}

function setUp(t: TestContext) {
  const tested = testApp()
  const { app, engine } = tested
  t.after(() => app.close())
  engine.answer = engineAnswer
  const call = async (method: 'GET' | 'POST' | 'PUT' | 'DELETE', url: string, body?: object) => {
    const payload = body === undefined ? {} : { payload: JSON.stringify(body) }
    const headers = { 'content-type': 'application/json' }
    const answer = await app.inject({ method, url, headers, ...payload })
    const json = answer.body.startsWith('{') ? answer.json<Record<string, unknown>>() : undefined
    return { status: answer.statusCode, body: answer.body, json }
  }
  return { ...tested, call }
}

test('without volumes of the cluster everything about volumes is the engine’s', async (t) => {
  const { call, engine } = setUp(t)
  assert.equal((await call('GET', '/volumes')).body, 'from the engine')
  assert.equal((await call('GET', '/volumes/a/b')).body, 'from the engine')
  assert.equal((await call('DELETE', '/volumes/local?force=1')).body, 'from the engine')
  assert.equal((await call('POST', '/volumes/prune')).body, 'from the engine')
  const made = await call('POST', '/volumes/create', { Name: 'local', Extra: 1 })
  assert.deepEqual([made.status, made.json], [201, local])
  assert.deepEqual(engine.calls.at(-1)?.body, { Name: 'local', Extra: 1 })
})

test('a volume of the cluster beside the engine’s', async (t) => {
  const { call } = setUp(t)
  const body = { Name: 'shared', Driver: 'csi', Labels: { a: 'b' }, ClusterVolumeSpec: spec }
  const made = await call('POST', '/volumes/create', body)
  assert.equal(made.status, 201)
  assert.deepEqual(
    [made.json?.['Name'], made.json?.['Scope'], made.json?.['Status']],
    ['shared', 'global', { State: 'pending', Message: 'is not created yet: there is no CSI plugin csi' }],
  )
  const names = async (query = '') => {
    const list = (await call('GET', `/volumes${query}`)).json?.['Volumes'] as { Name: string }[]
    return list.map(({ Name }) => Name)
  }
  const filters = (value: object) => `?filters=${encodeURIComponent(JSON.stringify(value))}`
  assert.deepEqual(await names(), ['local', 'shared'])
  assert.deepEqual(await names(filters({ label: ['a=b'] })), ['local', 'shared'])
  assert.deepEqual(await names(filters({ label: ['a=c'] })), ['local'])
  assert.deepEqual(await names(filters({ driver: ['csi'], dangling: ['true'] })), ['local', 'shared'])
  assert.deepEqual(await names(filters({ dangling: ['false'] })), ['local'])
  assert.equal((await call('GET', '/v1.41/volumes')).body, 'from the engine')
  assert.equal((await call('GET', '/volumes/shared')).json?.['Driver'], 'csi')
  assert.equal((await call('GET', '/volumes/local')).body, 'from the engine')
  assert.equal((await call('DELETE', '/volumes/shared')).status, 204)
  assert.equal((await call('GET', '/volumes/shared')).body, 'from the engine')
})

test('updates name the version that they start from', async (t) => {
  const { call, store } = setUp(t)
  await call('POST', '/volumes/create', { Name: 'shared', ClusterVolumeSpec: spec })
  const [volume] = store.view.volumes.list()
  const drain = { Spec: { Availability: 'drain' } }
  const bad = await call('PUT', '/volumes/shared?version=x', drain)
  assert.equal(
    `${bad.status} ${String(bad.json?.['message'])}`,
    `400 invalid swarm object version 'x': strconv.ParseUint: parsing "x": invalid syntax`,
  )
  assert.equal((await call('PUT', `/volumes/shared?version=${volume?.version}`, drain)).status, 200)
  assert.equal(store.view.volumes.list()[0]?.spec.Availability, 'drain')
  assert.equal((await call('PUT', `/volumes/gone?version=1`, drain)).status, 404)
  const old = await call('PUT', '/v1.41/volumes/shared?version=1', drain)
  assert.match(old.body, /requires minimum API version 1\.42/)
})

test('force takes the cluster’s volume after the engine took nothing', async (t) => {
  const { call, store } = setUp(t)
  await call('POST', '/volumes/create', { Name: 'shared', ClusterVolumeSpec: spec })
  assert.equal((await call('DELETE', '/volumes/shared?force=1')).status, 204)
  assert.equal(store.view.volumes.size, 0)
})

test('off the swarm only the engine’s volumes are there', async (t) => {
  const { call, swarm } = setUp(t)
  swarm.status = () => inactive
  const update = await call('PUT', '/volumes/shared?version=1', {})
  assert.equal(update.status, 503)
  assert.match(update.body, /volume update only valid for cluster volumes, but swarm is unavailable/)
  assert.equal((await call('GET', '/volumes')).body, 'from the engine')
})
