import type { ContainerCreateBody, EngineMount, HostConfig, PortBinding } from '../engine/types.js'
import { parseImageReference } from '../model/image-reference.js'
import { predefinedNetworkLabel, taskName } from '../model/objects.js'
import type { ContainerSpec, GenericResource, Mount, PortConfig, Privileges } from '../model/spec/index.js'
import { expandContainerSpec, type TemplateContext } from '../model/template.js'
import { TaskError, type AssignedTask, type Dependencies } from './interface.js'
import { imageRequiredText } from './task-errors.js'

/**
 * What a task's container is made of, in the body of `POST /containers/create`.
 * Behaviour: moby daemon/cluster/executor/container/container.go.
 */

export const taskIdLabel = 'com.docker.swarm.task.id'
export const nodeIdLabel = 'com.docker.swarm.node.id'

/** A file of the host that shows up in the container, read-only: a secret or a config. */
export interface FileMount {
  readonly source: string
  readonly target: string
}

/** What an attacher of networks wants of the container's configuration. */
export type NetworkPlan = Pick<ContainerCreateBody, 'NetworkingConfig'> & Pick<HostConfig, 'NetworkMode'>

/** @throws {TaskError} where the task has no container spec, as with plugins. */
export function containerSpecOf(task: Pick<AssignedTask, 'spec'>): ContainerSpec {
  const spec = task.spec.ContainerSpec
  if (spec === undefined) throw new TaskError('dockerexec: unsupported runtime: only containers can run here')
  if (spec.Image === undefined || spec.Image === '') throw new TaskError(imageRequiredText)
  return spec
}

export function templateContext(task: AssignedTask, dependencies: Dependencies): TemplateContext {
  const { node } = dependencies
  return {
    service: {
      id: task.serviceId ?? '',
      name: task.serviceAnnotations.name,
      labels: task.serviceAnnotations.labels,
    },
    node: {
      id: node.id,
      hostname: node.hostname,
      architecture: node.platform.Architecture,
      os: node.platform.OS,
    },
    task: { id: task.id, name: taskName(task), slot: task.slot === 0 ? node.id : String(task.slot) },
  }
}

/**
 * The body for a task's container.
 * @throws {TaskError} for what no engine could make of the spec.
 */
export function containerConfig(
  task: AssignedTask,
  dependencies: Dependencies,
  files: readonly FileMount[] = [],
  network: NetworkPlan = {},
): ContainerCreateBody {
  const spec = expand(containerSpecOf(task), task, dependencies)
  const ports = hostPorts(task)
  const hasCommand = (spec.Command ?? []).length > 0
  return {
    Image: familiarImage(spec.Image ?? ''),
    ...(hasCommand && { Entrypoint: spec.Command }),
    Cmd: spec.Args ?? null,
    Env: [...(spec.Env ?? []), ...genericResourceEnv(task.assignedGenericResources ?? [])],
    Labels: { ...spec.Labels, ...systemLabels(task) },
    Hostname: spec.Hostname ?? '',
    User: spec.User ?? '',
    WorkingDir: spec.Dir ?? '',
    Tty: spec.TTY ?? false,
    OpenStdin: spec.OpenStdin ?? false,
    ...(spec.StopSignal !== undefined && { StopSignal: spec.StopSignal }),
    ...(spec.Healthcheck !== undefined && { Healthcheck: spec.Healthcheck }),
    ExposedPorts: Object.fromEntries(ports.map((port) => [portKey(port), {}])),
    HostConfig: { ...hostConfig(task, spec, ports, files), ...networkMode(task), ...hostPart(network) },
    ...(network.NetworkingConfig !== undefined && { NetworkingConfig: network.NetworkingConfig }),
  }
}

function hostPart({ NetworkMode }: NetworkPlan): HostConfig {
  return NetworkMode === undefined ? {} : { NetworkMode }
}

