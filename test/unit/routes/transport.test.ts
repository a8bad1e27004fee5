import assert from 'node:assert/strict'
import { describe, test, type TestContext } from 'node:test'
import type { InjectOptions } from 'fastify'
import { SwarmError } from '../../../src/model/errors.js'
import { testApp, type TestApp } from './fake-backend.js'

const json = { 'content-type': 'application/json' }

async function started(t: TestContext): Promise<TestApp> {
  const tested = testApp()
  t.after(() => tested.app.close())
  await tested.app.ready()
  return tested
}

const standardHeaders = {
  'api-version': '1.56',
  ostype: 'linux',
  server: 'Docker/0.1.0 (linux)',
  'docker-experimental': 'false',
}

function pick(headers: Readonly<Record<string, unknown>>): object {
  return Object.fromEntries(Object.keys(standardHeaders).map((name) => [name, headers[name]]))
}

describe('what all routes have in common', () => {
  test('standard headers, with and without version, and the exact type', async (t) => {
    const { app } = await started(t)
    for (const url of ['/nodes', '/v1.24/nodes', '/v1.41/nodes', '/v1.56/nodes', '/v1.40.3/nodes']) {
      const answer = await app.inject(url)
      assert.equal(answer.statusCode, 200, url)
      assert.deepEqual(pick(answer.headers), standardHeaders)
      assert.equal(answer.headers['content-type'], 'application/json')
      assert.equal(answer.body, '[]\n')
    }
  })

  test('versions out of range', async (t) => {
    const { app } = await started(t)
    const { 'docker-experimental': _missing, ...gateHeaders } = standardHeaders
    for (const path of ['nodes', '_ping', 'containers/json']) {
      const old = await app.inject(`/v1.23/${path}`)
      assert.equal(old.statusCode, 400)
      assert.equal(old.headers['content-type'], 'text/plain; charset=utf-8')
      assert.equal(old.headers['x-content-type-options'], 'nosniff')
      assert.equal(
        old.body,
        'client version 1.23 is too old. Minimum supported API version is 1.24, please upgrade your client to a newer version\n',
      )
      const young = await app.inject(`/v1.57/${path}`)
      assert.equal(young.statusCode, 400)
      assert.deepEqual(young.json(), {
        message: 'client version 1.57 is too new. Maximum supported API version is 1.56',
      })
      assert.deepEqual(pick(young.headers), { ...gateHeaders, 'docker-experimental': undefined })
    }
  })

  test('routes with a first version of their own', async (t) => {
    const { app } = await started(t)
    for (const [method, url, since] of [
      ['GET', '/secrets', '1.25'],
      ['POST', '/configs/create', '1.30'],
      ['GET', '/distribution/a/b/json', '1.30'],
      ['POST', '/networks/prune', '1.25'],
    ] as const) {
      const answer = await app.inject({ method, url: `/v1.24${url}?x=1` })
      assert.equal(answer.statusCode, 400, url)
      assert.deepEqual(answer.json(), { message: `${method} ${url} requires minimum API version ${since}` })
    }
  })

  test('no such page', async (t) => {
    const { app } = await started(t)
    for (const [method, url] of [
      ['GET', '/nosuch'],
      ['GET', '/v1.41/nosuch'],
      ['GET', '/vfoo/nodes'],
      ['GET', '/v1.99/nosuch'],
      ['PUT', '/v1.41/nodes'],
      ['HEAD', '/nodes'],
      ['GET', '/services/'],
      ['GET', '/nodes/a/b'],
      ['GET', '/skep/v1/anything'],
      ['POST', '/secrets'],
    ] as const) {
      const answer = await app.inject({ method, url })
      assert.equal(answer.statusCode, 404, url)
      if (method !== 'HEAD') assert.equal(answer.body, '{"message":"page not found"}\n', url)
      assert.equal(answer.headers['content-type'], 'application/json')
      assert.equal(answer.headers['api-version'], undefined)
    }
  })

  test('paths that are not clean are redirected', async (t) => {
    const { app } = await started(t)
    const answer = await app.inject('//v1.41/nodes?a=b')
    assert.equal(answer.statusCode, 301)
    assert.equal(answer.headers.location, '/v1.41/nodes?a=b')
  })

  test('OPTIONS on any path', async (t) => {
    const { app } = await started(t)
    for (const url of ['/v1.41/nodes', '/whatever']) {
      const answer = await app.inject({ method: 'OPTIONS', url })
      assert.equal(answer.statusCode, 200)
      assert.equal(answer.body, '')
      assert.deepEqual(pick(answer.headers), standardHeaders)
    }
  })

  test('what nobody expected is a 500 with its text', async (t) => {
    const { app, swarm } = await started(t)
    swarm.manager = () => Promise.reject(new TypeError('boom'))
    const answer = await app.inject('/nodes')
    assert.equal(answer.statusCode, 500)
    assert.equal(answer.body, '{"message":"boom"}\n')
  })

  test('the node is no manager', async (t) => {
    const { app, swarm } = await started(t)
    swarm.refusal = new SwarmError('Unavailable', 'This node is not a swarm manager.')
    const requests: InjectOptions[] = [
      ...['/swarm', '/nodes', '/nodes/x', '/services', '/tasks', '/secrets', '/configs'].map((url) => ({
        url,
      })),
      { method: 'POST', url: '/services/create', headers: json, payload: '{"Name":"x"}' },
      { method: 'DELETE', url: '/secrets/x' },
    ]
    for (const request of requests) {
      const answer = await app.inject(request)
      assert.equal(answer.statusCode, 503, JSON.stringify(request))
      assert.deepEqual(answer.json(), { message: 'This node is not a swarm manager.' })
    }
    // Filters are looked at before, but not those of tasks.
    const filters = encodeURIComponent('{"zz":["a"]}')
    for (const kind of ['nodes', 'services', 'secrets', 'configs']) {
      assert.equal((await app.inject(`/${kind}?filters=${filters}`)).statusCode, 400, kind)
    }
    assert.equal((await app.inject(`/tasks?filters=${filters}`)).statusCode, 503)
  })
})

