import assert from 'node:assert/strict'
import { describe, test, type TestContext } from 'node:test'
import { TaskState } from '../../../src/model/task-state.js'
import type { TableName, Tables } from '../../../src/model/objects.js'
import { aNetwork, aNode, aService, aTask } from '../../lib/builders.js'
import { testApp, type TestApp } from './fake-backend.js'

const json = { 'content-type': 'application/json' }

async function appWith(
  t: TestContext,
  objects: { readonly [K in TableName]?: readonly Tables[K][] } = {},
): Promise<TestApp> {
  const tested = testApp()
  t.after(() => tested.app.close())
  const entries = Object.entries(objects) as [TableName, readonly Tables[TableName][]][]
  tested.store.restore(
    1,
    entries.flatMap(([table, list]) => list.map((object) => ({ table, object }))),
  )
  await tested.app.ready()
  return tested
}

/** IDs of what a list shows. */
async function listed({ app }: TestApp, path: string, filters?: object): Promise<readonly string[]> {
  const query = filters === undefined ? '' : `?filters=${encodeURIComponent(JSON.stringify(filters))}`
  const answer = await app.inject(`${path}${query}`)
  assert.equal(answer.statusCode, 200, answer.body)
  return answer.json<{ ID: string }[]>().map(({ ID }) => ID)
}

async function refused(
  { app }: TestApp,
  url: string,
  method: 'GET' | 'POST' | 'DELETE' = 'GET',
  body?: object,
) {
  const answer = await app.inject({
    method,
    url,
    ...(body && { headers: json, payload: JSON.stringify(body) }),
  })
  assert.ok(answer.statusCode >= 400, `${url}: ${answer.body}`)
  return `${answer.statusCode} ${answer.json<{ message: string }>().message}`
}

