import { formatTime } from '../../../model/time.js'
import type { ContainerCreateBody } from '../../types.js'
import type { PublishedPort, SimContainer } from '../container.js'
import type { SimWorld } from '../world.js'
import { humanDuration } from './human.js'

/** A simulated container as Docker's API shows it. */

export function containerStatus(container: SimContainer, nowMs: number): string {
  switch (container.state) {
    case 'created':
    case 'removed':
      return 'Created'
    case 'running': {
      const up = `Up ${humanDuration(nowMs - (container.startedAtMs ?? nowMs))}`
      if (container.health === 'none') return up
      return `${up} (${container.health === 'starting' ? 'health: starting' : container.health})`
    }
    case 'exited':
      return `Exited (${container.exitCode}) ${humanDuration(nowMs - (container.finishedAtMs ?? nowMs))} ago`
    default:
      return container.state satisfies never
  }
}

export function networkModeOf(body: ContainerCreateBody): string {
  const mode = body.HostConfig?.NetworkMode ?? ''
  return mode === '' || mode === 'default' ? 'bridge' : mode
}

function mountsOf(world: SimWorld, container: SimContainer, body: ContainerCreateBody): object[] {
  const mounts = (body.HostConfig?.Mounts ?? []).filter(({ Type }) => Type !== 'tmpfs')
  let volumeIndex = 0
  return mounts.map(({ Type, Source = '', Target, ReadOnly = false }) => {
    const name = Type === 'volume' ? (container.make.volumes[volumeIndex++] ?? Source) : undefined
    return {
      Type,
      ...(name !== undefined && { Name: name }),
      Source: name === undefined ? Source : volumeMountpoint(name),
      Destination: Target,
      ...(name !== undefined && { Driver: world.volumes.get(name)?.driver ?? 'local' }),
      Mode: Type === 'volume' ? 'z' : '',
      RW: !ReadOnly,
      Propagation: Type === 'bind' ? 'rprivate' : '',
    }
  })
}

export function volumeMountpoint(name: string): string {
  return `/var/lib/docker/volumes/${name}/_data`
}

/** One object of `GET /containers/json`. */
export function containerSummary(world: SimWorld, container: SimContainer, nowMs: number): object {
  const { make } = container
  const body = make.body()
  const command = [...(body.Entrypoint ?? []), ...(body.Cmd ?? [])]
  return {
    Id: container.id,
    Names: [`/${make.name}`],
    Image: make.image,
    ImageID: make.imageId,
    Command: command.map((word) => (word.includes(' ') ? `'${word}'` : word)).join(' '),
    Created: Math.floor(container.createdAtMs / 1000),
    Ports: container.publishedPorts.map(({ target, protocol, published }) => ({
      IP: '0.0.0.0',
      PrivatePort: target,
      PublicPort: published,
      Type: protocol,
    })),
    Labels: make.labels,
    State: container.state,
    Status: containerStatus(container, nowMs),
    HostConfig: { NetworkMode: networkModeOf(body) },
    NetworkSettings: { Networks: { [networkModeOf(body)]: endpoint } },
    Mounts: mountsOf(world, container, body),
  }
}

const endpoint = {
  IPAMConfig: null,
  Links: null,
  Aliases: null,
  NetworkID: '',
  EndpointID: '',
  Gateway: '',
  IPAddress: '',
  IPPrefixLen: 0,
  IPv6Gateway: '',
  GlobalIPv6Address: '',
  GlobalIPv6PrefixLen: 0,
  MacAddress: '',
  DriverOpts: null,
}

function portMap(ports: readonly PublishedPort[]): Record<string, object[]> {
  const map: Record<string, object[]> = {}
  for (const { target, protocol, published } of ports) {
    ;(map[`${target}/${protocol}`] ??= []).push({ HostIp: '0.0.0.0', HostPort: String(published) })
  }
  return map
}

/** The answer of `GET /containers/{id}/json`. */
export function containerInspect(world: SimWorld, container: SimContainer): object {
  const { make, state } = container
  const body = make.body()
  const { HostConfig: host, NetworkingConfig: _networking, ...config } = body
  const argv = [...(body.Entrypoint ?? []), ...(body.Cmd ?? [])]
  const running = state === 'running'
  return {
    Id: container.id,
    Created: formatTime(container.createdAtMs),
    Path: argv[0] ?? '',
    Args: argv.slice(1),
    State: {
      Status: state,
      Running: running,
      Paused: false,
      Restarting: false,
      OOMKilled: false,
      Dead: false,
      Pid: container.pid,
      ExitCode: container.exitCode,
      Error: container.error,
      StartedAt: formatTime(container.startedAtMs),
      FinishedAt: formatTime(running ? container.runs.at(-2)?.endMs : container.finishedAtMs),
      ...(container.health !== 'none' && {
        Health: {
          Status: container.health,
          FailingStreak: container.health === 'unhealthy' ? 1 : 0,
          Log: [],
        },
      }),
    },
    Image: make.imageId,
    ResolvConfPath: '',
    HostnamePath: '',
    HostsPath: '',
    LogPath: '',
    Name: `/${make.name}`,
    RestartCount: 0,
    Driver: 'simulated',
    Platform: 'linux',
    MountLabel: '',
    ProcessLabel: '',
    AppArmorProfile: '',
    ExecIDs: null,
    HostConfig: {
      RestartPolicy: { Name: '', MaximumRetryCount: 0 },
      LogConfig: { Type: 'json-file', Config: {} },
      ...host,
      NetworkMode: host?.NetworkMode === undefined || host.NetworkMode === '' ? 'default' : host.NetworkMode,
    },
    GraphDriver: { Name: 'simulated', Data: {} },
    Mounts: mountsOf(world, container, body),
    Config: {
      ...config,
      Hostname:
        config.Hostname === undefined || config.Hostname === '' ? container.id.slice(0, 12) : config.Hostname,
      Env: config.Env ?? [],
      Labels: make.labels,
      Tty: config.Tty ?? false,
      Cmd: config.Cmd ?? null,
      Entrypoint: config.Entrypoint ?? null,
      WorkingDir: config.WorkingDir ?? '',
      User: config.User ?? '',
      Volumes: config.Volumes ?? null,
    },
    NetworkSettings: {
      Bridge: '',
      SandboxID: '',
      Ports: portMap(container.publishedPorts),
      IPAddress: '',
      IPPrefixLen: 0,
      Gateway: '',
      MacAddress: '',
      Networks: { [networkModeOf(body)]: endpoint },
    },
  }
}
