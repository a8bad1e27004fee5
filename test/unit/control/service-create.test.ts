import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Fixture, aSpec } from './fixture.js'

test('12.1 a minimal service is stored as Docker shows it', async () => {
  const fixture = new Fixture()
  const service = await fixture.addService({
    Name: 'demo',
    TaskTemplate: { ContainerSpec: { Image: 'busybox:latest' } },
  })
  assert.equal(
    JSON.stringify(service.spec),
    '{"Name":"demo","Labels":{},"TaskTemplate":{"ContainerSpec":{"Image":"busybox:latest","Isolation":"default"},"ForceUpdate":0,"Runtime":"container"},"Mode":{"Replicated":{"Replicas":1}}}',
  )
  assert.match(service.id, /^[0-9a-z]{25}$/)
  assert.equal(service.specVersion, 0)
  assert.equal(service.jobStatus, undefined)
  assert.equal(service.createdAtMs, fixture.env.nowMs())
})

test('12.1 defaults stand where the user was silent, and empty members stay', async () => {
  const fixture = new Fixture()
  await fixture.addIngress()
  const { spec } = await fixture.addService(
    aSpec(
      {
        UpdateConfig: { Delay: 0 },
        EndpointSpec: { Ports: [{ TargetPort: 81, Protocol: 'zz', PublishMode: 'yy' }] },
      },
      { Init: false, DNSConfig: {}, TTY: false, Env: [], Mounts: [{ Target: '/a', Source: '/b' }] },
      { Resources: { Limits: {} }, Placement: {}, RestartPolicy: { Delay: 0 } },
    ),
  )
  assert.deepEqual(spec.TaskTemplate, {
    ContainerSpec: {
      Image: 'busybox',
      Init: false,
      Mounts: [{ Type: 'bind', Source: '/b', Target: '/a' }],
      DNSConfig: {},
      Isolation: 'default',
    },
    Resources: { Limits: {} },
    RestartPolicy: { Condition: 'any', Delay: 0, MaxAttempts: 0 },
    Placement: {},
    ForceUpdate: 0,
    Runtime: 'container',
  })
  assert.deepEqual(spec.UpdateConfig, {
    Parallelism: 0,
    FailureAction: 'pause',
    MaxFailureRatio: 0,
    Order: 'stop-first',
  })
  assert.deepEqual(spec.EndpointSpec, {
    Mode: 'vip',
    Ports: [{ Protocol: 'tcp', TargetPort: 81, PublishMode: 'ingress' }],
  })
})

test('12.1 modes get their counts', async () => {
  const fixture = new Fixture()
  const modeOf = async (Name: string, Mode: object) =>
    (await fixture.addService(aSpec({ Name, Mode }))).spec.Mode
  assert.deepEqual(await modeOf('a', { Replicated: {} }), { Replicated: { Replicas: 1 } })
  assert.deepEqual(await modeOf('b', { Replicated: { Replicas: 0 } }), { Replicated: { Replicas: 0 } })
  assert.deepEqual(await modeOf('c', { ReplicatedJob: {} }), {
    ReplicatedJob: { MaxConcurrent: 1, TotalCompletions: 1 },
  })
  assert.deepEqual(await modeOf('d', { ReplicatedJob: { MaxConcurrent: 3 } }), {
    ReplicatedJob: { MaxConcurrent: 3, TotalCompletions: 3 },
  })
  assert.deepEqual(await modeOf('e', { Global: {} }), { Global: {} })
})

test('5.1 a job starts at iteration 0', async () => {
  const fixture = new Fixture()
  const { jobStatus } = await fixture.addService(aSpec({ Mode: { GlobalJob: {} } }))
  assert.deepEqual(jobStatus, { iteration: 0, lastExecutionMs: fixture.env.nowMs() })
})

test('a service without a name gets one, and every one its own', async () => {
  const fixture = new Fixture()
  const names = new Set<string>()
  for (let i = 0; i < 50; i++) {
    const { spec } = await fixture.addService({ TaskTemplate: { ContainerSpec: { Image: 'busybox' } } })
    assert.match(spec.Name ?? '', /^[a-z]+_[a-z]+\d*$/)
    names.add(spec.Name ?? '')
  }
  assert.equal(names.size, 50)
})

test('12.5 networks by name or prefix become IDs', async () => {
  const fixture = new Fixture()
  const { id } = await fixture.control.createNetwork({ spec: { Name: 'back' } })
  const { spec } = await fixture.addService(aSpec({}, {}, { Networks: [{ Target: 'back', Aliases: ['x'] }] }))
  assert.deepEqual(spec.TaskTemplate?.Networks, [{ Target: id, Aliases: ['x'] }])
  const old = await fixture.addService(aSpec({ Name: 'old', Networks: [{ Target: id.slice(0, 8) }] }))
  assert.deepEqual(old.spec.Networks, [{ Target: id }])
})

test('references to what is there are accepted, and credentials kept out of the spec', async () => {
  const fixture = new Fixture()
  const { id: secretId } = await fixture.control.createSecret({ spec: { Name: 's', Data: 'YQ==' } })
  const service = await fixture.addService(
    aSpec(
      {},
      {
        Secrets: [{ SecretID: secretId, SecretName: 's', File: { Name: 's', UID: '0', GID: '0', Mode: 0 } }],
      },
    ),
    'token',
  )
  assert.equal(service.registryAuth, 'token')
  assert.doesNotMatch(JSON.stringify(service.spec), /token/)
})

test('options of a bind mount that say nothing are dropped', async () => {
  const fixture = new Fixture()
  const optionsOf = async (Name: string, BindOptions: object) => {
    const mount = { Type: 'bind', Source: '/a', Target: '/b', Consistency: 'cached', BindOptions }
    const { spec } = await fixture.addService(aSpec({ Name }, { Mounts: [mount] }))
    return spec.TaskTemplate?.ContainerSpec?.Mounts?.[0]
  }
  const mount = { Type: 'bind', Source: '/a', Target: '/b' }
  assert.deepEqual(await optionsOf('a', {}), mount)
  assert.deepEqual(await optionsOf('b', { NonRecursive: true }), {
    ...mount,
    BindOptions: { Propagation: 'rprivate', NonRecursive: true },
  })
  assert.deepEqual(await optionsOf('c', { Propagation: 'RShared' }), {
    ...mount,
    BindOptions: { Propagation: 'rshared' },
  })
})

test('what belongs to other runtimes is dropped, and so are preferences without a kind', async () => {
  const fixture = new Fixture()
  const { spec } = await fixture.addService(
    aSpec({}, {}, { PluginSpec: { name: 'x' }, NetworkAttachmentSpec: {}, Placement: { Preferences: [{}] } }),
  )
  assert.deepEqual(Object.keys(spec.TaskTemplate ?? {}), [
    'ContainerSpec',
    'Placement',
    'ForceUpdate',
    'Runtime',
  ])
  assert.deepEqual(spec.TaskTemplate?.Placement, {})
})
