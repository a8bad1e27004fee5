import { formatTime } from '../../../model/time.js'
import type { EngineEvent } from '../../types.js'
import { simImageSizeBytes } from '../images.js'
import { simEngineVersion, type SimWorld } from '../world.js'
import { json, jsonLine, text, type SimAnswer, type SimRequest } from './answer.js'
import { containerSummary } from './container-views.js'
import { timestampMs } from './containers.js'
import { Filters } from './filters.js'
import * as images from './images.js'
import * as volumes from './volumes.js'

export const simApiVersion = '1.51'
export const simMinApiVersion = '1.24'

export function ping(): SimAnswer {
  return text('OK')
}

export function version(): SimAnswer {
  return json({
    Platform: { Name: 'Skep simulated engine' },
    Components: [
      {
        Name: 'Engine',
        Version: simEngineVersion,
        Details: { ApiVersion: simApiVersion, MinAPIVersion: simMinApiVersion, Os: 'linux', Arch: 'amd64' },
      },
    ],
    Version: simEngineVersion,
    ApiVersion: simApiVersion,
    MinAPIVersion: simMinApiVersion,
    GitCommit: '',
    GoVersion: '',
    Os: 'linux',
    Arch: 'amd64',
    KernelVersion: '',
    BuildTime: '',
  })
}

export function info(world: SimWorld): SimAnswer {
  const containers = world.containers()
  const running = containers.filter(({ state }) => state === 'running').length
  const { hostname, cpus, memoryBytes, labels = [] } = world.options
  return json({
    ID: world.id,
    Containers: containers.length,
    ContainersRunning: running,
    ContainersPaused: 0,
    ContainersStopped: containers.length - running,
    Images: world.images.list().length,
    Driver: 'simulated',
    DriverStatus: [],
    Plugins: {
      Volume: ['local'],
      Network: ['bridge', 'host', 'ipvlan', 'macvlan', 'null', 'overlay'],
      Authorization: null,
      Log: ['json-file'],
    },
    MemoryLimit: true,
    SwapLimit: true,
    CpuCfsPeriod: true,
    CpuCfsQuota: true,
    CPUShares: true,
    CPUSet: true,
    PidsLimit: true,
    IPv4Forwarding: true,
    BridgeNfIptables: true,
    BridgeNfIp6tables: true,
    OomKillDisable: false,
    Debug: false,
    NFd: 0,
    NGoroutines: 0,
    SystemTime: formatTime(world.env.nowMs()),
    LoggingDriver: 'json-file',
    CgroupDriver: 'none',
    CgroupVersion: '2',
    NEventsListener: 0,
    KernelVersion: 'simulated',
    OperatingSystem: 'Skep simulated engine',
    OSVersion: '',
    OSType: 'linux',
    Architecture: 'x86_64',
    IndexServerAddress: 'https://index.docker.io/v1/',
    RegistryConfig: { InsecureRegistryCIDRs: [], IndexConfigs: {}, Mirrors: null },
    NCPU: Math.ceil(cpus),
    MemTotal: memoryBytes,
    GenericResources: null,
    DockerRootDir: '',
    HttpProxy: '',
    HttpsProxy: '',
    NoProxy: '',
    Name: hostname,
    Labels: labels,
    ExperimentalBuild: false,
    ServerVersion: simEngineVersion,
    Runtimes: { simulated: { path: '' } },
    DefaultRuntime: 'simulated',
    Swarm: {
      NodeID: '',
      NodeAddr: '',
      LocalNodeState: 'inactive',
      ControlAvailable: false,
      Error: '',
      RemoteManagers: null,
    },
    LiveRestoreEnabled: false,
    Isolation: '',
    InitBinary: '',
    ContainerdCommit: { ID: '', Expected: '' },
    RuncCommit: { ID: '', Expected: '' },
    InitCommit: { ID: '', Expected: '' },
    SecurityOptions: [],
    Warnings: ['WARNING: containers are simulated: nothing runs on this engine'],
  })
}

/** `GET /events`: the kept ones from `since` on, then the new ones until `until` or for ever. */
export function events(world: SimWorld, { query, signal }: SimRequest): SimAnswer {
  const filters = Filters.parse(query, [
    'config',
    'container',
    'daemon',
    'event',
    'image',
    'label',
    'network',
    'node',
    'plugin',
    'scope',
    'secret',
    'service',
    'type',
    'volume',
  ])
  const sinceMs = timestampMs(query.get('since') ?? '')
  const untilMs = timestampMs(query.get('until') ?? '')
  const passes = (event: EngineEvent) => matches(filters, event)
  // From here on nothing is missed, however late the answer is read.
  const queue: EngineEvent[] =
    sinceMs === undefined ? [] : world.events.recent().filter((event) => event.timeNano / 1e6 >= sinceMs)
  let wake = (): void => undefined
  const off = world.events.listen((event) => {
    queue.push(event)
    wake()
  })
  const onAbort = () => wake()
  signal.addEventListener('abort', onAbort, { once: true })
  async function* answer(): AsyncGenerator<Buffer> {
    // A timer may fire a moment before the clock says so.
    let isOver = false
    const cancelUntil =
      untilMs === undefined
        ? undefined
        : world.env.after(Math.max(0, untilMs - world.env.nowMs()), () => {
            isOver = true
            wake()
          })
    try {
      while (!signal.aborted) {
        for (const event of queue.splice(0)) {
          if (untilMs !== undefined && event.timeNano / 1e6 > untilMs) return
          if (passes(event)) yield jsonLine(withLegacyMembers(event))
        }
        if (isOver) return
        if (queue.length > 0) continue
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
    } finally {
      off()
      cancelUntil?.()
      signal.removeEventListener('abort', onAbort)
    }
  }
  return { status: 200, contentType: 'application/json', stream: answer() }
}

function withLegacyMembers(event: EngineEvent): object {
  if (event.Type !== 'container') return event
  return { status: event.Action, id: event.Actor.ID, from: event.Actor.Attributes['image'] ?? '', ...event }
}

function matches(filters: Filters, event: EngineEvent): boolean {
  const { Type, Action, Actor } = event
  const isActor = (type: string) => (wanted: string) =>
    Type === type && (Actor.ID.startsWith(wanted) || Actor.Attributes['name'] === wanted)
  return (
    filters.any('type', (type) => Type === type) &&
    filters.any('event', (action) => Action === action || Action.split(':')[0] === action) &&
    filters.any('scope', (scope) => scope === 'local') &&
    ['container', 'image', 'network', 'volume'].every((type) => filters.any(type, isActor(type))) &&
    filters.labels(Actor.Attributes)
  )
}

/** `GET /system/df` */
export function diskUsage(world: SimWorld, request: SimRequest): SimAnswer {
  const read = ({ body }: SimAnswer): unknown => JSON.parse(body?.toString('utf8') ?? 'null')
  const plain = { ...request, query: new URLSearchParams() }
  const nowMs = world.env.nowMs()
  const volumeList = read(volumes.list(world, plain)) as { Volumes: { Name: string }[] }
  return json({
    LayersSize: world.images.list().length * simImageSizeBytes,
    Images: read(images.list(world, plain)),
    Containers: world.containers().map((container) => ({
      ...containerSummary(world, container, nowMs),
      SizeRw: 0,
      SizeRootFs: simImageSizeBytes,
    })),
    Volumes: volumeList.Volumes.map((volume) => ({
      ...volume,
      UsageData: { RefCount: world.usersOfVolume(volume.Name).length, Size: 0 },
    })),
    BuildCache: [],
    BuilderSize: 0,
  })
}