describe('ping', () => {
  test('answers in both ways, in every state', async (t) => {
    const { app, swarm } = await started(t)
    for (const [state, controlAvailable, header] of [
      ['inactive', false, 'inactive'],
      ['pending', false, 'pending'],
      ['error', false, 'error'],
      ['locked', false, 'locked'],
      ['active', false, 'active/worker'],
      ['active', true, 'active/manager'],
    ] as const) {
      swarm.state = { ...swarm.state, state, controlAvailable }
      for (const method of ['GET', 'HEAD'] as const) {
        const answer = await app.inject({ method, url: '/_ping' })
        assert.equal(answer.statusCode, 200)
        assert.equal(answer.body, method === 'GET' ? 'OK' : '')
        assert.equal(answer.headers['content-length'], method === 'GET' ? '2' : '0')
        assert.equal(answer.headers.swarm, header)
        assert.equal(answer.headers['content-type'], 'text/plain; charset=utf-8')
        assert.equal(answer.headers['cache-control'], 'no-cache, no-store, must-revalidate')
        assert.equal(answer.headers.pragma, 'no-cache')
        assert.equal(answer.headers['builder-version'], '2')
      }
    }
  })
})

describe('bodies', () => {
  test('without any, and of the wrong kind', async (t) => {
    const { app } = await started(t)
    const create = async (options: InjectOptions) => {
      const answer = await app.inject({ method: 'POST', url: '/services/create', ...options })
      return `${answer.statusCode} ${answer.json<{ message: string }>().message}`
    }
    assert.equal(await create({}), '400 mismatched Runtime and *Spec fields')
    assert.equal(await create({ headers: json, payload: '' }), '400 mismatched Runtime and *Spec fields')
    assert.equal(
      await create({ headers: { 'content-type': 'text/plain' }, payload: '{}' }),
      "400 unsupported Content-Type header (text/plain): must be 'application/json'",
    )
    assert.equal(
      await create({ headers: { 'content-type': 'a b/c' }, payload: '{}' }),
      '400 malformed Content-Type header (a b/c): mime: expected token',
    )
    assert.equal(await create({ headers: json, payload: '{}{}' }), '400 unexpected content after JSON')
  })

  test('over the limit', async (t) => {
    const { app } = testApp(undefined, 1000)
    t.after(() => app.close())
    const payload = JSON.stringify({ Name: 'x'.repeat(2000) })
    const answer = await app.inject({ method: 'POST', url: '/services/create', headers: json, payload })
    assert.equal(answer.statusCode, 413)
    assert.deepEqual(answer.json(), { message: 'request body is too large: the limit is 1000 bytes' })
  })
})
