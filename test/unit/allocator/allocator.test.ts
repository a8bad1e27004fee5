import assert from 'node:assert/strict'
import { test } from 'node:test'
import { allocatorLoop } from '../../../src/allocator/allocator.js'
import { vxlanIdsOption } from '../../../src/allocator/network-space.js'
import type { Service, Task } from '../../../src/model/objects.js'
import type { NetworkSpec, ServiceSpec } from '../../../src/model/spec/index.js'
import { TaskState } from '../../../src/model/task-state.js'
import { LoopRunner } from '../../../src/store/loop.js'
import type { Store, Tx } from '../../../src/store/store.js'
import { aNetwork, aNode, aService, aTask, newObject } from '../../lib/builders.js'
import { memoryStore } from '../../lib/memory-log.js'
import { settle, SimulatedEnv } from '../../lib/simulated-env.js'

const created = { state: TaskState.New, timestampMs: 0, message: 'created' } as const

function cluster() {
  const env = new SimulatedEnv()
  const { store, log } = memoryStore(env)
  let runner = new LoopRunner(env, store, [allocatorLoop])
  /** Until nothing is left to do. */
  const run = async () => {
    for (let turn = 0; turn < 20; turn++) {
      await env.advanceAsync(0)
      await settle()
    }
  }
  const restart = async () => {
    await runner.stop()
    runner = new LoopRunner(env, store, [allocatorLoop])
    runner.start()
    await run()
  }
  runner.start()
  const write = async (fn: (tx: Tx) => unknown) => {
    await store.update((tx) => void fn(tx))
    await run()
  }
  return { env, store, log, run, restart, write }
}

function createNetwork(tx: Tx, id: string, spec: NetworkSpec = {}): void {
  tx.create('networks', newObject(aNetwork({ id, spec: { Name: id, Driver: 'overlay', ...spec } })))
}

function createService(tx: Tx, id: string, spec: ServiceSpec): void {
  tx.create('services', newObject(aService({ id, spec: { Name: id, TaskTemplate: {}, ...spec } })))
}

function createTask(tx: Tx, id: string, serviceId: string, fields: Partial<Task> = {}): void {
  const spec = tx.services.get(serviceId)?.spec.TaskTemplate ?? {}
  tx.create('tasks', newObject(aTask({ spec, serviceId, status: created, ...fields, id })))
}

const joining = (...targets: string[]) => ({
  TaskTemplate: { Networks: targets.map((Target) => ({ Target })) },
})
const publishing = (PublishedPort = 0) => ({
  EndpointSpec: {
    Mode: 'vip',
    Ports: [{ TargetPort: 80, PublishedPort, Protocol: 'tcp', PublishMode: 'ingress' }],
  },
})
const vips = (service: Service | undefined) =>
  service?.endpoint?.virtualIPs.map(({ networkId, addr }) => `${networkId} ${addr}`)
const addresses = (store: Store, id: string) =>
  store.view.tasks.get(id)?.networks.map((network) => `${network.networkId} ${network.addresses.join()}`)

test('10.1 a new cluster: ingress comes first, nodes get an address on it, predefined networks none', async () => {
  const { store, write } = cluster()
  await write((tx) => {
    tx.create('nodes', newObject(aNode({ id: 'n1' })))
    createNetwork(tx, 'a-earlier-id')
    createNetwork(tx, 'ingress', { Ingress: true })
    createNetwork(tx, 'host', { Driver: 'host', Labels: { 'com.docker.swarm.predefined': 'true' } })
  })
  const networks = store.view.networks
  assert.deepEqual(networks.get('ingress')?.ipam?.configs, [{ subnet: '10.0.0.0/24', gateway: '10.0.0.1' }])
  assert.equal(networks.get('ingress')?.driverState?.options[vxlanIdsOption], '4096')
  assert.deepEqual(networks.get('a-earlier-id')?.ipam?.configs, [
    { subnet: '10.0.1.0/24', gateway: '10.0.1.1' },
  ])
  assert.deepEqual(networks.get('host')?.driverState, { name: 'host', options: {} })
  assert.deepEqual(store.view.nodes.get('n1')?.attachments, [
    { networkId: 'ingress', addresses: ['10.0.0.2/24'] },
  ])
})