function hostConfig(
  task: AssignedTask,
  spec: ContainerSpec,
  ports: readonly PortConfig[],
  files: readonly FileMount[],
): HostConfig {
  const log = task.logDriver ?? task.spec.LogDriver
  return {
    ...resources(task, spec),
    Mounts: [...mounts(spec.Mounts ?? []), ...files.map(fileMount)],
    PortBindings: portBindings(ports),
    GroupAdd: spec.Groups ?? [],
    ReadonlyRootfs: spec.ReadOnly ?? false,
    ...(spec.Init !== undefined && { Init: spec.Init }),
    Isolation: spec.Isolation ?? '',
    Sysctls: spec.Sysctls ?? {},
    CapAdd: spec.CapabilityAdd ?? [],
    CapDrop: spec.CapabilityDrop ?? [],
    Dns: spec.DNSConfig?.Nameservers ?? [],
    DnsSearch: spec.DNSConfig?.Search ?? [],
    DnsOptions: spec.DNSConfig?.Options ?? [],
    ExtraHosts: extraHosts(spec.Hosts ?? []),
    SecurityOpt: securityOptions(spec.Privileges),
    ...(spec.OomScoreAdj !== undefined && { OomScoreAdj: spec.OomScoreAdj }),
    ...(log?.Name !== undefined && { LogConfig: { Type: log.Name, Config: log.Options ?? {} } }),
  }
}

function expand(spec: ContainerSpec, task: AssignedTask, dependencies: Dependencies): ContainerSpec {
  try {
    return expandContainerSpec(spec, templateContext(task, dependencies))
  } catch (error) {
    throw new TaskError(error instanceof Error ? error.message : String(error), { cause: error })
  }
}

function systemLabels(task: AssignedTask): Record<string, string> {
  return {
    'com.docker.swarm.task': '',
    [taskIdLabel]: task.id,
    'com.docker.swarm.task.name': taskName(task),
    [nodeIdLabel]: task.nodeId ?? '',
    'com.docker.swarm.service.id': task.serviceId ?? '',
    'com.docker.swarm.service.name': task.serviceAnnotations.name,
  }
}

/** As Docker's CLI shows an image: without `docker.io/library/`, with `:latest` where no tag is given. */
export function familiarImage(image: string): string {
  const reference = parseImageReference(image)
  if (reference === undefined) return image
  const { domain, path, tag, digest } = reference
  const name =
    domain !== 'docker.io' ? `${domain}/${path}` : path.startsWith('library/') ? path.slice(8) : path
  const withTag = tag === undefined ? (digest === undefined ? `${name}:latest` : name) : `${name}:${tag}`
  return digest === undefined ? withTag : `${withTag}@${digest}`
}

/** `DOCKER_RESOURCE_GPU=uuid1,uuid2`. Behaviour: moby/swarmkit api/genericresource/helpers.go. */
function genericResourceEnv(assigned: readonly GenericResource[]): readonly string[] {
  const values = new Map<string, string[]>()
  for (const { NamedResourceSpec: named, DiscreteResourceSpec: discrete } of assigned) {
    const kind = named?.Kind ?? discrete?.Kind ?? ''
    values.set(kind, [...(values.get(kind) ?? []), named?.Value ?? String(discrete?.Value ?? 0)])
  }
  return [...values]
    .map(([kind, list]) => `DOCKER_RESOURCE_${kind}`.toUpperCase() + `=${list.join(',')}`)
    .sort()
}

/** The ports that the task publishes on its own node. */
export function hostPorts(task: Pick<AssignedTask, 'endpoint'>): readonly PortConfig[] {
  return (task.endpoint?.ports ?? []).filter(({ PublishMode }) => PublishMode === 'host')
}

function portKey({ TargetPort, Protocol }: PortConfig): string {
  return `${TargetPort ?? 0}/${Protocol === undefined || Protocol === '' ? 'tcp' : Protocol}`
}

function portBindings(ports: readonly PortConfig[]): Readonly<Record<string, readonly PortBinding[]>> {
  const bindings: Record<string, PortBinding[]> = {}
  for (const port of ports) {
    const published = port.PublishedPort ?? 0
    ;(bindings[portKey(port)] ??= []).push({ HostPort: published === 0 ? '' : String(published) })
  }
  return bindings
}

function resources(task: AssignedTask, spec: ContainerSpec): HostConfig {
  const { Limits: limits, SwapBytes: swap, MemorySwappiness } = task.spec.Resources ?? {}
  const memory = limits?.MemoryBytes ?? 0
  return {
    ...(memory > 0 && { Memory: memory }),
    ...(swap !== undefined && { MemorySwap: swap === -1 ? -1 : memory + swap }),
    ...(MemorySwappiness !== undefined && { MemorySwappiness }),
    ...((limits?.Pids ?? 0) > 0 && { PidsLimit: limits?.Pids ?? 0 }),
    ...((limits?.NanoCPUs ?? 0) > 0 && {
      NanoCpus: limits?.NanoCPUs ?? 0,
    }),
    Ulimits: (spec.Ulimits ?? []).map(({ Name = '', Soft = 0, Hard = 0 }) => ({ Name, Soft, Hard })),
  }
}

