import assert from 'node:assert/strict'
import { describe, test, type TestContext } from 'node:test'
import { SwarmError } from '../../../src/model/errors.js'
import { predefinedNetworkLabel } from '../../../src/model/objects.js'
import { aNetwork, aService } from '../../lib/builders.js'
import { inactive, testApp, type TestApp } from './fake-backend.js'

const json = { 'content-type': 'application/json' }

const localId = (digit: string) => digit.repeat(64)

function local(Id: string, Name: string, fields: object = {}) {
  return {
    Name,
    Id,
    Created: '2026-01-01T00:00:00Z',
    Scope: 'local',
    Driver: 'bridge',
    Labels: {},
    Containers: {},
    ...fields,
  }
}

const bridge = local(localId('1'), 'bridge')
const mine = local(localId('2'), 'mine', { Labels: { a: 'b' } })
const both = local(localId('3'), 'both')

async function networkApp(t: TestContext): Promise<TestApp> {
  const tested = testApp()
  t.after(() => tested.app.close())
  const networks = [
    aNetwork({
      id: 'net1',
      spec: { Name: 'web', Driver: 'overlay', Labels: { tier: 'x' }, Attachable: true },
    }),
    aNetwork({ id: 'net2', spec: { Name: 'both', Driver: 'overlay' } }),
    aNetwork({ id: 'ingr', spec: { Name: 'ingress', Driver: 'overlay', Ingress: true } }),
    aNetwork({
      id: 'host1',
      spec: { Name: 'host', Driver: 'host', Labels: { [predefinedNetworkLabel]: 'true' } },
    }),
  ]
  tested.store.restore(
    1,
    networks.map((object) => ({ table: 'networks', object })),
  )
  const locals = [bridge, mine, both]
  tested.engine.answer = ({ method, path }) => {
    const [pathname = '', query = ''] = path.split('?')
    if (method === 'GET' && pathname === '/networks') {
      return { status: 200, json: query.includes('dangling') ? [mine] : locals }
    }
    const found = locals.find(({ Id }) => pathname === `/networks/${Id}`)
    if (method === 'DELETE' && found === bridge) {
      return { status: 403, json: { message: 'bridge is a pre-defined network and cannot be removed' } }
    }
    if (found !== undefined) return method === 'GET' ? { status: 200, json: found } : { status: 204 }
    if (pathname === '/networks/create') return { status: 201, json: { Id: localId('9'), Warning: '' } }
    if (pathname === '/networks/prune') return { status: 200, json: { NetworksDeleted: ['mine'] } }
    return undefined
  }
  await tested.app.ready()
  return tested
}

async function names({ app }: TestApp, filters?: object): Promise<readonly string[]> {
  const query = filters === undefined ? '' : `?filters=${encodeURIComponent(JSON.stringify(filters))}`
  const answer = await app.inject(`/networks${query}`)
  assert.equal(answer.statusCode, 200, answer.body)
  return answer.json<{ Name: string; Scope: string }[]>().map(({ Name, Scope }) => `${Scope}/${Name}`)
}

async function outcome({ app }: TestApp, method: 'GET' | 'POST' | 'DELETE', url: string, body?: object) {
  const answer = await app.inject({
    method,
    url,
    ...(body && { headers: json, payload: JSON.stringify(body) }),
  })
  const { Id, message } = answer.body === '' ? {} : answer.json<{ Id?: string; message?: string }>()
  return `${answer.statusCode} ${message ?? Id ?? ''}`.trimEnd()
}

