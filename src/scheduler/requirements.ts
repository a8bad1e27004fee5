import { tryParseConstraints, type Constraint } from '../model/constraint.js'
import type { Task } from '../model/objects.js'
import { placementOf, spreadDescriptors, type AffinityTerm, type Strategy } from '../model/placement.js'
import type { Platform } from '../model/spec/index.js'
import type { ClusterFacts } from './cluster-facts.js'
import { clusterMountsOf, type ClusterMount, type VolumeSet } from './volume-set.js'

/** A driver that a node must have: kind as in `PluginDescription.Type`. */
export interface RequiredPlugin {
  readonly type: 'Network' | 'Volume' | 'Log'
  readonly name: string
}

export interface HostPort {
  readonly protocol: string
  readonly port: number
}

/** Services whose company is wanted, or not. */
export interface Company {
  /** By ID. */
  readonly services: ReadonlySet<string>
  /** For people. */
  readonly text: string
}

/** All that one task asks of its node. Tasks of one service and spec version ask the same. */
export interface Requirements {
  readonly nanoCpus: number
  readonly memoryBytes: number
  /** How many of each kind, sorted by kind. */
  readonly generics: ReadonlyMap<string, number>
  readonly plugins: readonly RequiredPlugin[]
  readonly constraints: readonly Constraint[]
  /** Any of them will do; none given: all will. */
  readonly platforms: readonly Platform[]
  readonly hostPorts: readonly HostPort[]
  /** 0 = no limit. */
  readonly maxReplicas: number
  readonly serviceId: string | undefined
  /** Labels to spread over, such as `node.labels.dc`, outermost first. */
  readonly spreadOver: readonly string[]
  /** How nodes that fit are ranked; undefined: as Swarm does. */
  readonly strategy: Strategy | undefined
  /** Of each, a task must be there, unless it means this service itself and nobody of it is anywhere yet. */
  readonly together: readonly Company[]
  /** Of none a task may be there. */
  readonly apart: readonly Company[]
  /** The same as wishes. */
  readonly preferTogether: readonly Company[]
  readonly preferApart: readonly Company[]
  /** Mounts of volumes of the cluster, and where to look for those. */
  readonly mounts: readonly ClusterMount[]
  readonly volumes: VolumeSet
  /** Equal for requirements that the same nodes meet for good reasons: all but load. */
  readonly classKey: string
}

/** Skep's own data plane carries these; an engine need not know them. */
const ownNetworkDrivers = new Set(['overlay', 'bridge', 'host'])

/** Which nodes of one class are looked for in which order: emptiest first by tasks, or by what is reserved. */
export function ordersByShare(strategy: Strategy | undefined): boolean {
  return strategy === 'spread' || strategy === 'binpack'
}

/** What a task asks of its node. */
export function requirementsOf(task: Task, facts: ClusterFacts): Requirements {
  const { Resources, Placement } = task.spec
  const reservations = Resources?.Reservations
  // Should constraints not parse, Docker's scheduler ignores them as a whole.
  const constraints = tryParseConstraints(Placement?.Constraints) ?? []
  const platforms = Placement?.Platforms ?? []
  const plugins = requiredPlugins(task, facts)
  const company = companyOf(task, facts)
  const spreadOver = spreadDescriptors(Placement?.Preferences)
  return {
    nanoCpus: reservations?.NanoCPUs ?? 0,
    memoryBytes: reservations?.MemoryBytes ?? 0,
    generics: genericsOf(task),
    plugins,
    constraints,
    platforms,
    hostPorts: hostPortsOf(task),
    maxReplicas: Placement?.MaxReplicas ?? 0,
    serviceId: task.serviceId,
    spreadOver,
    ...company,
    mounts: clusterMountsOf(task),
    volumes: facts.volumes,
    classKey: JSON.stringify([
      plugins,
      Placement?.Constraints ?? [],
      platforms,
      spreadOver,
      ordersByShare(company.strategy),
    ]),
  }
}