describe('services', () => {
  const services = [
    aService({
      id: 'aa1',
      spec: { Name: 'web', Labels: { tier: 'front' }, Mode: { Replicated: { Replicas: 2 } } },
    }),
    aService({ id: 'aa2', spec: { Name: 'api', Labels: { tier: 'back' }, Mode: { Global: {} } } }),
    aService({
      id: 'b1',
      spec: { Name: 'webjob', Labels: {}, Mode: { ReplicatedJob: { MaxConcurrent: 3 } } },
      jobStatus: { iteration: 1, lastExecutionMs: 0 },
    }),
  ]

  test('filters', async (t) => {
    const app = await appWith(t, { services })
    assert.deepEqual(await listed(app, '/services'), ['aa1', 'aa2', 'b1'])
    assert.deepEqual(await listed(app, '/services', { id: ['aa'] }), ['aa1', 'aa2'])
    assert.deepEqual(await listed(app, '/services', { name: ['web', 'api'] }), ['aa2', 'aa1', 'b1'])
    assert.deepEqual(await listed(app, '/services', { mode: ['global', 'replicated-job'] }), ['aa2', 'b1'])
    assert.deepEqual(await listed(app, '/services', { label: ['tier'] }), ['aa1', 'aa2'])
    assert.deepEqual(await listed(app, '/services', { label: ['tier=back'], name: { a: true } }), ['aa2'])
    assert.deepEqual(await listed(app, '/services', { runtime: ['plugin'] }), [])
    assert.equal(await refused(app, '/services?filters=%7B%22zz%22%3A%5B%5D%7D'), `400 invalid filter 'zz'`)
    assert.equal(await refused(app, '/services?filters=zz'), '400 invalid filter')
  })

  test('lookup', async (t) => {
    const app = await appWith(t, { services })
    assert.equal(await refused(app, '/services/nosuch'), '404 service nosuch not found')
    assert.equal(await refused(app, '/services/aa'), '400 service aa is ambiguous (2 matches found)')
    assert.equal((await app.app.inject('/services/b')).json<{ ID: string }>().ID, 'b1')
    assert.equal((await app.app.inject('/services/web')).json<{ ID: string }>().ID, 'aa1')
  })

  test('status counts tasks', async (t) => {
    const running = { state: TaskState.Running, timestampMs: 0, message: '' }
    const complete = { ...running, state: TaskState.Complete }
    const tasks = [
      aTask({ id: 't1', serviceId: 'aa1', status: running }),
      aTask({ id: 't2', serviceId: 'aa1', status: complete, desiredState: TaskState.Shutdown }),
      aTask({ id: 't3', serviceId: 'aa2', slot: 0, status: running }),
      aTask({ id: 't4', serviceId: 'aa2', slot: 0 }),
      aTask({
        id: 't5',
        serviceId: 'b1',
        status: complete,
        desiredState: TaskState.Complete,
        jobIteration: 1,
      }),
      aTask({
        id: 't6',
        serviceId: 'b1',
        status: complete,
        desiredState: TaskState.Complete,
        jobIteration: 0,
      }),
    ]
    const { app } = await appWith(t, { services, tasks })
    const status = async (query: string) =>
      (await app.inject(`/${query}`))
        .json<{ ServiceStatus?: object }[]>()
        .map(({ ServiceStatus }) => ServiceStatus)
    const counts = (RunningTasks: number, DesiredTasks: number, CompletedTasks: number) => ({
      RunningTasks,
      DesiredTasks,
      CompletedTasks,
    })
    assert.deepEqual(await status('services?status=true'), [
      counts(1, 2, 1),
      counts(1, 2, 0),
      counts(0, 3, 1),
    ])
    assert.deepEqual(await status('services?status=0'), [undefined, undefined, undefined])
    assert.deepEqual(await status('v1.40/services?status=zz'), [undefined, undefined, undefined])
    const answer = await app.inject('/v1.41/services?status=zz')
    assert.equal(answer.statusCode, 400)
    assert.match(answer.body, /invalid value for status: zz: strconv\.ParseBool/)
  })

  test('are made, changed, taken back and removed', async (t) => {
    const tested = await appWith(t)
    const { app, store } = tested
    const spec = { Name: 'web', TaskTemplate: { ContainerSpec: { Image: 'busybox' } } }
    const create = await app.inject({
      method: 'POST',
      url: '/services/create',
      headers: { ...json, 'x-registry-auth': 'abc' },
      payload: JSON.stringify(spec),
    })
    assert.equal(create.statusCode, 201)
    const { ID: id, ...rest } = create.json<{ ID: string }>()
    assert.deepEqual(rest, { Warnings: null })
    assert.equal(store.view.services.get(id)?.registryAuth, 'abc')
    const update = (query: string, body: object) =>
      app.inject({
        method: 'POST',
        url: `/services/web/update?${query}`,
        headers: json,
        payload: JSON.stringify(body),
      })
    const version = () => store.view.services.get(id)?.version ?? 0

    const changed = await update(`version=${version()}`, { ...spec, Labels: { a: 'b' } })
    assert.equal(`${changed.statusCode} ${changed.body}`, '200 {"Warnings":null}\n')
    assert.deepEqual(store.view.services.get(id)?.spec.Labels, { a: 'b' })
    const stale = await update('version=1', spec)
    assert.equal(stale.statusCode, 500)
    assert.match(stale.body, /rpc error: code = Unknown desc = update out of sequence/)
    const back = await update(`version=${version()}&rollback=previous`, spec)
    assert.equal(back.statusCode, 200, back.body)
    assert.equal(store.view.services.get(id)?.updateStatus?.state, 'rollback_started')

    assert.match(
      await refused(tested, '/services/web/update', 'POST', spec),
      /^400 invalid service version ''/,
    )
    assert.equal(
      await refused(tested, '/services/web/update?version=1&registryAuthFrom=zz', 'POST', spec),
      `400 invalid registryAuthFrom 'zz'`,
    )
    assert.equal(
      await refused(tested, '/services/web/update?version=1&rollback=zz', 'POST', spec),
      '500 unrecognized rollback option zz',
    )
    const removed = await app.inject({ method: 'DELETE', url: '/services/web' })
    assert.equal(`${removed.statusCode} ${removed.body}`, '200 ')
    assert.equal(removed.headers['content-type'], undefined)
    assert.equal(store.view.services.size, 0)
  })

  test('an update gets a new encoded form, an unchanged object keeps its own', async (t) => {
    const { app, control, store } = await appWith(t, { services })
    const before = await app.inject('/services')
    assert.equal((await app.inject('/services')).body, before.body)
    const spec = { Name: 'web', TaskTemplate: { ContainerSpec: { Image: 'x' } } }
    const { id } = await control.createService({ spec: { ...spec, Name: 'new' } })
    const after = (await app.inject('/services')).json<{ ID: string; Version: { Index: number } }[]>()
    const found = after.find(({ ID }) => ID === id)
    assert.equal(found?.Version.Index, store.view.services.get(id)?.version)
    assert.equal(after.length, 4)
  })

  test('large numbers come back as they are', async (t) => {
    const { app } = await appWith(t)
    const payload =
      '{"Name":"big","TaskTemplate":{"ContainerSpec":{"Image":"b","Ulimits":[{"Name":"nofile","Hard":9223372036854775807,"Soft":-1}]},"RestartPolicy":{"MaxAttempts":18446744073709551615}}}'
    const created = await app.inject({ method: 'POST', url: '/services/create', headers: json, payload })
    assert.equal(created.statusCode, 201, created.body)
    const { body } = await app.inject('/services/big')
    assert.match(body, /"Hard":9223372036854775807,"Soft":-1/)
    assert.match(body, /"MaxAttempts":18446744073709551615/)
  })
})

