import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ErrorCode } from '../../../src/model/errors.js'
import type { ServiceSpec } from '../../../src/model/spec/index.js'
import { Fixture, aSpec, assertFails, assertRpcFails } from './fixture.js'

interface Case {
  readonly spec: ServiceSpec
  readonly code?: ErrorCode
  readonly text: string
}

const secretFile = { UID: '0', GID: '0', Mode: 292 }
const secret = (name: string, file?: string) => ({
  SecretID: `id-${name}`,
  SecretName: name,
  ...(file !== undefined && { File: { Name: file, ...secretFile } }),
})
const config = (name: string, file?: string) => ({
  ConfigID: `id-${name}`,
  ConfigName: name,
  ...(file !== undefined && { File: { Name: file, ...secretFile } }),
})
const port = (more: object) => ({ TargetPort: 80, PublishedPort: 8080, ...more })

/** What the engine refuses before its cluster sees it: no prefix. */
const engineCases: readonly Case[] = [
  { spec: {}, text: 'mismatched Runtime and *Spec fields' },
  { spec: { TaskTemplate: { Runtime: 'container' } }, text: 'mismatched Runtime and *Spec fields' },
  { spec: { TaskTemplate: { Runtime: 'plugin' } }, text: 'mismatched Runtime and *Spec fields' },
  {
    spec: { TaskTemplate: { Runtime: 'attachment', NetworkAttachmentSpec: { ContainerID: 'x' } } },
    text: 'unsupported runtime',
  },
  {
    spec: { TaskTemplate: { Runtime: 'plugin', PluginSpec: { name: 'x', remote: 'y' } } },
    code: 'Unknown',
    text: 'runtime type "plugin" only supported in experimental',
  },
  {
    spec: { TaskTemplate: { Runtime: 'plugin', PluginSpec: {} }, Mode: { Replicated: {} } },
    text: 'plugins must not use replicated mode',
  },
  {
    spec: aSpec({ Mode: { Global: {}, Replicated: { Replicas: 1 } } }),
    text: 'must specify only one service mode',
  },
  {
    spec: aSpec({}, {}, { RestartPolicy: { Condition: 'sometimes' } }),
    text: 'invalid RestartCondition: "sometimes"',
  },
  {
    spec: aSpec({ UpdateConfig: { FailureAction: 'explode' } }),
    text: 'unrecognized update failure action explode',
  },
  { spec: aSpec({ RollbackConfig: { Order: 'both' } }), text: 'unrecognized update order both' },
  { spec: aSpec({ EndpointSpec: { Mode: 'magic' } }), text: 'invalid resolution mode: "magic"' },
  { spec: aSpec({}, { Mounts: [{ Type: 'weird', Target: '/a' }] }), text: 'invalid MountType: "weird"' },
  {
    spec: aSpec({}, { Mounts: [{ Type: 'bind', BindOptions: { Propagation: 'up' } }] }),
    text: 'invalid MountPropagation: "up"',
  },
  {
    spec: aSpec({}, { Configs: [config('s')] }),
    text: 'invalid Config: either File or Runtime should be set',
  },
  {
    spec: aSpec({}, { Privileges: { CredentialSpec: {} } }),
    text: 'invalid CredentialSpec: must either provide "file", "registry", or "config" for credential spec',
  },
  {
    spec: aSpec({}, { Privileges: { CredentialSpec: { File: 'a', Registry: 'b' } } }),
    text: 'invalid CredentialSpec: cannot specify both "file" and "registry" credential specs',
  },
  {
    spec: aSpec({}, { Privileges: { CredentialSpec: { File: 'a', Registry: 'b', Config: 'c' } } }),
    text: 'invalid CredentialSpec: cannot specify both "config", "file", and "registry" credential specs',
  },
  {
    spec: aSpec({}, { Configs: [{ ...config('s', 's'), Runtime: {} }] }),
    text: 'invalid Config: cannot specify both File and Runtime',
  },
  {
    spec: aSpec({}, {}, { Resources: { SwapBytes: 5 } }),
    text: 'memory swap provided, but no memory-limit was set',
  },
  {
    spec: aSpec({}, {}, { Networks: [{ Target: 'nonet' }] }),
    code: 'Unknown',
    text: 'network nonet not found',
  },
  {
    spec: aSpec({ Networks: [{ Target: 'docker_gwbridge' }] }),
    code: 'PermissionDenied',
    text: 'The network docker_gwbridge cannot be used with services. Only networks scoped to the swarm can be used, such as those created with the overlay driver.',
  },
  {
    spec: aSpec({}, {}, { Networks: [{ Target: 'none' }] }),
    code: 'NotFound',
    text: 'could not find the corresponding predefined swarm network: network none not found',
  },
  {
    spec: aSpec({ Labels: { 'skep.nonsense': '1' } }),
    text: 'unknown label skep.nonsense; known labels of services: skep.affinity, skep.anti-affinity, skep.placement.strategy, skep.rebalance; of containers: skep.sim.exit, skep.sim.health, skep.sim.log, skep.sim.pull, skep.sim.start, skep.sim.stop',
  },
  {
    spec: aSpec({}, { Labels: { 'skep.sim.stop': 'soon' } }),
    text: 'invalid label skep.sim.stop=soon: want a duration such as 2s',
  },
]

