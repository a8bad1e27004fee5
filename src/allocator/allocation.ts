import { defaultAddressPools, defaultSubnetSize } from '../model/cluster-defaults.js'
import { parseSubnet } from '../model/ipv4.js'
import type {
  Cluster,
  Endpoint,
  Network,
  Node,
  NodeAttachment,
  Service,
  Task,
  TaskNetwork,
  VirtualIP,
} from '../model/objects.js'
import { TaskState } from '../model/task-state.js'
import type { View } from '../store/store.js'
import {
  AllocationError,
  isNodeLocal,
  NetworkSpaces,
  type DefaultPools,
  type NetworkPatch,
} from './network-space.js'
import { isIngress, PortSpace } from './port-space.js'

/** Share of a network's addresses that nodes leave to services and tasks. */
const keptFromNodes = 1 / 8

interface Held {
  readonly networkId: string
  readonly address: string
}

/**
 * All that is handed out in the cluster, in memory: networks' subnets and ids, services' VIPs and ports,
 * addresses of tasks and nodes. Decides and keeps count; reads only what it is given and writes nothing.
 * Whoever writes the results and fails must start over from the store with a new one.
 */
export class Allocation {
  readonly #networks = new NetworkSpaces()
  readonly #ports = new PortSpace()
  /** What tasks and nodes hold, by their ID. */
  readonly #held = new Map<string, readonly Held[]>()
  readonly #virtualIps = new Map<string, readonly VirtualIP[]>()
  #freed: string[] = []
  #ingressId: string | undefined

  /** The network of the routing mesh, if the cluster has one. */
  get ingressId(): string | undefined {
    return this.#ingressId
  }

  /** The networks in which addresses were freed since the last call, one for each address. */
  takeFreed(): readonly string[] {
    const freed = this.#freed
    this.#freed = []
    return freed
  }