describe('tasks', () => {
  const node = aNode({ id: 'n1' })
  const services = [
    aService({ id: 's1', spec: { Name: 'web', TaskTemplate: { ContainerSpec: { Image: 'busybox' } } } }),
    aService({ id: 's2' }),
  ]
  const named = { name: 'web', labels: { tier: 'front' } }
  const tasks = [
    aTask({ id: 't1', serviceId: 's1', nodeId: 'n1', serviceAnnotations: named }),
    aTask({
      id: 't2',
      serviceId: 's1',
      slot: 2,
      nodeId: 'n2',
      desiredState: TaskState.Shutdown,
      serviceAnnotations: named,
    }),
    aTask({
      id: 'u1',
      serviceId: 's2',
      nodeId: 'n1',
      specVersion: 7,
      spec: { ContainerSpec: { Image: 'other' } },
    }),
  ]

  test('filters', async (t) => {
    const app = await appWith(t, { services, tasks, nodes: [node] })
    assert.deepEqual(await listed(app, '/tasks'), ['t1', 't2', 'u1'])
    assert.deepEqual(await listed(app, '/tasks', { service: ['web'] }), ['t1', 't2'])
    assert.deepEqual(await listed(app, '/tasks', { service: ['web', 's2'] }), ['t1', 't2', 'u1'])
    assert.deepEqual(await listed(app, '/tasks', { node: ['n1'] }), ['t1', 'u1'])
    assert.deepEqual(await listed(app, '/tasks', { service: ['web'], node: ['n1'] }), ['t1'])
    assert.deepEqual(await listed(app, '/tasks', { 'desired-state': ['shutdown', ''] }), ['t2'])
    assert.deepEqual(await listed(app, '/tasks', { 'desired-state': ['allocated'] }), [])
    assert.deepEqual(await listed(app, '/tasks', { name: ['web.2'] }), ['t2'])
    assert.deepEqual(await listed(app, '/tasks', { label: ['tier=front'] }), ['t1', 't2'])
    assert.deepEqual(await listed(app, '/tasks', { id: ['t'] }), ['t1', 't2'])
    assert.deepEqual(await listed(app, '/tasks', { '_up-to-date': ['true'], service: ['s2'] }), [])
    assert.deepEqual(await listed(app, '/tasks', { '_up-to-date': ['true'], service: ['s1'] }), ['t1', 't2'])
    const refusal = (filters: object) =>
      refused(app, `/tasks?filters=${encodeURIComponent(JSON.stringify(filters))}`)
    assert.equal(await refusal({ service: ['zz'] }), '404 service zz not found')
    assert.equal(await refusal({ node: ['self'] }), '404 node self not found')
    assert.equal(await refusal({ 'desired-state': ['zz'] }), `500 Invalid desired-state filter: 'zz'`)
  })

  test('lookup', async (t) => {
    const app = await appWith(t, { services, tasks })
    assert.equal((await app.app.inject('/tasks/web.2.t2')).json<{ ID: string }>().ID, 't2')
    assert.equal(await refused(app, '/tasks/t'), '400 task t is ambiguous (2 matches found)')
    assert.equal(await refused(app, '/tasks/zz'), '404 task zz not found')
  })

  test('show their networks as they are now', async (t) => {
    const attached = aTask({
      id: 't9',
      networks: [{ networkId: 'net', addresses: ['10.0.0.2/24'], aliases: [] }],
    })
    const { app, store } = await appWith(t, { tasks: [attached], networks: [aNetwork({ id: 'net' })] })
    const driver = async () => {
      const { NetworksAttachments: attachments } = (await app.inject('/tasks/t9')).json<{
        NetworksAttachments: { Network: { ID: string; DriverState?: object }; Addresses: string[] }[]
      }>()
      return attachments.map(({ Network: { ID, DriverState }, Addresses }) => ({
        ID,
        DriverState,
        Addresses,
      }))
    }
    assert.deepEqual(await driver(), [{ ID: 'net', DriverState: {}, Addresses: ['10.0.0.2/24'] }])
    await store.update((tx) => {
      tx.update('networks', 'net', { driverState: { name: 'overlay', options: { a: 'b' } } })
    })
    const state = { Name: 'overlay', Options: { a: 'b' } }
    assert.deepEqual(await driver(), [{ ID: 'net', DriverState: state, Addresses: ['10.0.0.2/24'] }])
    await store.update((tx) => tx.remove('networks', 'net'))
    assert.deepEqual(await driver(), [{ ID: 'net', DriverState: undefined, Addresses: ['10.0.0.2/24'] }])
  })

  test('a long list is whole', async (t) => {
    const many = Array.from({ length: 2501 }, (_, at) =>
      aTask({ id: `t${String(at).padStart(5, '0')}`, serviceId: 's1' }),
    )
    const app = await appWith(t, { services, tasks: many })
    assert.deepEqual(
      await listed(app, '/tasks'),
      many.map(({ id }) => id),
    )
    assert.equal((await app.app.inject('/tasks')).headers['content-type'], 'application/json')
  })
})