/** What the cluster refuses. */
const clusterCases: readonly Case[] = [
  { spec: aSpec({ Name: 'demo x' }), text: 'name must be valid as a DNS name component' },
  { spec: aSpec({ Name: 'demo.a_b' }), text: 'name must be valid as a DNS name component' },
  { spec: aSpec({ Name: 'a'.repeat(64) }), text: 'name must be 63 characters or fewer' },
  {
    spec: aSpec({}, {}, { Resources: { Limits: { NanoCPUs: 1 } } }),
    text: 'invalid cpu value 1e-09: Must be at least 0.001',
  },
  {
    spec: aSpec({}, {}, { Resources: { Reservations: { NanoCPUs: 500_000 } } }),
    text: 'invalid cpu value 0.0005: Must be at least 0.001',
  },
  {
    spec: aSpec({}, {}, { Resources: { Limits: { NanoCPUs: -2e9 } } }),
    text: 'invalid cpu value -2: Must be at least 0.001',
  },
  {
    spec: aSpec({}, {}, { Resources: { Limits: { MemoryBytes: 1 } } }),
    text: 'invalid memory value 1: Must be at least 4MiB',
  },
  {
    spec: aSpec(
      {},
      {},
      {
        Resources: {
          Reservations: { GenericResources: [{ DiscreteResourceSpec: { Kind: 'GPU', Value: -1 } }] },
        },
      },
    ),
    text: 'invalid argument for resource GPU',
  },
  {
    spec: aSpec({}, {}, { RestartPolicy: { Delay: -1 } }),
    text: 'TaskSpec: restart-delay cannot be negative',
  },
  {
    spec: aSpec({}, {}, { RestartPolicy: { Window: -1 } }),
    text: 'TaskSpec: restart-window cannot be negative',
  },
  {
    spec: aSpec({}, {}, { Placement: { Constraints: ['foo'] } }),
    code: 'Unknown',
    text: 'constraint expected one operator from ==, !=',
  },
  {
    spec: aSpec({}, {}, { Placement: { Constraints: ['1x==a'] } }),
    code: 'Unknown',
    text: "key '1x' is invalid",
  },
  { spec: aSpec({}, { Secrets: [{ SecretName: 's' }] }), text: 'malformed secret reference' },
  { spec: aSpec({}, { Secrets: [secret('s')] }), text: 'malformed secret reference, no target provided' },
  {
    spec: aSpec({}, { Secrets: [secret('s', '')] }),
    text: 'malformed file secret reference, invalid target file name provided',
  },
  {
    spec: aSpec({}, { Secrets: [secret('a', 'x'), secret('b', 'x')] }),
    text: "secret references 'a' and 'b' have a conflicting target: 'x'",
  },
  { spec: aSpec({}, { Configs: [{ ConfigID: 'a', Runtime: {} }] }), text: 'malformed config reference' },
  {
    spec: aSpec({}, { Configs: [config('a', 'x'), config('b', 'x')] }),
    text: "config references 'a' and 'b' have a conflicting target: 'x'",
  },
  {
    spec: aSpec({}, { Privileges: { CredentialSpec: { Config: 'cfg' } }, Configs: [config('cfg', 'x')] }),
    text: "CredentialSpec references config 'cfg', but that config isn't in config references with RuntimeTarget",
  },
  { spec: aSpec({}, { Image: '' }), text: 'ContainerSpec: image reference must be provided' },
  {
    spec: aSpec({}, { Image: 'BAD Image' }),
    text: 'ContainerSpec: "BAD Image" is not a valid repository/tag',
  },
  {
    spec: aSpec({}, { Mounts: [{ Target: '/a' }, { Target: '/a' }] }),
    text: 'ContainerSpec: duplicate mount point: /a',
  },
  ...(['Interval', 'Timeout', 'StartPeriod', 'StartInterval'] as const).map((name) => ({
    spec: aSpec({}, { Healthcheck: { [name]: 5 } }),
    text: `ContainerSpec: ${name} in HealthConfig cannot be less than 1ms`,
  })),
  {
    spec: aSpec({}, { Healthcheck: { Retries: -1 } }),
    text: 'ContainerSpec: Retries in HealthConfig cannot be negative',
  },
  {
    spec: aSpec({}, { Env: ['A={{.Nope}}'] }),
    text: `expanding env failed: expanding env "A={{.Nope}}": template: expansion:1:2: executing "expansion" at <.Nope>: can't evaluate field Nope in type *template.Context`,
  },
  {
    spec: aSpec({ Mode: { Replicated: { Replicas: -1 } } }),
    text: 'Number of replicas must be non-negative',
  },
  {
    spec: aSpec({ Mode: { ReplicatedJob: { MaxConcurrent: -1 } } }),
    text: 'Maximum concurrent jobs must not be negative',
  },
  {
    spec: aSpec({ Mode: { ReplicatedJob: { TotalCompletions: -1 } } }),
    text: 'Total completed jobs must not be negative',
  },
  {
    spec: aSpec({ Mode: { ReplicatedJob: {} }, UpdateConfig: { Parallelism: 1 } }),
    text: 'Jobs may not have an update config',
  },
  { spec: aSpec({ UpdateConfig: { Delay: -1 } }), text: 'TaskSpec: update-delay cannot be negative' },
  { spec: aSpec({ UpdateConfig: { Monitor: -1 } }), text: 'TaskSpec: update-monitor cannot be negative' },
  {
    spec: aSpec({ UpdateConfig: { MaxFailureRatio: 3 } }),
    text: 'TaskSpec: update-maxfailureratio cannot be less than 0 or bigger than 1',
  },
  {
    spec: aSpec({ RollbackConfig: { MaxFailureRatio: -0.5 } }),
    text: 'TaskSpec: rollback-maxfailureratio cannot be less than 0 or bigger than 1',
  },
  {
    spec: aSpec({ EndpointSpec: { Mode: 'dnsrr', Ports: [port({})] } }),
    text: "EndpointSpec: port published with ingress mode can't be used with dnsrr mode",
  },
  {
    spec: aSpec({ EndpointSpec: { Ports: [port({}), port({ TargetPort: 81, PublishMode: 'host' })] } }),
    text: 'EndpointSpec: duplicate published ports provided',
  },
  {
    spec: aSpec({ EndpointSpec: { Ports: [port({})] } }),
    code: 'FailedPrecondition',
    text: 'service needs ingress network, but no ingress network is present',
  },
  { spec: aSpec({}, { Secrets: [secret('s', 's')] }), text: 'secret not found: s' },
  {
    spec: aSpec({}, { Secrets: [secret('a', 'x'), secret('b', 'y')] }),
    text: 'secrets not found: a, b',
  },
  { spec: aSpec({}, { Configs: [config('c', 'c')] }), text: 'config not found: c' },
]