describe('networks of the cluster and of the host', () => {
  test('lists', async (t) => {
    const app = await networkApp(t)
    const shared = ['swarm/ingress', 'swarm/web', 'swarm/both']
    assert.deepEqual(await names(app), [...shared, 'local/bridge', 'local/mine', 'local/both'])
    assert.deepEqual(await names(app, { scope: ['swarm'] }), shared)
    assert.deepEqual(await names(app, { driver: ['bridge'], name: ['^m'] }), ['local/mine'])
    assert.deepEqual(await names(app, { name: ['o.*h', '('] }), ['swarm/both', 'local/both'])
    assert.deepEqual(await names(app, { id: ['net'] }), ['swarm/web', 'swarm/both'])
    assert.deepEqual(await names(app, { label: ['tier=x'] }), ['swarm/web'])
    assert.deepEqual(await names(app, { type: ['builtin'] }), ['local/bridge'])
    assert.deepEqual(await names(app, { dangling: ['true'] }), [...shared, 'local/mine'])
    assert.deepEqual(await names(app, { dangling: ['0'] }), ['local/mine'])
    const refusal = (filters: object) =>
      outcome(app, 'GET', `/networks?filters=${encodeURIComponent(JSON.stringify(filters))}`)
    assert.equal(await refusal({ type: ['zz'] }), `500 invalid filter: 'type'='zz'`)
    assert.match(await refusal({ dangling: ['zz'] }), /^400 invalid value for filter 'dangling'/)
    assert.equal(await refusal({ zz: ['zz'] }), `400 invalid filter 'zz'`)
    assert.equal((await app.app.inject('/networks/')).body, (await app.app.inject('/networks')).body)
  })

  test('a pattern cannot hold up the daemon', async (t) => {
    const app = await networkApp(t)
    await app.control.createNetwork({ spec: { Name: 'a'.repeat(60), Driver: 'overlay' } })
    const start = performance.now()
    assert.deepEqual(await names(app, { name: ['^(a+)+$x'] }), [])
    assert.ok(performance.now() - start < 5000)
  })

  test('lists hold nothing of the cluster without a manager, and nothing of the host without an engine', async (t) => {
    const app = await networkApp(t)
    app.swarm.refusal = new SwarmError('Unavailable', 'no manager')
    assert.deepEqual(await names(app), ['local/bridge', 'local/mine', 'local/both'])
    app.swarm.refusal = undefined
    app.engine.call = () => Promise.reject(new SwarmError('Unavailable', 'gone'))
    assert.deepEqual(await names(app), ['swarm/ingress', 'swarm/web', 'swarm/both'])
  })

  test('lookup', async (t) => {
    const app = await networkApp(t)
    const get = (path: string) => outcome(app, 'GET', `/networks/${path}`)
    assert.equal(await get('web'), '200 net1')
    assert.equal(await get('net1'), '200 net1')
    assert.equal(await get('i'), '200 ingr')
    assert.equal(await get('mine'), `200 ${mine.Id}`)
    assert.equal(await get('22'), `200 ${mine.Id}`)
    assert.equal(await get('both'), '400 2 matches found based on name: network both is ambiguous')
    assert.equal(await get('both?scope=swarm'), '200 net2')
    assert.equal(await get('both?scope=local'), `200 ${both.Id}`)
    assert.equal(await get('net'), '400 2 matches found based on ID prefix: network net is ambiguous')
    assert.equal(await get('host'), '404 network host not found')
    assert.equal(await get('host?scope=swarm'), '200 host1')
    assert.equal(await get('host1'), '200 host1')
    assert.equal(await get('a/b'), '404 network a/b not found')
    assert.match(await get('web?verbose=zz'), /^400 invalid value for verbose: zz: strconv\.ParseBool/)
    assert.equal(await get('mine?verbose=1'), `200 ${mine.Id}`)
    assert.equal(app.engine.calls.at(-1)?.path, `/networks/${mine.Id}?verbose=true`)
  })

  test('a network goes where it belongs', async (t) => {
    const app = await networkApp(t)
    const create = (body: object) => outcome(app, 'POST', '/networks/create', body)
    assert.equal(await create({ Name: 'new', Driver: 'bridge', CheckDuplicate: true }), `201 ${localId('9')}`)
    assert.deepEqual(app.engine.calls.at(-1), {
      method: 'POST',
      path: '/networks/create',
      body: { Name: 'new', Driver: 'bridge', CheckDuplicate: true },
    })
    assert.match(await create({ name: 'over', driver: 'overlay' }), /^201 [0-9a-z]{25}$/)
    assert.match(await create({ Name: 'sb', Driver: 'bridge', Scope: 'swarm' }), /^201 [0-9a-z]{25}$/)
    assert.match(await create({ Name: 'mine', Driver: 'overlay' }), /^201 /)
    assert.equal(await create({ Name: 'web', Driver: 'bridge' }), '409 network with name web already exists')
    assert.equal(
      await create({ Name: 'host', Driver: 'overlay' }),
      '409 network with name host already exists',
    )
    assert.equal(
      await create({ Name: 'none', Driver: 'overlay' }),
      '403 none is a pre-defined network and cannot be created',
    )
    app.swarm.state = { ...app.swarm.state, controlAvailable: false }
    app.swarm.refusal = new SwarmError('Unavailable', 'worker')
    assert.equal(
      await create({ Name: 'x', Driver: 'overlay' }),
      '403 Cannot create a multi-host network from a worker node. Please create the network from a manager node.',
    )
    app.swarm.state = inactive
    assert.match(
      await create({ Name: 'x', Driver: 'overlay' }),
      /^403 This node is not a swarm manager\. Use /,
    )
    assert.equal(
      await create({ Name: 'x', Driver: 'bridge', Scope: 'swarm' }),
      '403 cannot create a swarm scoped network when swarm is not active',
    )
    assert.equal(await create({ Name: 'x' }), `201 ${localId('9')}`)
  })

  test('removal', async (t) => {
    const app = await networkApp(t)
    await app.store.update((tx) => {
      const { id, spec, specVersion } = aService({
        id: 's1',
        spec: { Name: 's', TaskTemplate: { Networks: [{ Target: 'net1' }] } },
      })
      tx.create('services', { id, spec, specVersion })
    })
    const remove = (path: string) => outcome(app, 'DELETE', `/networks/${path}`)
    assert.equal(await remove('both'), '400 network both is ambiguous (2 matches found based on name)')
    assert.equal(await remove('net2'), '204')
    assert.equal(await remove('both'), '204')
    assert.equal(app.engine.calls.at(-1)?.path, `/networks/${both.Id}`)
    assert.equal(await remove('bridge'), '403 bridge is a pre-defined network and cannot be removed')
    assert.match(await remove('web'), /^400 .*network net1 is in use by service s1$/)
    assert.match(
      await remove('host1'),
      /^400 .*network host1 \(host\) is a swarm predefined network and cannot be removed$/,
    )
    assert.equal(await remove('zz'), '404 network zz not found')
  })

  test('prune takes what nothing uses, in both places', async (t) => {
    const app = await networkApp(t)
    const filters = encodeURIComponent('{"label!":["tier"]}')
    const answer = await app.app.inject({ method: 'POST', url: `/networks/prune?filters=${filters}` })
    assert.equal(answer.body, '{"NetworksDeleted":["both","mine"]}\n')
    assert.equal(app.engine.calls.at(-1)?.path, `/networks/prune?filters=${filters}`)
    assert.deepEqual(
      app.store.view.networks.list().map(({ id }) => id),
      ['host1', 'ingr', 'net1'],
    )
    assert.match(
      await outcome(app, 'POST', '/networks/prune?filters=%7B%22until%22%3A%5B%22zz%22%5D%7D'),
      /^400 /,
    )
  })

  test('containers join networks of the host', async (t) => {
    const app = await networkApp(t)
    const connect = async (id: string) => {
      const answer = await app.app.inject({
        method: 'POST',
        url: `/v1.30/networks/${id}/connect`,
        headers: json,
        payload: '{"Container":"c"}',
      })
      return `${answer.statusCode} ${answer.body.trim()}`
    }
    assert.equal(await connect('mine'), '200 from the engine')
    assert.deepEqual(app.engine.passed, [
      { method: 'POST', path: '/networks/mine/connect', apiVersion: '1.30', body: '{"Container":"c"}' },
    ])
    assert.equal(
      await connect('ingress'),
      '500 {"message":"Could not attach to network ingress: rpc error: code = PermissionDenied desc = network ingress not manually attachable"}',
    )
    assert.match(await connect('web'), /^500 .*code = Unimplemented/)
    assert.equal(await connect('nosuch'), '200 from the engine')
  })
})