type CompanyWishes = Pick<Requirements, 'strategy' | 'together' | 'apart' | 'preferTogether' | 'preferApart'>

const noCompany: readonly Company[] = []

/** By the labels that the service has now: its tasks may be older. */
function companyOf(task: Task, facts: ClusterFacts): CompanyWishes {
  const service = facts.service(task.serviceId)
  const { strategy = facts.defaultStrategy, affinity, antiAffinity } = placementOf(service?.spec.Labels)
  const keptAwayBy = service === undefined ? noServices : facts.keptAwayBy(service)
  if (affinity.length + antiAffinity.length + keptAwayBy.size === 0) {
    return {
      strategy,
      together: noCompany,
      apart: noCompany,
      preferTogether: noCompany,
      preferApart: noCompany,
    }
  }
  const company = (terms: readonly AffinityTerm[], preferred: boolean) =>
    terms
      .filter((term) => term.preferred === preferred)
      .map(({ selector, text }) => ({ services: facts.selected(selector), text }))
  const others = Array.from(keptAwayBy, (id) => ({
    services: new Set([id]),
    text: `${facts.service(id)?.spec.Name ?? id}, which keeps others away`,
  }))
  const named = company(antiAffinity, false)
  return {
    strategy,
    together: company(affinity, false),
    // A service that keeps itself apart is named on both sides.
    apart: [...named, ...others.filter(({ services }) => !isNamed(named, services))],
    preferTogether: company(affinity, true),
    preferApart: company(antiAffinity, true),
  }
}

const noServices: ReadonlySet<string> = new Set()

function isNamed(companies: readonly Company[], services: ReadonlySet<string>): boolean {
  return [...services].every((id) => companies.some((company) => company.services.has(id)))
}

const noPorts: readonly HostPort[] = []

/** The host-mode ports with a number: port 0 is the engine's choice and never in the way. */
export function hostPortsOf(task: Pick<Task, 'endpoint'>): readonly HostPort[] {
  const ports = task.endpoint?.ports
  if (ports === undefined || ports.length === 0) return noPorts
  return ports
    .filter(({ PublishMode, PublishedPort }) => PublishMode === 'host' && (PublishedPort ?? 0) !== 0)
    .map(({ Protocol, PublishedPort }) => ({ protocol: Protocol || 'tcp', port: PublishedPort ?? 0 }))
}

function genericsOf(task: Task): ReadonlyMap<string, number> {
  const wanted = new Map<string, number>()
  for (const { NamedResourceSpec: named, DiscreteResourceSpec: discrete } of task.spec.Resources?.Reservations
    ?.GenericResources ?? []) {
    const kind = discrete?.Kind ?? named?.Kind
    if (kind !== undefined) wanted.set(kind, (wanted.get(kind) ?? 0) + (discrete?.Value ?? 1))
  }
  return new Map([...wanted].sort(([a], [b]) => (a < b ? -1 : 1)))
}

function requiredPlugins(task: Task, facts: ClusterFacts): readonly RequiredPlugin[] {
  const networks = task.networks
    .map(({ networkId }) => facts.networkDriver(networkId) ?? '')
    .filter((name) => name !== '' && !ownNetworkDrivers.has(name))
    .map((name) => ({ type: 'Network', name }) as const)
  const volumes = (task.spec.ContainerSpec?.Mounts ?? [])
    .filter(({ Type }) => Type === 'volume')
    .map(({ VolumeOptions }) => VolumeOptions?.DriverConfig?.Name ?? '')
    .filter((name) => name !== '' && name !== 'local')
    .map((name) => ({ type: 'Volume', name }) as const)
  const log = task.logDriver?.Name ?? ''
  const logs = log === '' || log === 'none' ? [] : [{ type: 'Log', name: log } as const]
  return [...networks, ...volumes, ...logs]
}