  /** Takes what a network has; networks come before whoever has addresses on them. */
  restoreNetwork(network: Network): void {
    if (network.spec.Ingress === true) this.#ingressId = network.id
    if (network.driverState !== undefined && !this.#networks.has(network.id)) this.#networks.restore(network)
  }

  restoreService({ id, endpoint }: Service): void {
    this.#ports.restore(id, endpoint?.ports ?? [])
    this.#virtualIps.set(id, endpoint?.virtualIPs ?? [])
    for (const { networkId, addr } of endpoint?.virtualIPs ?? [])
      this.#networks.restoreAddress(networkId, addr)
  }

  restoreNode({ id, attachments }: Node): void {
    this.#restoreHeld(id, attachments ?? [])
  }

  restoreTask({ id, status, networks }: Task): void {
    if (status.state <= TaskState.Running) this.#restoreHeld(id, networks)
  }

  /** @throws {AllocationError} */
  allocateNetwork(network: Network, cluster: Cluster | undefined): NetworkPatch {
    if (network.spec.Ingress === true) this.#ingressId = network.id
    return this.#networks.allocate(network, defaultPools(cluster))
  }

  removeNetwork(networkId: string): void {
    this.#networks.remove(networkId)
    if (networkId === this.#ingressId) this.#ingressId = undefined
  }

  /**
   * VIPs and ports of a service as its spec wants them; what it has and still needs stays.
   * @returns the endpoint, the very one it has where nothing changes.
   * @throws {AllocationError} and leaves everything as it was.
   * Behaviour: moby/swarmkit manager/allocator/network.go, allocateService.
   */
  allocateService(view: View, service: Service): Endpoint {
    const spec = service.spec.EndpointSpec ?? {}
    const current = service.endpoint
    const wanted = (spec.Mode || 'vip') === 'vip' ? serviceNetworkIds(view, service, this.#ingressId) : []
    const virtualIPs = this.#assignVirtualIps(service.id, wanted)
    try {
      const outcome = this.#ports.assign(service.id, spec.Ports ?? [], current?.ports ?? [])
      if (outcome === 'none left') throw new AllocationError('no published port is left to choose')
      if ('takenBy' in outcome) throw new AllocationError(portTaken(view, outcome.port, outcome.takenBy))
      this.#keepVirtualIps(service.id, virtualIPs)
      const endpoint = { spec, ports: outcome.ports, virtualIPs }
      return current !== undefined && sameEndpoint(current, endpoint) ? current : endpoint
    } catch (error) {
      this.#giveBack(except(virtualIPs, this.#virtualIps.get(service.id) ?? []))
      throw error
    }
  }

  removeService(serviceId: string): void {
    this.#keepVirtualIps(serviceId, [])
    this.#virtualIps.delete(serviceId)
    this.#ports.free(serviceId)
  }

  /**
   * One address for each network of a task.
   * @throws {AllocationError} and takes none.
   */
  allocateTask(view: View, task: Task, service: Service | undefined): readonly TaskNetwork[] {
    const taken: Held[] = []
    try {
      const networks = taskNetworks(view, task, service, this.#ingressId).map(({ networkId, aliases }) => {
        const address = this.#networks.nextAddress(networkId)
        if (address === '') return { networkId, addresses: [], aliases }
        taken.push({ networkId, address })
        return { networkId, addresses: [address], aliases }
      })
      if (taken.length > 0) this.#held.set(task.id, taken)
      return networks
    } catch (error) {
      for (const { networkId, address } of taken) this.#networks.freeAddress(networkId, address)
      throw error
    }
  }

  /**
   * One address for each of `networkIds` for a node, for its load balancer; what it has stays. Networks
   * that are short of addresses are left out: services and tasks come first.
   * @returns the attachments, sorted by network, and the networks that were left out.
   */
  allocateNode(node: Node, networkIds: readonly string[]): NodeAllocation {
    const had = this.#held.get(node.id) ?? []
    const held: Held[] = []
    const short: string[] = []
    for (const networkId of networkIds.toSorted()) {
      const before = had.find((candidate) => candidate.networkId === networkId)
      const { free, size } = this.#networks.counts(networkId)
      if (before !== undefined) held.push(before)
      else if (free <= size * keptFromNodes) short.push(networkId)
      else held.push({ networkId, address: this.#networks.nextAddress(networkId) })
    }
    for (const { networkId, address } of had) {
      if (!networkIds.includes(networkId)) this.#free(networkId, address)
    }
    if (held.length === 0) this.#held.delete(node.id)
    else this.#held.set(node.id, held)
    const attachments = held.map(({ networkId, address }) => ({ networkId, addresses: [address] }))
    return { attachments, short }
  }

  /** Frees the addresses of a task or node. */
  free(id: string): void {
    for (const { networkId, address } of this.#held.get(id) ?? []) this.#free(networkId, address)
    this.#held.delete(id)
  }

  #restoreHeld(id: string, attachments: readonly NodeAttachment[]): void {
    const held = attachments.flatMap(({ networkId, addresses }) =>
      addresses.map((address) => ({ networkId, address })),
    )
    for (const { networkId, address } of held) this.#networks.restoreAddress(networkId, address)
    if (held.length > 0) this.#held.set(id, held)
  }

  /** VIPs for `networkIds` in that order. Frees nothing yet. @throws {AllocationError} and takes none. */
  #assignVirtualIps(serviceId: string, networkIds: readonly string[]): readonly VirtualIP[] {
    const current = this.#virtualIps.get(serviceId) ?? []
    const assigned: VirtualIP[] = []
    try {
      for (const networkId of networkIds) {
        const before = current.find((virtualIp) => virtualIp.networkId === networkId)
        assigned.push(before ?? { networkId, addr: this.#networks.nextAddress(networkId) })
      }
      return assigned
    } catch (error) {
      this.#giveBack(except(assigned, current))
      throw error
    }
  }

  /** From now on a service has these VIPs and no others. */
  #keepVirtualIps(serviceId: string, virtualIps: readonly VirtualIP[]): void {
    for (const { networkId, addr } of except(this.#virtualIps.get(serviceId) ?? [], virtualIps))
      this.#free(networkId, addr)
    this.#virtualIps.set(serviceId, virtualIps)
  }

  /** Gives back what was taken for something that then failed: nobody can have waited for it. */
  #giveBack(virtualIps: readonly VirtualIP[]): void {
    for (const { networkId, addr } of virtualIps) this.#networks.freeAddress(networkId, addr)
  }

  #free(networkId: string, address: string): void {
    this.#networks.freeAddress(networkId, address)
    this.#freed.push(networkId)
  }
}

function except(virtualIps: readonly VirtualIP[], kept: readonly VirtualIP[]): readonly VirtualIP[] {
  const isKept = (one: VirtualIP) =>
    kept.some((other) => other.networkId === one.networkId && other.addr === one.addr)
  return virtualIps.filter((virtualIp) => !isKept(virtualIp))
}

export interface NodeAllocation {
  readonly attachments: readonly NodeAttachment[]
  readonly short: readonly string[]
}

/**
 * The networks that a service's tasks join: ingress if it publishes a port there, then those of the spec.
 * Unknown ones are left out.
 */
function serviceNetworkIds(
  view: View,
  { spec }: Pick<Service, 'spec'>,
  ingressId: string | undefined,
): readonly string[] {
  const usesIngress = (spec.EndpointSpec?.Ports ?? []).some(isIngress)
  const targets = (spec.TaskTemplate?.Networks ?? spec.Networks ?? []).flatMap(({ Target }) => Target ?? [])
  return [...new Set([...(usesIngress && ingressId !== undefined ? [ingressId] : []), ...targets])].filter(
    (networkId) => view.networks.get(networkId) !== undefined,
  )
}

function taskNetworks(
  view: View,
  task: Task,
  service: Service | undefined,
  ingressId: string | undefined,
): readonly { readonly networkId: string; readonly aliases: readonly string[] }[] {
  const configs = task.spec.Networks ?? service?.spec.Networks ?? []
  const usesIngress = (service?.endpoint?.ports ?? []).some(isIngress)
  const wanted = new Map<string, readonly string[]>()
  if (usesIngress && ingressId !== undefined) wanted.set(ingressId, [])
  for (const { Target, Aliases } of configs) {
    if (Target !== undefined && view.networks.get(Target) !== undefined && !wanted.has(Target))
      wanted.set(Target, Aliases ?? [])
  }
  return Array.from(wanted, ([networkId, aliases]) => ({ networkId, aliases }))
}

function defaultPools(cluster: Cluster | undefined): DefaultPools {
  const pools = cluster?.defaultAddressPools ?? []
  return {
    pools: (pools.length === 0 ? defaultAddressPools : pools).flatMap((pool) => parseSubnet(pool) ?? []),
    prefixLength: cluster?.subnetSize || defaultSubnetSize,
  }
}

function portTaken(view: View, port: number, serviceId: string): string {
  const name = view.services.get(serviceId)?.spec.Name ?? serviceId
  return `port '${port}' is already in use by service '${name}' (${serviceId}) as an ingress port`
}

function sameEndpoint(a: Endpoint, b: Endpoint): boolean {
  return (
    (a.spec === b.spec || JSON.stringify(a.spec) === JSON.stringify(b.spec)) &&
    JSON.stringify(a.ports) === JSON.stringify(b.ports) &&
    JSON.stringify(a.virtualIPs) === JSON.stringify(b.virtualIPs)
  )
}

export { AllocationError, isNodeLocal }
