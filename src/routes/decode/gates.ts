import type { NetworkSpec, ServiceSpec, SwarmInitRequest } from '../../model/spec/index.js'
import { isOlderThan } from '../http/versions.js'

/** Members that clients of older API versions did not know: what they send there means nothing. */
interface Gate {
  /** The first version that reads the members. */
  readonly since: string
  /** Dotted; `[]` = each item of a list. */
  readonly members: readonly string[]
}

const container = 'TaskTemplate.ContainerSpec'

/** Source: moby daemon/server/router/swarm/helpers.go, adjustForAPIVersion. */
const serviceGates: readonly Gate[] = [
  { since: '1.52', members: ['TaskTemplate.Resources.SwapBytes', 'TaskTemplate.Resources.MemorySwappiness'] },
  { since: '1.46', members: [`${container}.OomScoreAdj`, `${container}.Mounts[].TmpfsOptions.Options`] },
  {
    since: '1.44',
    members: [
      `${container}.Privileges.Seccomp`,
      `${container}.Privileges.AppArmor`,
      `${container}.Privileges.NoNewPrivileges`,
      `${container}.Healthcheck.StartInterval`,
    ],
  },
  {
    since: '1.41',
    members: [
      `${container}.CapabilityAdd`,
      `${container}.CapabilityDrop`,
      `${container}.Ulimits`,
      'TaskTemplate.Resources.Limits.Pids',
      'Mode.ReplicatedJob',
      'Mode.GlobalJob',
    ],
  },
  {
    since: '1.40',
    members: [
      `${container}.Sysctls`,
      `${container}.Privileges.CredentialSpec.Config`,
      `${container}.Configs[].Runtime`,
      'TaskTemplate.Placement.MaxReplicas',
    ],
  },
]

/** From this version on, networks stand in the task template alone. */
const lastPlaceOfNetworks = '1.44'

/** A service's spec as the given API version reads it. */
export function gateServiceSpec(spec: ServiceSpec, version: string): ServiceSpec {
  const gated = applyGates(spec, version, serviceGates)
  return isOlderThan(version, lastPlaceOfNetworks) ? gated : without(gated, ['Networks'])
}

/** The body of `POST /swarm/init` as the given API version reads it. */
export function gateSwarmInit(request: SwarmInitRequest, version: string): SwarmInitRequest {
  return applyGates(request, version, [
    { since: '1.40', members: ['DataPathPort'] },
    { since: '1.39', members: ['DefaultAddrPool', 'SubnetSize'] },
  ])
}

/** The body of `POST /networks/create` as the given API version reads it. */
export function gateNetworkSpec(spec: NetworkSpec, version: string): NetworkSpec {
  return applyGates(spec, version, [{ since: '1.48', members: ['EnableIPv4'] }])
}

function applyGates<T extends object>(value: T, version: string, gates: readonly Gate[]): T {
  return gates
    .filter(({ since }) => isOlderThan(version, since))
    .flatMap(({ members }) => members)
    .reduce((left, member) => without(left, member.split('.')), value)
}

/** A copy without the member; the value itself where it is not there. */
function without<T extends object>(value: T, [step = '', ...rest]: readonly string[]): T {
  const isList = step.endsWith('[]')
  const name = isList ? step.slice(0, -2) : step
  const member = (value as Readonly<Record<string, unknown>>)[name]
  if (member === undefined) return value
  if (rest.length === 0) {
    const { [name]: _dropped, ...left } = value as Record<string, unknown>
    return left as T
  }
  const inner = isList
    ? (member as readonly object[]).map((item) => without(item, rest))
    : without(member as object, rest)
  return { ...value, [name]: inner }
}
