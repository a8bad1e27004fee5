import { nodeMatches } from '../model/constraint.js'
import type { Node } from '../model/objects.js'
import { genericCount } from './generic-resources.js'
import type { NodeState } from './node-state.js'
import type { Company, RequiredPlugin, Requirements } from './requirements.js'

/** Why a node does not take a task, in the order in which it is checked. */
export const filterNames = [
  'ready',
  'resources',
  'plugins',
  'constraints',
  'platform',
  'host ports',
  'max replicas',
  'affinity',
  'anti-affinity',
  'volumes',
] as const
export type FilterName = (typeof filterNames)[number]

type Check = (state: NodeState, wanted: Requirements) => boolean

/** Behaviour: moby/swarmkit manager/scheduler/filter.go and pipeline.go. */
const checks: Readonly<Record<FilterName, Check>> = {
  ready: ({ node }) => isReady(node),
  resources: hasResources,
  plugins: ({ node }, { plugins }) => plugins.every((plugin) => hasPlugin(node, plugin)),
  constraints: ({ node }, { constraints }) => constraints.length === 0 || nodeMatches(constraints, node),
  platform: ({ node }, wanted) => hasPlatform(node, wanted),
  'host ports': (state, { hostPorts }) =>
    hostPorts.every(({ protocol, port }) => !state.usesHostPort(protocol, port)),
  'max replicas': (state, { maxReplicas, serviceId }) =>
    maxReplicas === 0 || serviceId === undefined || state.activeOf(serviceId) < maxReplicas,
  affinity: (state, wanted) => wanted.together.every((company) => hasCompany(state, company, wanted)),
  'anti-affinity': (state, { apart }) => apart.every(({ services }) => !state.hasAnyOf(services)),
  volumes: ({ node }, { mounts, volumes }) => mounts.length === 0 || volumes.fits(mounts, node),
}

/** The filters whose outcome only the node's own description and state decide, not its load. */
export function passesForGood(state: NodeState, wanted: Requirements): boolean {
  return (
    checks.ready(state, wanted) &&
    checks.plugins(state, wanted) &&
    checks.constraints(state, wanted) &&
    checks.platform(state, wanted)
  )
}

/** The filters whose outcome changes with every task. */
export function passesNow(state: NodeState, wanted: Requirements): boolean {
  return (
    hasResources(state, wanted) &&
    (wanted.hostPorts.length === 0 || checks['host ports'](state, wanted)) &&
    (wanted.maxReplicas === 0 || checks['max replicas'](state, wanted)) &&
    (wanted.together.length === 0 || checks.affinity(state, wanted)) &&
    (wanted.apart.length === 0 || checks['anti-affinity'](state, wanted)) &&
    (wanted.mounts.length === 0 || checks.volumes(state, wanted))
  )
}

/** The first filter that keeps the task off the node, or undefined where it fits. */
export function failingFilter(state: NodeState, wanted: Requirements): FilterName | undefined {
  return filterNames.find((name) => !checks[name](state, wanted))
}

/** All filters that keep the task off the node. */
export function failingFilters(state: NodeState, wanted: Requirements): readonly FilterName[] {
  return filterNames.filter((name) => !checks[name](state, wanted))
}

/** The first task of services that want their own company may go anywhere. */
export function hasCompany(state: NodeState, { services }: Company, { serviceId }: Requirements): boolean {
  if (state.hasAnyOf(services)) return true
  if (serviceId === undefined || !services.has(serviceId)) return false
  return ![...services].some((id) => state.isAnywhere(id))
}

export function isReady(node: Node): boolean {
  return node.status.state === 'ready' && (node.spec.Availability ?? 'active') === 'active'
}

function hasResources(state: NodeState, wanted: Requirements): boolean {
  if (wanted.nanoCpus > state.freeNanoCpus || wanted.memoryBytes > state.freeMemoryBytes) return false
  for (const [kind, count] of wanted.generics) {
    if (genericCount(state.freeGenerics, kind) < count) return false
  }
  return true
}

/** Whether the node's engine has a driver. */
export function hasPlugin(node: Node, { type, name }: RequiredPlugin): boolean {
  const engine = node.description?.Engine
  if (engine === undefined) return true
  const ofType = (engine.Plugins ?? []).filter((plugin) => plugin.Type === type)
  // Old engines do not say which log drivers they have.
  if (type === 'Log' && ofType.length === 0) return true
  return ofType.some((plugin) => plugin.Name === name || plugin.Name === `${name}:latest`)
}

function hasPlatform(node: Node, { platforms }: Requirements): boolean {
  if (platforms.length === 0) return true
  const own = node.description?.Platform
  if (own === undefined) return false
  const architecture = normalArchitecture(own.Architecture ?? '')
  return platforms.some(
    ({ Architecture = '', OS = '' }) =>
      (Architecture === '' || normalArchitecture(Architecture) === architecture) &&
      (OS === '' || OS === own.OS),
  )
}

function normalArchitecture(name: string): string {
  if (name === 'x86_64') return 'amd64'
  return name === 'aarch64' ? 'arm64' : name
}