describe('nodes', () => {
  const nodes = [
    aNode({
      id: 'n1',
      role: 'manager',
      spec: { Name: 'first', Labels: { dc: 'east' }, Role: 'manager', Availability: 'active' },
      managerAddr: '10.0.0.1:2377',
    }),
    aNode({ id: 'n2', description: { Hostname: 'box', Engine: { Labels: { disk: 'ssd' } } } }),
  ]

  test('filters', async (t) => {
    const app = await appWith(t, { nodes })
    assert.deepEqual(await listed(app, '/nodes', { role: ['MANAGER'] }), ['n1'])
    assert.deepEqual(await listed(app, '/nodes', { name: ['box'] }), ['n2'])
    assert.deepEqual(await listed(app, '/nodes', { 'node.label': ['dc=east'] }), ['n1'])
    assert.deepEqual(await listed(app, '/nodes', { label: ['disk'] }), ['n2'])
    assert.deepEqual(await listed(app, '/nodes', { membership: ['accepted'] }), ['n1', 'n2'])
    assert.deepEqual(await listed(app, '/nodes', { membership: ['pending'] }), [])
    const filters = encodeURIComponent('{"role":["a"]}')
    assert.equal(await refused(app, `/nodes?filters=${filters}`), `500 Invalid role filter: 'a'`)
  })

  test('managers show so, and lose it with their role', async (t) => {
    const { app } = await appWith(t, { nodes })
    const [first, second] = (await app.inject('/nodes')).json<Record<string, unknown>[]>()
    assert.deepEqual(first?.ManagerStatus, { Leader: true, Reachability: 'reachable', Addr: '10.0.0.1:2377' })
    assert.equal(second?.ManagerStatus, undefined)
    assert.deepEqual(second?.Description, {
      Hostname: 'box',
      Platform: {},
      Resources: {},
      Engine: { Labels: { disk: 'ssd' } },
      TLSInfo: {},
    })
  })

  test('are updated and removed', async (t) => {
    const tested = await appWith(t, { nodes })
    const { app, store } = tested
    const update = await app.inject({
      method: 'POST',
      url: '/nodes/box/update?version=1',
      headers: json,
      payload: '{"role":"worker","availability":"drain","labels":{"a":"b"}}',
    })
    assert.equal(`${update.statusCode} ${update.body}`, '200 ')
    assert.equal(store.view.nodes.get('n2')?.spec.Availability, 'drain')
    assert.match(await refused(tested, '/nodes/n2', 'DELETE'), /^400 .*is not down and can't be removed$/)
    assert.equal((await app.inject({ method: 'DELETE', url: '/nodes/n2?force=1' })).statusCode, 200)
    assert.equal(store.view.nodes.size, 1)
  })
})

describe('secrets and configs', () => {
  test('13.7 data of a secret never comes back, that of a config always', async (t) => {
    const { app } = await appWith(t)
    for (const kind of ['secrets', 'configs']) {
      const payload = '{"Name":"Some","Labels":{"x":"1"},"Data":"YQ=="}'
      const created = await app.inject({ method: 'POST', url: `/${kind}/create`, headers: json, payload })
      assert.equal(created.statusCode, 201, created.body)
      assert.deepEqual(Object.keys(created.json<object>()), ['ID'])
      const { Spec } = (await app.inject(`/${kind}/some`)).json<{ Spec: object }>()
      const data = kind === 'secrets' ? {} : { Data: 'YQ==' }
      assert.deepEqual(Spec, { Name: 'Some', Labels: { x: '1' }, ...data })
      const again = await app.inject({ method: 'POST', url: `/${kind}/create`, headers: json, payload })
      assert.equal(again.statusCode, 409)
      assert.doesNotMatch(again.body, /YQ==/)
      const removed = await app.inject({ method: 'DELETE', url: `/${kind}/SOME` })
      assert.equal(`${removed.statusCode} ${removed.body}`, '204 ')
    }
  })

  test('13.9 IDs and names of a filter unite, labels narrow', async (t) => {
    const tested = await appWith(t)
    const ids: string[] = []
    for (const [Name, Labels] of [
      ['demo-A', {}],
      ['demo-Ab', { x: '1' }],
      ['other', {}],
    ] as const) {
      ids.push((await tested.control.createSecret({ spec: { Name, Labels, Data: 'YQ==' } })).id)
    }
    const [a = '', ab = '', other = ''] = ids
    assert.deepEqual(await listed(tested, '/secrets'), [a, ab, other].sort())
    assert.deepEqual(await listed(tested, '/secrets', { label: ['x'] }), [ab])
    assert.deepEqual(await listed(tested, '/secrets', { name: ['DEMO-a'] }), [a, ab])
    assert.deepEqual(await listed(tested, '/secrets', { names: ['demo-A'] }), [a])
    assert.deepEqual(await listed(tested, '/secrets', { names: ['demo-A'], id: [other] }), [a, other])
    assert.deepEqual(await listed(tested, '/secrets', { name: ['demo'], label: ['x=1'] }), [ab])
    assert.equal(
      await refused(tested, '/configs?filters=%7B%22names%22%3A%5B%22a%22%5D%7D'),
      `400 invalid filter 'names'`,
    )
  })

  test('update', async (t) => {
    const tested = await appWith(t)
    await tested.control.createSecret({ spec: { Name: 'a', Labels: {}, Data: 'YQ==' } })
    assert.equal(
      await refused(tested, '/secrets/a/update', 'POST', { Name: 'a' }),
      '400 invalid secret version',
    )
    const templated = { Name: 'x', Data: 'YQ==', Templating: { Name: 'golang' } }
    assert.equal(
      await refused(tested, '/v1.36/secrets/create', 'POST', templated),
      '400 secret templating is not supported on the specified API version: 1.36',
    )
  })
})

describe('swarm', () => {
  test('init, join, leave and unlock reach the node', async (t) => {
    const { app, swarm } = await appWith(t)
    const post = async (path: string, body: object) => {
      const answer = await app.inject({
        method: 'POST',
        url: path,
        headers: json,
        payload: JSON.stringify(body),
      })
      return `${answer.statusCode} ${answer.body}`
    }
    const addresses = {
      listenaddr: '0.0.0.0:2377',
      DataPathPort: 5000,
      SubnetSize: 25,
      DefaultAddrPool: null,
    }
    assert.equal(await post('/swarm/init', addresses), '200 "4sw12oa9y4j3rpem6rthv2a6w"\n')
    assert.equal(await post('/v1.38/swarm/init', addresses), '200 "4sw12oa9y4j3rpem6rthv2a6w"\n')
    assert.equal(await post('/swarm/join', { RemoteAddrs: ['a'] }), '200 ')
    assert.equal(await post('/swarm/leave?force=1', {}), '200 ')
    assert.equal(await post('/swarm/unlock', { UnlockKey: 'k' }), '200 ')
    assert.deepEqual(swarm.calls, [
      { name: 'init', argument: { ListenAddr: '0.0.0.0:2377', DataPathPort: 5000, SubnetSize: 25 } },
      { name: 'init', argument: { ListenAddr: '0.0.0.0:2377' } },
      { name: 'join', argument: { RemoteAddrs: ['a'] } },
      { name: 'leave', argument: true },
      { name: 'unlock', argument: 'k' },
    ])
  })

  test('update and unlock key', async (t) => {
    const tested = await appWith(t)
    const { app, store } = tested
    await store.update((tx) => {
      tx.create('clusters', {
        id: 'c1',
        spec: { Name: 'default' },
        rootCa: { certPem: '', keyPem: 'x', lastForcedRotation: 0 },
        joinTokens: { worker: 'w', manager: 'm' },
        defaultAddressPools: ['10.0.0.0/8'],
        subnetSize: 24,
        dataPathPort: 4789,
        blacklistedCertificates: {},
      })
    })
    assert.equal((await app.inject('/swarm/unlockkey')).body, '{"UnlockKey":""}\n')
    const body = { EncryptionConfig: { AutoLockManagers: true } }
    const version = store.view.clusters.list()[0]?.version
    assert.equal(
      await refused(tested, `/swarm/update?version=${version}&rotateWorkerToken=maybe`, 'POST', body),
      '400 invalid value for rotateWorkerToken: maybe',
    )
    const updated = await app.inject({
      method: 'POST',
      url: `/swarm/update?version=${version}&rotateWorkerToken=false&rotateManagerToken=false&rotateManagerUnlockKey=false`,
      headers: json,
      payload: JSON.stringify(body),
    })
    assert.equal(`${updated.statusCode} ${updated.body}`, '200 ')
    assert.match(
      (await app.inject('/swarm/unlockkey')).body,
      /^\{"UnlockKey":"SWMKEY-1-[A-Za-z0-9+/]{43}"\}\n$/,
    )
    const { JoinTokens, DefaultAddrPool } = (await app.inject('/swarm')).json<Record<string, unknown>>()
    assert.deepEqual(JoinTokens, { Worker: 'w', Manager: 'm' })
    assert.deepEqual(DefaultAddrPool, ['10.0.0.0/8'])
  })
})
