import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test, type TestContext } from 'node:test'
import { predefinedNetworkLabel, type Network, type Service, type Task } from '../../src/model/objects.js'
import type { ServiceSpec, TaskSpec } from '../../src/model/spec/index.js'
import { parseTaskState, TaskState } from '../../src/model/task-state.js'
import { formatTime, parseTime } from '../../src/model/time.js'
import { encodeEvent, toEvent } from '../../src/events/event.js'
import type { Tables, TableName } from '../../src/model/objects.js'
import { testApp, type TestApp } from '../unit/routes/fake-backend.js'

/**
 * Objects that a real dockerd 20.10.24 showed, put into the store as Skep holds them, must come out of the
 * API as they went in.
 */

interface Exchange {
  readonly request: {
    readonly method: 'GET' | 'POST' | 'DELETE'
    readonly path: string
    readonly body?: unknown
  }
  readonly response: {
    readonly status: number
    readonly headers: Record<string, string>
    readonly body?: unknown
  }
}

function readCapture(name: string): {
  readonly exchanges: readonly Exchange[]
  readonly [key: string]: unknown
} {
  const path = join(process.cwd(), 'test/conformance/captures', `${name}.json`)
  return JSON.parse(readFileSync(path, 'utf8')) as { exchanges: readonly Exchange[] }
}

/** What the first request of a capture was answered. */
function firstBody(name: string): unknown {
  const [first] = readCapture(name).exchanges
  assert.ok(first, name)
  return first.response.body
}

/** Times are kept to the millisecond. */
function toMilliseconds<T>(value: T): T {
  return JSON.parse(JSON.stringify(value), (_name, member: unknown) =>
    typeof member === 'string' && /^20\d\d-\d\d-\d\dT[\d:.]+Z$/.test(member)
      ? formatTime(parseTime(member))
      : member,
  ) as T
}

/** The JSON text as Go wrote it, but for times: the order of members counts, too. */
function assertSameJson(actual: string, expected: unknown): void {
  assert.equal(
    JSON.stringify(toMilliseconds(JSON.parse(actual)), undefined, 1),
    JSON.stringify(toMilliseconds(expected), undefined, 1),
  )
}

interface Head {
  readonly ID: string
  readonly Version: { readonly Index?: number }
  readonly CreatedAt: string
  readonly UpdatedAt: string
}

function meta(head: Head) {
  return {
    id: head.ID,
    version: head.Version.Index ?? 0,
    createdAtMs: parseTime(head.CreatedAt) ?? 0,
    updatedAtMs: parseTime(head.UpdatedAt) ?? 0,
  }
}

interface DockerService extends Head {
  readonly Spec: ServiceSpec
  readonly Endpoint: {
    readonly Spec: object
    readonly Ports?: Service['endpoint'] extends infer E ? (E extends { ports: infer P } ? P : never) : never
    readonly VirtualIPs?: readonly { readonly NetworkID: string; readonly Addr?: string }[]
  }
  readonly JobStatus?: { readonly JobIteration: { readonly Index?: number }; readonly LastExecution: string }
}

function fromService(shown: DockerService): Service {
  const { Endpoint: endpoint, JobStatus: job } = shown
  const hasEndpoint = Object.keys(endpoint.Spec).length > 0
  return {
    ...meta(shown),
    spec: shown.Spec,
    specVersion: 0,
    ...(hasEndpoint && {
      endpoint: {
        spec: endpoint.Spec,
        ports: endpoint.Ports ?? [],
        virtualIPs: (endpoint.VirtualIPs ?? []).map(({ NetworkID, Addr = '' }) => ({
          networkId: NetworkID,
          addr: Addr,
        })),
      },
    }),
    ...(job !== undefined && {
      jobStatus: {
        iteration: job.JobIteration.Index ?? 0,
        lastExecutionMs: parseTime(job.LastExecution) ?? 0,
      },
    }),
  }
}

interface DockerNetwork extends Head {
  readonly Spec: {
    readonly Name: string
    readonly Labels: Record<string, string>
    readonly DriverConfiguration: { readonly Name?: string }
    readonly Attachable?: boolean
    readonly Ingress?: boolean
    readonly IPAMOptions?: { readonly Driver: { readonly Name?: string } }
  }
  readonly DriverState: { readonly Name: string; readonly Options: Record<string, string> }
  readonly IPAMOptions: {
    readonly Driver: { readonly Name: string }
    readonly Configs: readonly { readonly Subnet: string; readonly Gateway: string }[]
  }
}

