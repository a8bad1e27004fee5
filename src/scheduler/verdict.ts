import { constrainedValue, constraintHolds, type Constraint } from '../model/constraint.js'
import type { Node } from '../model/objects.js'
import { failingFilters, hasCompany, hasPlugin, type FilterName } from './filters.js'
import { genericCount, poolOf } from './generic-resources.js'
import type { NodeState, Reserved } from './node-state.js'
import type { Requirements } from './requirements.js'

/** Why a node does not take a task, for people. */
export interface Reason {
  readonly filter: FilterName
  /** With the numbers: `needs 4 GiB of memory, has 1.2 GiB free of 8 GiB`. */
  readonly text: string
}

export interface ResourceUse extends Reserved {
  /** May be below 0 where a node has become smaller. */
  readonly free: number
}

/** What one node says to a task. */
export interface NodeVerdict {
  readonly nodeId: string
  readonly hostname: string
  readonly fits: boolean
  /** Every filter that fails; empty where the task fits. */
  readonly reasons: readonly Reason[]
  readonly nanoCpus: ResourceUse
  readonly memoryBytes: ResourceUse
  readonly genericResources: readonly (ResourceUse & { readonly kind: string })[]
  /** Tasks that are meant to run here. */
  readonly activeTasks: number
  readonly activeTasksOfService: number
}

/**
 * @param taskName what a task that is in the way is called.
 */
export function verdictOf(
  state: NodeState,
  wanted: Requirements,
  taskName: (taskId: string) => string,
): NodeVerdict {
  const reasons = failingFilters(state, wanted).flatMap((filter) =>
    textsOf(filter, state, wanted, taskName).map((text) => ({ filter, text })),
  )
  return {
    nodeId: state.node.id,
    hostname: state.node.description?.Hostname ?? '',
    fits: reasons.length === 0,
    reasons,
    nanoCpus: useOf(state.nanoCpus),
    memoryBytes: useOf(state.memoryBytes),
    genericResources: genericUse(state),
    activeTasks: state.active,
    activeTasksOfService: wanted.serviceId === undefined ? 0 : state.activeOf(wanted.serviceId),
  }
}

function useOf({ total, reserved }: Reserved): ResourceUse {
  return { total, reserved, free: total - reserved }
}

function genericUse({ node, freeGenerics }: NodeState): NodeVerdict['genericResources'] {
  const offered = poolOf(node.description?.Resources?.GenericResources ?? [])
  return [...offered.keys()].sort().map((kind) => {
    const total = genericCount(offered, kind)
    const free = genericCount(freeGenerics, kind)
    return { kind, total, reserved: total - free, free }
  })
}

function textsOf(
  filter: FilterName,
  state: NodeState,
  wanted: Requirements,
  taskName: (taskId: string) => string,
): readonly string[] {
  const { node } = state
  switch (filter) {
    case 'ready':
      return [readiness(node)]
    case 'resources':
      return shortages(state, wanted)
    case 'plugins':
      return wanted.plugins
        .filter((plugin) => !hasPlugin(node, plugin))
        .map(({ type, name }) => `has no ${type.toLowerCase()} driver ${name}`)
    case 'constraints':
      return wanted.constraints
        .filter((constraint) => !constraintHolds(constraint, node))
        .map((constraint) => mismatch(constraint, node))
    case 'platform':
      return [platformText(node, wanted)]
    case 'host ports':
      return portsInUse(state, wanted, taskName)
    case 'max replicas':
      return [
        `runs ${state.activeOf(wanted.serviceId ?? '')} tasks of the service, of at most ${wanted.maxReplicas}`,
      ]
    case 'affinity':
      return wanted.together
        .filter((company) => !hasCompany(state, company, wanted))
        .map(({ text }) => `runs no task of ${text}`)
    case 'anti-affinity':
      return wanted.apart
        .filter(({ services }) => state.hasAnyOf(services))
        .map(({ text }) => `runs a task of ${text}`)
    case 'volumes': {
      const texts = wanted.volumes.explain(wanted.mounts, node)
      return texts.length > 0 ? texts : ['has not enough cluster volumes for all mounts']
    }
    default:
      return filter satisfies never
  }
}

function readiness({ status, spec }: Node): string {
  if (status.state === 'ready') return `availability is ${spec.Availability ?? 'active'}`
  return status.message === '' ? `is ${status.state}` : `is ${status.state}: ${status.message}`
}

function shortages(state: NodeState, wanted: Requirements): readonly string[] {
  const texts: string[] = []
  if (wanted.nanoCpus > state.freeNanoCpus) {
    const { total } = state.nanoCpus
    texts.push(
      `needs ${cpuText(wanted.nanoCpus)} CPUs, has ${cpuText(state.freeNanoCpus)} free of ${cpuText(total)}`,
    )
  }
  if (wanted.memoryBytes > state.freeMemoryBytes) {
    const free = byteText(state.freeMemoryBytes)
    const total = byteText(state.memoryBytes.total)
    texts.push(`needs ${byteText(wanted.memoryBytes)} of memory, has ${free} free of ${total}`)
  }
  for (const { kind, total, free } of genericUse(state)) {
    const count = wanted.generics.get(kind) ?? 0
    if (count > free) texts.push(`needs ${count} ${kind}, has ${free} free of ${total}`)
  }
  for (const [kind, count] of wanted.generics) {
    if (!state.freeGenerics.has(kind)) texts.push(`needs ${count} ${kind}, has none`)
  }
  return texts
}

/** `label zone is eu, wanted us`. */
function mismatch({ key, operator, value }: Constraint, node: Node): string {
  const actual = constrainedValue(key, node)
  if (actual === undefined) return `nothing is called ${key}, which is wanted to be ${value}`
  const name = key.replace(/^node\.labels\./i, 'label ').replace(/^engine\.labels\./i, 'engine label ')
  const is = actual === '' ? 'is not set' : `is ${actual}`
  return `${name.replace(/^node\./i, '')} ${is}, wanted ${operator === '==' ? value : `other than ${value}`}`
}

function platformText({ description }: Node, { platforms }: Requirements): string {
  const { OS = '', Architecture = '' } = description?.Platform ?? {}
  const any = platforms.map((platform) => `${platform.OS || 'any'}/${platform.Architecture || 'any'}`)
  return `platform is ${OS}/${Architecture}, wanted ${any.join(' or ')}`
}

function portsInUse(
  state: NodeState,
  { hostPorts }: Requirements,
  taskName: (taskId: string) => string,
): readonly string[] {
  const loads = [...state.loads.values()]
  return hostPorts
    .filter(({ protocol, port }) => state.usesHostPort(protocol, port))
    .map(({ protocol, port }) => {
      const user = loads.find((load) =>
        load.hostPorts.some((taken) => taken.protocol === protocol && taken.port === port),
      )
      return `port ${port}/${protocol} is in use${user === undefined ? '' : ` by ${taskName(user.taskId)}`}`
    })
}

/** `1.5` for 1,500,000,000. */
export function cpuText(nanoCpus: number): string {
  return String(Math.round(nanoCpus / 1e6) / 1e3)
}

const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']

/** `1.2 GiB`. */
export function byteText(bytes: number): string {
  const power = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log2(Math.abs(bytes) || 1) / 10)))
  return `${Math.round((bytes / 2 ** (10 * power)) * 10) / 10} ${units[power]}`
}