function mounts(all: readonly Mount[]): readonly EngineMount[] {
  return all.map((mount) => {
    const { Type = 'bind', Source = '', Target = '' } = mount
    checkMount(Type, Source, Target)
    const { VolumeOptions: volume, BindOptions, TmpfsOptions, ImageOptions } = mount
    return {
      Type,
      ...(Source !== '' && { Source }),
      Target,
      ReadOnly: mount.ReadOnly ?? false,
      ...(mount.Consistency !== undefined && { Consistency: mount.Consistency }),
      ...(BindOptions !== undefined && { BindOptions }),
      ...(TmpfsOptions !== undefined && { TmpfsOptions }),
      ...(ImageOptions !== undefined && { ImageOptions }),
      ...(volume !== undefined && { VolumeOptions: volume }),
    }
  })
}

/** Behaviour: moby daemon/cluster/executor/container/validate.go. */
function checkMount(type: string, source: string, target: string): void {
  if (!target.startsWith('/') && type !== 'npipe') {
    throw new TaskError(`invalid mount target, must be an absolute path: ${target}`)
  }
  switch (type) {
    case 'bind':
      if (!source.startsWith('/')) {
        throw new TaskError(`invalid bind mount source, must be an absolute path: ${source}`)
      }
      return
    case 'volume':
      if (source.startsWith('/')) {
        throw new TaskError(`invalid volume mount source, must not be an absolute path: ${source}`)
      }
      return
    case 'tmpfs':
      if (source !== '') throw new TaskError('invalid tmpfs source, source must be empty')
      return
    case 'npipe':
    case 'image':
      return
    default:
      throw new TaskError(`invalid mount type: ${type}`)
  }
}

function fileMount({ source, target }: FileMount): EngineMount {
  return { Type: 'bind', Source: source, Target: target, ReadOnly: true }
}

/** `IP name alias` as in `/etc/hosts` becomes `name:IP`, `alias:IP`. */
function extraHosts(hosts: readonly string[]): readonly string[] {
  return hosts.flatMap((line) => {
    const [ip = '', ...names] = line.trim().split(/\s+/)
    return names.map((name) => `${name}:${ip}`)
  })
}

function networkMode(task: AssignedTask): HostConfig {
  const spec = task.networks[0]?.network.spec
  return spec?.Labels?.[predefinedNetworkLabel] === 'true' ? { NetworkMode: spec.Name ?? '' } : {}
}

function securityOptions(privileges: Privileges | undefined): readonly string[] {
  if (privileges === undefined) return []
  const { SELinuxContext: selinux, Seccomp, AppArmor, CredentialSpec: credentials } = privileges
  const options: string[] = []
  if (credentials?.Config) options.push(`credentialspec=config://${credentials.Config}`)
  else if (credentials?.File) options.push(`credentialspec=file://${credentials.File}`)
  else if (credentials?.Registry) options.push(`credentialspec=registry://${credentials.Registry}`)
  if (selinux?.Disable === true) options.push('label=disable')
  if (selinux?.User) options.push(`label=user:${selinux.User}`)
  if (selinux?.Role) options.push(`label=role:${selinux.Role}`)
  if (selinux?.Level) options.push(`label=level:${selinux.Level}`)
  if (selinux?.Type) options.push(`label=type:${selinux.Type}`)
  if (Seccomp?.Mode === 'unconfined') options.push('seccomp=unconfined')
  if (Seccomp?.Mode === 'custom') {
    options.push(`seccomp=${Buffer.from(Seccomp.Profile ?? '', 'base64').toString('utf8')}`)
  }
  if (AppArmor?.Mode === 'disabled') options.push('apparmor=unconfined')
  if (privileges.NoNewPrivileges === true) options.push('no-new-privileges=true')
  return options
}

/** What Docker grants without a grace period; Podman's API would kill at once. */
const defaultStopSeconds = 10

/** Whole seconds for the engine's stop call. */
export function stopTimeoutSeconds(task: Pick<AssignedTask, 'spec'>): number {
  const graceNs = task.spec.ContainerSpec?.StopGracePeriod
  return graceNs === undefined ? defaultStopSeconds : Math.ceil(graceNs / 1e9)
}