function fromNetwork(shown: DockerNetwork): Network {
  const { Spec: spec, DriverState: state, IPAMOptions: ipam } = shown
  return {
    ...meta(shown),
    spec: {
      Name: spec.Name,
      Labels: spec.Labels,
      Driver: spec.DriverConfiguration.Name ?? 'overlay',
      ...(spec.Attachable !== undefined && { Attachable: spec.Attachable }),
      ...(spec.Ingress !== undefined && { Ingress: spec.Ingress }),
      ...(spec.IPAMOptions !== undefined && {
        IPAM: spec.IPAMOptions.Driver.Name === undefined ? {} : { Driver: spec.IPAMOptions.Driver.Name },
      }),
    },
    driverState: { name: state.Name, options: state.Options },
    ipam: {
      driver: ipam.Driver.Name,
      configs: ipam.Configs.map(({ Subnet, Gateway }) => ({ subnet: Subnet, gateway: Gateway })),
    },
  }
}

interface DockerTask extends Head {
  readonly Spec: TaskSpec
  readonly ServiceID?: string
  readonly Slot?: number
  readonly NodeID: string
  readonly Status: {
    readonly Timestamp: string
    readonly State: string
    readonly Message: string
    readonly ContainerStatus?: {
      readonly ContainerID: string
      readonly PID: number
      readonly ExitCode: number
    }
  }
  readonly DesiredState: string
  readonly NetworksAttachments?: readonly { readonly Network: DockerNetwork; readonly Addresses: string[] }[]
  readonly JobIteration?: { readonly Index?: number }
}

function fromTask(shown: DockerTask): Task {
  const { ContainerStatus: container } = shown.Status
  return {
    ...meta(shown),
    spec: { Runtime: 'container', ...shown.Spec },
    ...(shown.ServiceID !== undefined && { serviceId: shown.ServiceID }),
    slot: shown.Slot ?? 0,
    nodeId: shown.NodeID,
    serviceAnnotations: { name: 'demo', labels: {} },
    status: {
      state: parseTaskState(shown.Status.State) ?? TaskState.New,
      timestampMs: parseTime(shown.Status.Timestamp) ?? 0,
      message: shown.Status.Message,
      ...(container !== undefined && {
        container: { containerId: container.ContainerID, pid: container.PID, exitCode: container.ExitCode },
      }),
    },
    desiredState: parseTaskState(shown.DesiredState) ?? TaskState.New,
    networks: (shown.NetworksAttachments ?? []).map(({ Network, Addresses }) => ({
      networkId: Network.ID,
      addresses: Addresses,
      aliases: [],
    })),
    ...(shown.JobIteration !== undefined && { jobIteration: shown.JobIteration.Index ?? 0 }),
  }
}

/** [N]: every task says so. */
function withVolumes(shown: DockerTask): object {
  return { ...shown, Volumes: null }
}

type Objects = { readonly [K in TableName]?: readonly Tables[K][] }

async function appWith(t: TestContext, objects: Objects): Promise<TestApp> {
  const tested = testApp()
  t.after(() => tested.app.close())
  const all = (Object.entries(objects) as [TableName, readonly Tables[TableName][]][]).flatMap(
    ([table, list]) => list.map((object) => ({ table, object })),
  )
  const unique = new Map(all.map((entry) => [entry.object.id, entry]))
  tested.store.restore(1000, unique.values())
  await tested.app.ready()
  return tested
}

describe('services', () => {
  const { exchanges } = readCapture('service-inspect')
  const services = exchanges.map(({ response }) => fromService(response.body as DockerService)).slice(0, 3)
  for (const { request, response } of exchanges) {
    test(request.path, async (t) => {
      const { app } = await appWith(t, { services })
      const answer = await app.inject(request.path)
      assert.equal(answer.statusCode, response.status)
      assertSameJson(answer.body, response.body)
    })
  }

  test('lists hold the same', async (t) => {
    const { app } = await appWith(t, { services })
    const shown = exchanges.slice(0, 3).map(({ response }) => response.body as DockerService)
    const answer = await app.inject('/v1.41/services')
    assertSameJson(
      answer.body,
      shown.sort((a, b) => (a.ID < b.ID ? -1 : 1)),
    )
  })
})