async function newFixture(): Promise<Fixture> {
  const local = ['docker_gwbridge', 'none']
  return new Fixture({
    findLocalNetwork: (name) => Promise.resolve(local.find((one) => one === name)),
  })
}

for (const { spec, code = 'InvalidArgument', text } of engineCases) {
  test(`12.2 create is refused: ${text.slice(0, 80)}`, async () => {
    const { control, store } = await newFixture()
    await assertFails(control.createService({ spec }), code, text)
    assert.equal(store.view.services.size, 0)
  })
}

for (const { spec, code = 'InvalidArgument', text } of clusterCases) {
  test(`12.3 create is refused by the cluster: ${text.slice(0, 80)}`, async () => {
    const { control, store } = await newFixture()
    await assertRpcFails(control.createService({ spec }), code, text)
    assert.equal(store.view.services.size, 0)
  })
}

test('1.6 a name is taken whatever its case', async () => {
  const fixture = new Fixture()
  await fixture.addService(aSpec())
  await assertRpcFails(
    fixture.control.createService({ spec: aSpec({ Name: 'WEB' }) }),
    'AlreadyExists',
    'name conflicts with an existing object: service WEB already exists',
  )
})

test('the ingress network is no network to ask for', async () => {
  const fixture = new Fixture()
  await fixture.addIngress()
  const text = 'Service cannot be explicitly attached to the ingress network "ingress"'
  for (const spec of [
    aSpec({ Networks: [{ Target: 'ingress' }] }),
    aSpec({}, {}, { Networks: [{ Target: 'ingress' }] }),
  ]) {
    await assertRpcFails(fixture.control.createService({ spec }), 'InvalidArgument', text)
  }
})