test('10.2 a service and its tasks: VIPs, a port, addresses, aliases, PENDING', async () => {
  const { env, store, write } = cluster()
  await write((tx) => {
    createNetwork(tx, 'ingress', { Ingress: true })
    createNetwork(tx, 'web')
    const Networks = [{ Target: 'web', Aliases: ['www'] }, { Target: 'unknown' }]
    createService(tx, 's', { ...publishing(), TaskTemplate: { Networks } })
    createTask(tx, 't', 's')
  })
  const service = store.view.services.get('s')
  assert.deepEqual(vips(service), ['ingress 10.0.0.2/24', 'web 10.0.1.2/24'])
  assert.equal(service?.endpoint?.ports[0]?.PublishedPort, 30000)
  assert.equal(service.endpoint.spec.Ports?.[0]?.PublishedPort, 0)
  const task = store.view.tasks.get('t')
  assert.deepEqual(task?.status, {
    state: TaskState.Pending,
    timestampMs: env.nowMs(),
    message: 'pending task scheduling',
  })
  assert.deepEqual(task.networks, [
    { networkId: 'ingress', addresses: ['10.0.0.3/24'], aliases: [] },
    { networkId: 'web', addresses: ['10.0.1.3/24'], aliases: ['www'] },
  ])
  assert.deepEqual(task.endpoint, service.endpoint)
})

test('10.2 a plain service gets an empty endpoint, its tasks no networks', async () => {
  const { store, write } = cluster()
  await write((tx) => {
    createService(tx, 's', {})
    createTask(tx, 't', 's')
  })
  assert.deepEqual(store.view.services.get('s')?.endpoint, { spec: {}, ports: [], virtualIPs: [] })
  assert.equal(store.view.tasks.get('t')?.status.state, TaskState.Pending)
})

test('on the host network: joined, without address or VIP', async () => {
  const { store, write } = cluster()
  await write((tx) => {
    createNetwork(tx, 'host', { Driver: 'host', Labels: { 'com.docker.swarm.predefined': 'true' } })
    createService(tx, 's', joining('host'))
    createTask(tx, 't', 's')
  })
  assert.deepEqual(vips(store.view.services.get('s')), ['host '])
  assert.deepEqual(store.view.tasks.get('t')?.networks, [{ networkId: 'host', addresses: [], aliases: [] }])
})

test('10.6 an update keeps VIPs of networks that stay and frees the others; dnsrr has none', async () => {
  const { store, write } = cluster()
  const update = (spec: ServiceSpec) =>
    write((tx) => tx.update('services', 's', { spec: { Name: 's', TaskTemplate: {}, ...spec } }))
  await write((tx) => {
    for (const id of ['a', 'b', 'c']) createNetwork(tx, id)
    createService(tx, 's', joining('a', 'b'))
  })
  assert.deepEqual(vips(store.view.services.get('s')), ['a 10.0.0.2/24', 'b 10.0.1.2/24'])
  await update(joining('c', 'b'))
  assert.deepEqual(vips(store.view.services.get('s')), ['c 10.0.2.2/24', 'b 10.0.1.2/24'])
  await update({ ...joining('a', 'b'), EndpointSpec: { Mode: 'dnsrr' } })
  assert.deepEqual(vips(store.view.services.get('s')), [])
  await update(joining('b'))
  assert.deepEqual(vips(store.view.services.get('s')), ['b 10.0.1.3/24'])
})