describe('tasks', () => {
  const shown: readonly DockerTask[] = [
    ...(firstBody('tasks-list') as readonly DockerTask[]),
    ...(readCapture('task-network-attachment').body as readonly DockerTask[]),
    ...readCapture('tasks-global-and-job')
      .exchanges.map(({ response }) => response.body)
      .filter((body) => Array.isArray(body))
      .flatMap((body) => body as readonly DockerTask[]),
  ]
  const networks = shown.flatMap(({ NetworksAttachments: attachments = [] }) =>
    attachments.map(({ Network }) => fromNetwork(Network)),
  )
  for (const task of shown) {
    test(`task ${task.ID}`, async (t) => {
      const { app } = await appWith(t, { tasks: [fromTask(task)], networks })
      const answer = await app.inject(`/v1.41/tasks/${task.ID}`)
      assertSameJson(answer.body, withVolumes(task))
    })
  }

  test('a job and its tasks', async (t) => {
    const [, job, tasks] = readCapture('tasks-global-and-job').exchanges
    const service = fromService(job?.response.body as DockerService)
    const list = tasks?.response.body as readonly DockerTask[]
    const { app } = await appWith(t, { services: [service], tasks: list.map(fromTask) })
    assertSameJson((await app.inject('/v1.41/services/demo-job')).body, job?.response.body)
    assertSameJson((await app.inject(tasks?.request.path ?? '')).body, list.map(withVolumes))
  })

  test('attachments are listed only on demand', async (t) => {
    const [attachment] = readCapture('task-network-attachment').body as readonly DockerTask[]
    assert.ok(attachment)
    const { app } = await appWith(t, { tasks: [fromTask(attachment)], networks })
    assert.equal((await app.inject('/v1.41/tasks')).body, '[]\n')
    const filters = encodeURIComponent('{"runtime":["attachment"]}')
    assertSameJson((await app.inject(`/v1.41/tasks?filters=${filters}`)).body, [withVolumes(attachment)])
  })
})

test('nodes', async (t) => {
  const { exchanges } = readCapture('nodes-list')
  const [shown] = firstBody('nodes-list') as readonly (Head & {
    readonly Spec: object
    readonly Description: object
    readonly Status: { readonly Addr: string }
  })[]
  assert.ok(shown)
  const { app } = await appWith(t, {
    nodes: [
      {
        ...meta(shown),
        spec: shown.Spec,
        role: 'manager',
        description: shown.Description,
        status: { state: 'ready', message: '', addr: shown.Status.Addr },
        managerAddr: '10.99.0.2:2377',
      },
    ],
  })
  for (const { request, response } of exchanges) {
    assertSameJson((await app.inject(request.path)).body, response.body)
  }
})