test('12.3 a published port is one service’s, except between host modes', async () => {
  const fixture = new Fixture()
  await fixture.addIngress()
  const publish = (Name: string, number: number, more: object = {}) =>
    fixture.addService(aSpec({ Name, EndpointSpec: { Ports: [port({ PublishedPort: number, ...more })] } }))
  const ingress = await publish('one', 8081)
  const host = await publish('two', 8082, { PublishMode: 'host' })
  const inUse = (number: number, { spec, id }: typeof host, as: string) =>
    `port '${number}' is already in use by service '${spec.Name}' (${id}) as ${as}`
  await assertRpcFails(publish('x', 8081), 'InvalidArgument', inUse(8081, ingress, 'an ingress port'))
  await assertRpcFails(
    publish('x', 8081, { PublishMode: 'host' }),
    'InvalidArgument',
    inUse(8081, ingress, 'an ingress port'),
  )
  await assertRpcFails(publish('x', 8082), 'InvalidArgument', inUse(8082, host, 'a host-published port'))
  await publish('three', 8082, { PublishMode: 'host' })
  await publish('four', 8081, { Protocol: 'udp' })
})

test('a port that the allocator gave is taken, too', async () => {
  const fixture = new Fixture()
  await fixture.addIngress()
  const { id } = await fixture.addService(aSpec({ EndpointSpec: { Ports: [{ TargetPort: 80 }] } }))
  await fixture.write((tx) =>
    tx.update('services', id, {
      endpoint: {
        spec: {},
        ports: [{ Protocol: 'tcp', TargetPort: 80, PublishedPort: 30000, PublishMode: 'ingress' }],
        virtualIPs: [],
      },
    }),
  )
  await assertRpcFails(
    fixture.control.createService({
      spec: aSpec({ Name: 'x', EndpointSpec: { Ports: [port({ PublishedPort: 30000 })] } }),
    }),
    'InvalidArgument',
    `port '30000' is already in use by service 'web' (${id}) as an ingress port`,
  )
})