test('a change that is not about the endpoint writes nothing', async () => {
  const { log, write } = cluster()
  await write((tx) => createService(tx, 's', publishing(8080)))
  const entries = log.entries.length
  await write((tx) =>
    tx.update('services', 's', {
      spec: { Name: 's', TaskTemplate: { ForceUpdate: 1 }, ...publishing(8080) },
    }),
  )
  assert.equal(log.entries.length, entries + 1)
})

test('10.3 a full network: its tasks say so, and go on when addresses are freed', async () => {
  const { store, write } = cluster()
  await write((tx) => {
    createNetwork(tx, 'tiny', { IPAM: { Config: [{ Subnet: '10.5.0.0/29' }] } })
    createService(tx, 's', joining('tiny'))
    for (const id of ['t1', 't2', 't3', 't4', 't5', 't6']) createTask(tx, id, 's')
  })
  const states = () => store.view.tasks.list().map(({ status }) => status.state)
  assert.deepEqual(states(), [64, 64, 64, 64, 0, 0])
  assert.equal(
    store.view.tasks.get('t6')?.status.err,
    "no available IPv4 addresses on this network's address pools: tiny (tiny)",
  )
  assert.equal(store.view.tasks.get('t6')?.status.message, 'created')
  await write((tx) => {
    tx.remove('tasks', 't1')
    tx.update('tasks', 't2', { status: { ...created, state: TaskState.Complete } })
  })
  assert.deepEqual(states(), [TaskState.Complete, 64, 64, 64, 64])
  assert.equal(store.view.tasks.get('t6')?.status.err, undefined)
  assert.deepEqual([addresses(store, 't5'), addresses(store, 't6')].flat(), [
    'tiny 10.5.0.3/29',
    'tiny 10.5.0.4/29',
  ])
})

test('10.3 a network that cannot be had: its tasks tell its reason, and run once the other one is gone', async () => {
  const { store, write } = cluster()
  await write((tx) => {
    createNetwork(tx, 'a', { IPAM: { Config: [{ Subnet: '10.7.0.0/16' }] } })
    createNetwork(tx, 'b', { IPAM: { Config: [{ Subnet: '10.7.1.0/24' }] } })
    createService(tx, 's', joining('b'))
    createTask(tx, 't', 's')
  })
  assert.equal(
    store.view.tasks.get('t')?.status.err,
    'network b: Pool overlaps with other one on this address space',
  )
  await write((tx) => tx.remove('networks', 'a'))
  assert.deepEqual(addresses(store, 't'), ['b 10.7.1.3/24'])
})

test('10.9 a port that another service chose meanwhile: tasks say so, and go on when it is free', async () => {
  const { store, write } = cluster()
  await write((tx) => createService(tx, 's1', publishing()))
  await write((tx) => {
    createService(tx, 's2', publishing(30000))
    createTask(tx, 't', 's2')
  })
  assert.equal(
    store.view.tasks.get('t')?.status.err,
    "port '30000' is already in use by service 's1' (s1) as an ingress port",
  )
  await write((tx) => tx.remove('services', 's1'))
  assert.equal(store.view.tasks.get('t')?.endpoint?.ports[0]?.PublishedPort, 30000)
})

test('10.7 a node has an address on each network that its tasks use, as long as one does', async () => {
  const { store, write } = cluster()
  await write((tx) => {
    tx.create('nodes', newObject(aNode({ id: 'n1' })))
    createNetwork(tx, 'web')
    createService(tx, 's', joining('web'))
    createTask(tx, 't1', 's')
    createTask(tx, 't2', 's')
  })
  const attachments = () => store.view.nodes.get('n1')?.attachments
  assert.deepEqual(attachments(), undefined)
  const assigned = { ...created, state: TaskState.Assigned }
  await write((tx) => {
    for (const id of ['t1', 't2']) tx.update('tasks', id, { nodeId: 'n1', status: assigned })
  })
  assert.deepEqual(attachments(), [{ networkId: 'web', addresses: ['10.0.0.5/24'] }])
  const stopped = { ...created, state: TaskState.Shutdown }
  await write((tx) => tx.update('tasks', 't1', { status: stopped }))
  assert.equal(attachments()?.length, 1)
  await write((tx) => tx.update('tasks', 't2', { status: stopped }))
  assert.deepEqual(attachments(), [])
})