describe('the swarm', () => {
  interface DockerSwarm extends Head {
    readonly Spec: object
    readonly DefaultAddrPool: readonly string[] | null
    readonly TLSInfo: object
    readonly JoinTokens: { readonly Worker: string; readonly Manager: string }
  }
  const [first] = readCapture('swarm-inspect').exchanges
  const shown = first?.response.body as DockerSwarm

  const cluster = (): Tables['clusters'] => ({
    ...meta(shown),
    spec: shown.Spec,
    rootCa: { certPem: '', lastForcedRotation: 0 },
    joinTokens: { worker: shown.JoinTokens.Worker, manager: shown.JoinTokens.Manager },
    defaultAddressPools: shown.DefaultAddrPool,
    subnetSize: 24,
    dataPathPort: 4789,
    blacklistedCertificates: {},
  })

  test('is shown as Docker shows it', async (t) => {
    const { app } = await appWith(t, { clusters: [cluster()] })
    assertSameJson((await app.inject('/v1.41/swarm')).body, shown)
  })

  test('part of it stands in the info', async (t) => {
    const states = readCapture('info-swarm-section-states').states as Record<string, object>
    const { app, swarm, engine } = await appWith(t, { clusters: [cluster()] })
    engine.answer = () => ({ status: 200, json: { ID: 'x', Swarm: { LocalNodeState: 'inactive' } } })
    const section = async () =>
      JSON.stringify((await app.inject('/v1.41/info')).json<{ Swarm: object }>().Swarm)
    const { JoinTokens: _tokens, ...info } = toMilliseconds(shown)
    assert.deepEqual((JSON.parse(await section()) as { Cluster: object }).Cluster, info)

    swarm.state = {
      ...swarm.state,
      state: 'inactive',
      nodeId: '',
      nodeAddr: '',
      controlAvailable: false,
      remoteManagers: [],
    }
    assert.equal(await section(), JSON.stringify(states.inactive))
    const [, locked] = [states.inactive, states.locked as { Error: string }]
    swarm.state = { ...swarm.state, state: 'locked', nodeAddr: '10.99.0.3', error: locked.Error }
    assert.equal(await section(), JSON.stringify(locked))
    const lost = states.manager_without_quorum as {
      NodeID: string
      NodeAddr: string
      Error: string
      RemoteManagers: { NodeID: string; Addr: string }[]
    }
    swarm.state = {
      ...swarm.state,
      state: 'active',
      controlAvailable: true,
      nodeId: lost.NodeID,
      nodeAddr: lost.NodeAddr,
      error: lost.Error,
      remoteManagers: lost.RemoteManagers.map(({ NodeID, Addr }) => ({ nodeId: NodeID, addr: Addr })),
    }
    assert.equal(await section(), JSON.stringify(lost))
  })

  test('two managers are warned of', async (t) => {
    const states = readCapture('info-swarm-section-states').states as Record<string, { Warnings?: string[] }>
    const node = (id: string): Tables['nodes'] => ({
      id,
      version: 1,
      createdAtMs: 0,
      updatedAtMs: 0,
      spec: { Labels: {} },
      role: 'manager',
      status: { state: 'ready', message: '', addr: '' },
    })
    const { app, engine } = await appWith(t, { clusters: [cluster()], nodes: [node('a'), node('b')] })
    engine.answer = () => ({ status: 200, json: { Warnings: ['old'] } })
    const info = (await app.inject('/info')).json<{
      Warnings: string[]
      Swarm: { Warnings: string[]; Nodes: number; Managers: number }
    }>()
    assert.deepEqual(info.Swarm.Warnings, states.two_managers?.Warnings)
    assert.deepEqual(info.Warnings, ['old', ...info.Swarm.Warnings])
    assert.deepEqual([info.Swarm.Nodes, info.Swarm.Managers], [2, 2])
  })
})

