import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ErrorCode } from '../../../src/model/errors.js'
import { predefinedNetworkLabel } from '../../../src/model/objects.js'
import type { NetworkSpec } from '../../../src/model/spec/index.js'
import { TaskState } from '../../../src/model/task-state.js'
import { Fixture, aSpec, assertFails, assertRpcFails } from './fixture.js'

const ipam = (config: object): NetworkSpec => ({ Name: 'x', IPAM: { Config: [config] } })
const subnet = 'ipam configuration: subnet 10.60.0.0/24 does not contain'

const refused: readonly { spec: NetworkSpec; code?: ErrorCode; text: string; rpc?: false }[] = [
  { spec: {}, text: 'meta: name must be provided' },
  { spec: { Name: 'demo x' }, text: 'name must be valid as a DNS name component' },
  {
    spec: { Name: 'INGRESS' },
    code: 'AlreadyExists',
    text: 'network with name INGRESS already exists',
    rpc: false,
  },
  {
    spec: { Name: 'none' },
    code: 'PermissionDenied',
    text: 'none is a pre-defined network and cannot be created',
    rpc: false,
  },
  { spec: { Name: 'x', Driver: 'nosuch' }, code: 'NotFound', text: 'plugin "nosuch" not found', rpc: false },
  { spec: { Name: 'x', Ingress: true, Attachable: true }, text: 'ingress network cannot be attachable' },
  {
    spec: { Name: 'x', Ingress: true, Driver: 'bridge' },
    code: 'Unimplemented',
    text: 'only overlay driver is currently supported for ingress network',
  },
  {
    spec: { Name: 'x', Ingress: true },
    code: 'AlreadyExists',
    text: 'ingress network (ingressid) is already present',
  },
  {
    spec: { Name: 'x', Labels: { [predefinedNetworkLabel]: 'true' } },
    code: 'PermissionDenied',
    text: 'label com.docker.swarm.predefined is for internally created predefined networks and cannot be applied by users',
  },
  { spec: { Name: 'x', IPAM: { Driver: 'nosuch' } }, text: 'error during lookup of plugin nosuch' },
  { spec: ipam({ Subnet: 'zz' }), text: 'ipam configuration: invalid subnet zz' },
  { spec: ipam({ Subnet: '10.0.0.0/33' }), text: 'ipam configuration: invalid subnet 10.0.0.0/33' },
  { spec: ipam({ Subnet: '10.60.0.0/24', IPRange: 'zz' }), text: 'ipam configuration: invalid range zz' },
  { spec: ipam({ Subnet: '10.60.0.0/24', IPRange: '10.61.0.0/25' }), text: `${subnet} range 10.61.0.0/25` },
  { spec: ipam({ Subnet: '10.60.0.0/24', Gateway: 'zz' }), text: 'ipam configuration: invalid gateway zz' },
  { spec: ipam({ Subnet: '10.60.0.0/24', Gateway: '10.61.0.1' }), text: `${subnet} gateway 10.61.0.1` },
]

for (const { spec, code = 'InvalidArgument', text, rpc = true } of refused) {
  test(`network create is refused: ${text}`, async () => {
    const f = new Fixture()
    await f.addIngress()
    const assertRefused = rpc ? assertRpcFails : assertFails
    await assertRefused(f.control.createNetwork({ spec }), code, text)
    assert.equal(f.store.view.networks.size, 1)
  })
}

test('a network is stored with what Docker fills in', async () => {
  const f = new Fixture()
  const { id } = await f.control.createNetwork({
    spec: { Name: 'back', Attachable: true, IPAM: { Config: [{ Subnet: 'fd00::/64', Gateway: 'fd00::1' }] } },
  })
  assert.deepEqual(f.get('networks', id).spec, {
    Name: 'back',
    Driver: 'overlay',
    Scope: 'swarm',
    Attachable: true,
    EnableIPv4: true,
    EnableIPv6: false,
    IPAM: { Config: [{ Subnet: 'fd00::/64', Gateway: 'fd00::1' }] },
  })
})

test('13.6 a network in use cannot be removed', async () => {
  const f = new Fixture()
  const { id } = await f.control.createNetwork({ spec: { Name: 'back' } })
  const service = await f.addService(aSpec({}, {}, { Networks: [{ Target: 'back' }] }))
  const remove = () => f.control.removeNetwork({ id: 'back' })
  await assertRpcFails(remove(), 'FailedPrecondition', `network ${id} is in use by service ${service.id}`)
  await f.write((tx) => {
    tx.create('tasks', {
      id: 'task1',
      spec: {},
      slot: 1,
      serviceId: service.id,
      serviceAnnotations: { name: 'web', labels: {} },
      status: { state: TaskState.Running, timestampMs: 0, message: '' },
      desiredState: TaskState.Running,
      networks: [{ networkId: id, addresses: [], aliases: [] }],
    })
    tx.remove('services', service.id)
  })
  await assertRpcFails(remove(), 'FailedPrecondition', `network ${id} is in use by task task1`)
  await f.write((tx) => tx.update('tasks', 'task1', { desiredState: TaskState.Remove }))
  await remove()
  await assertFails(remove(), 'NotFound', 'network back not found')
})

test('13.6 ingress goes only when no service needs it, the predefined ones never', async () => {
  const f = new Fixture()
  await f.addIngress()
  const service = await f.addService(aSpec({ EndpointSpec: { Ports: [{ TargetPort: 80 }] } }))
  await f.addService(aSpec({ Name: 'quiet' }))
  await assertRpcFails(
    f.control.removeNetwork({ id: 'ingress' }),
    'FailedPrecondition',
    `ingress network cannot be removed because service ${service.id} depends on it`,
  )
  await f.control.removeService({ id: 'web' })
  await f.control.removeNetwork({ id: 'ingress' })
  await f.write((tx) =>
    tx.create('networks', {
      id: 'hostid',
      spec: { Name: 'host', Labels: { [predefinedNetworkLabel]: 'true' } },
    }),
  )
  await assertRpcFails(
    f.control.removeNetwork({ id: 'host' }),
    'FailedPrecondition',
    'network hostid (host) is a swarm predefined network and cannot be removed',
  )
})