test('nodes leave the last addresses to tasks', async () => {
  const { store, write } = cluster()
  await write((tx) => {
    createNetwork(tx, 'ingress', { Ingress: true, IPAM: { Config: [{ Subnet: '10.5.0.0/27' }] } })
    for (let at = 0; at < 40; at++) tx.create('nodes', newObject(aNode({ id: `n${at}` })))
    createService(tx, 's', publishing())
    createTask(tx, 't', 's')
  })
  const attached = store.view.nodes.list().filter(({ attachments }) => attachments?.length === 1)
  assert.ok(attached.length > 20 && attached.length < 29, String(attached.length))
  assert.equal(store.view.tasks.get('t')?.status.state, TaskState.Pending)
})

test('10.1 a new leader takes over exactly what is handed out', async () => {
  const { store, restart, write } = cluster()
  await write((tx) => {
    tx.create('nodes', newObject(aNode({ id: 'n1' })))
    createNetwork(tx, 'ingress', { Ingress: true })
    createNetwork(tx, 'web')
    createService(tx, 's', { ...publishing(), ...joining('web') })
    createTask(tx, 't1', 's')
  })
  const before = JSON.stringify([
    store.view.networks.list(),
    store.view.services.list(),
    store.view.tasks.list(),
  ])
  await restart()
  const after = JSON.stringify([
    store.view.networks.list(),
    store.view.services.list(),
    store.view.tasks.list(),
  ])
  assert.equal(after, before)
  await write((tx) => {
    createNetwork(tx, 'other')
    createService(tx, 'u', { ...publishing(), ...joining('web') })
    createTask(tx, 't2', 's')
  })
  assert.equal(store.view.networks.get('other')?.driverState?.options[vxlanIdsOption], '4098')
  assert.equal(store.view.services.get('u')?.endpoint?.ports[0]?.PublishedPort, 30001)
  const all = [
    ...store.view.services.list().flatMap((service) => vips(service) ?? []),
    addresses(store, 't1'),
    addresses(store, 't2'),
  ].flat()
  assert.equal(new Set(all).size, all.length, String(all))
})

test('allocations of a lost leader are taken back', async () => {
  const { store, log, run, restart, write } = cluster()
  await write((tx) => {
    createNetwork(tx, 'web')
    createService(tx, 's', joining('web'))
  })
  log.held = true
  const creating = store.update((tx) => createTask(tx, 't', 's'))
  log.commit()
  await creating
  await run()
  assert.equal(store.view.tasks.get('t')?.status.state, TaskState.New)
  log.lose()
  store.leadershipLost()
  log.held = false
  await restart()
  assert.deepEqual(addresses(store, 't'), ['web 10.0.0.3/24'])
})

test('what was handed out for a write that the log refused is free again', async () => {
  const { env, store, log, run, write } = cluster()
  await write((tx) => {
    createNetwork(tx, 'web')
    createService(tx, 's', joining('web'))
  })
  await store.update((tx) => createTask(tx, 't', 's'))
  log.leads = false
  await env.advanceAsync(0)
  log.leads = true
  await env.advanceAsync(1000)
  await run()
  assert.deepEqual(addresses(store, 't'), ['web 10.0.0.3/24'])
})

test('10.9 tasks that are not to run any more, or whose service is gone, get nothing', async () => {
  const { store, write } = cluster()
  await write((tx) => {
    createService(tx, 's', {})
    createTask(tx, 't1', 's', { desiredState: TaskState.Shutdown })
    createTask(tx, 't2', 'gone')
  })
  assert.deepEqual(
    store.view.tasks.list().map(({ status }) => status.state),
    [TaskState.New, TaskState.New],
  )
})