describe('networks', () => {
  interface ShownNetwork {
    readonly Id: string
    readonly Name: string
    readonly Created: string
    readonly Scope: string
    readonly Attachable: boolean
    readonly Ingress: boolean
    readonly Labels: Record<string, string> | null
    readonly Options: Record<string, string>
    readonly Driver: string
    readonly IPAM: {
      readonly Driver: string
      readonly Config: readonly { readonly Subnet: string; readonly Gateway: string }[]
    }
  }
  const shown = readCapture('networks-list').exchanges[0]?.response.body as readonly ShownNetwork[]

  const toStored = (network: ShownNetwork): Network => ({
    id: network.Id,
    version: 1,
    createdAtMs: parseTime(network.Created) ?? 0,
    updatedAtMs: 0,
    spec: {
      Name: network.Name,
      Driver: 'overlay',
      Attachable: network.Attachable,
      Ingress: network.Ingress,
      ...(network.Labels !== null && { Labels: network.Labels }),
    },
    driverState: { name: 'overlay', options: network.Options },
    ipam: {
      driver: network.IPAM.Driver,
      configs: network.IPAM.Config.map(({ Subnet, Gateway }) => ({ subnet: Subnet, gateway: Gateway })),
    },
  })

  /** [N]: with a flag for IPv4, and without containers in lists. */
  const asNow = (
    { Containers, ...network }: ShownNetwork & { readonly Containers?: unknown },
    isList: boolean,
  ) => {
    const { Name, Id, Created, Scope, Driver, ...rest } = network
    const { IPAM, Internal, Attachable, Ingress, ConfigFrom, ConfigOnly, ...last } = rest as Record<
      string,
      unknown
    >
    const { EnableIPv6, ...others } = last
    return {
      Name,
      Id,
      Created,
      Scope,
      Driver,
      EnableIPv4: true,
      EnableIPv6,
      IPAM,
      Internal,
      Attachable,
      Ingress,
      ConfigFrom,
      ConfigOnly,
      ...(isList ? {} : { Containers }),
      ...others,
    }
  }

  test('of the swarm and of the host', async (t) => {
    const networks = shown.filter(({ Scope }) => Scope === 'swarm').map(toStored)
    const twin: Network = {
      id: 'aaaaaaaaaaaaaaaaaaaaaaaaa',
      version: 1,
      createdAtMs: 0,
      updatedAtMs: 0,
      spec: { Name: 'host', Driver: 'host', Labels: { [predefinedNetworkLabel]: 'true' } },
    }
    const { app, engine } = await appWith(t, { networks: [...networks, twin] })
    engine.answer = () => ({ status: 200, json: shown.filter(({ Scope }) => Scope === 'local') })
    assertSameJson(
      (await app.inject('/v1.41/networks')).body,
      shown.map((network) => asNow(network, true)),
    )
  })

  test('by a name that is twice there', async (t) => {
    const [ambiguous, swarmOne, localOne, removal] = readCapture('network-lookup-and-remove').exchanges
    const local = localOne?.response.body as ShownNetwork
    const { app, engine } = await appWith(t, {
      networks: [toStored(swarmOne?.response.body as ShownNetwork)],
    })
    engine.answer = ({ path }) => ({ status: 200, json: path === '/networks' ? [local] : local })
    for (const exchange of [ambiguous, swarmOne, localOne, removal]) {
      const { request, response } = exchange as Exchange
      const answer = await app.inject({ method: request.method, url: request.path })
      assert.equal(answer.statusCode, response.status)
      const isNetwork = response.status === 200
      assertSameJson(answer.body, isNetwork ? asNow(response.body as ShownNetwork, false) : response.body)
    }
  })
})

test('events have the form of recorded ones', () => {
  const lines = readCapture('events').swarm_scope_lines as readonly string[]
  assert.ok(lines.length > 20)
  const recorded = lines.map((line) => ({
    ...(JSON.parse(line) as {
      Type: string
      Action: string
      Actor: { ID: string; Attributes: Record<string, string> }
    }),
    timeNano: /"timeNano":(\d+)/.exec(line)?.[1] ?? '',
    line,
  }))
  for (const { Type, Action, Actor, timeNano, line } of recorded) {
    const event = {
      type: Type as 'node',
      action: Action as 'create',
      id: Actor.ID,
      attributes: Actor.Attributes,
      timeNs: BigInt(timeNano),
    }
    assert.equal(encodeEvent(event), line)
  }
  const scaled = recorded.find(({ Actor }) => Actor.Attributes['replicas.new'] !== undefined)
  assert.ok(scaled)
  const service = (replicas: number): Service => ({
    id: scaled.Actor.ID,
    version: 1,
    createdAtMs: 0,
    updatedAtMs: 1_795_231_863_597,
    spec: { Name: 'demo-s2', Mode: { Replicated: { Replicas: replicas } } },
    specVersion: 0,
  })
  const event = toEvent({ table: 'services', id: scaled.Actor.ID, before: service(3), after: service(2) }, 0)
  assert.ok(event)
  assert.equal(encodeEvent(event).slice(0, -18), scaled.line.slice(0, -18))
})

describe('refused services', () => {
  const { exchanges } = readCapture('service-create-errors')
  // An absent body, the type of its content and what follows it: read otherwise since then.
  const asBefore = exchanges.filter(
    ({ request }) => request.body !== undefined && typeof request.body !== 'string',
  )
  const decoding = asBefore.filter(({ response }) =>
    (response.body as { message: string }).message.startsWith('json: '),
  )
  assert.ok(decoding.length >= 2)
  for (const { request, response } of decoding) {
    const { message } = response.body as { message: string }
    test(message, async (t) => {
      const { app } = await appWith(t, {})
      const answer = await app.inject({
        method: 'POST',
        url: request.path,
        headers: { 'content-type': 'application/json' },
        payload: JSON.stringify(request.body),
      })
      assert.equal(answer.statusCode, 400)
      assert.deepEqual(answer.json(), { message: `invalid JSON: ${message}` })
    })
  }
})
