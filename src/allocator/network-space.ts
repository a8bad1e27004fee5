import {
  addressOf,
  containsSubnet,
  formatAddress,
  formatInterface,
  formatSubnet,
  parseSubnet,
} from '../model/ipv4.js'
import { predefinedNetworkLabel, type Network, type NetworkIpam } from '../model/objects.js'
import type { IPAMConfig } from '../model/spec/index.js'
import { AddressPool } from './address-pool.js'
import { NumberSpace } from './number-space.js'
import { SubnetSpace } from './subnet-space.js'
import type { Subnet } from '../model/ipv4.js'

/** The option under which users give, and see, the VXLAN ids of a network. */
export const vxlanIdsOption = 'com.docker.network.driver.overlay.vxlanid_list'
const firstVxlanId = 4096
const lastVxlanId = 2 ** 24 - 1

/** Out of which networks without a subnet of their own get one. */
export interface DefaultPools {
  readonly pools: readonly Subnet[]
  readonly prefixLength: number
}

/** What the allocator adds to a network. */
export type NetworkPatch = Pick<Network, 'driverState' | 'ipam'>

/** Says why something cannot be had. The text ends up in `Status.Err` of the tasks that wait for it. */
export class AllocationError extends Error {
  override readonly name = 'AllocationError'
  /** The network or service that is waited for, if it is known. */
  readonly causeId: string | undefined

  constructor(message: string, causeId?: string) {
    super(message)
    this.causeId = causeId
  }
}

interface Space {
  readonly name: string
  readonly reserved: readonly Subnet[]
  readonly vxlanIds: readonly number[]
  readonly pools: readonly AddressPool[]
}

/** Whether a network lives on each node by itself: its addresses are the engine's business. */
export function isNodeLocal({ spec }: Pick<Network, 'spec'>): boolean {
  return spec.Labels?.[predefinedNetworkLabel] === 'true' || driverOf(spec) !== 'overlay'
}

/** Subnets, VXLAN ids and addresses of all networks. */
export class NetworkSpaces {
  readonly #subnets = new SubnetSpace()
  readonly #vxlanIds = new NumberSpace(firstVxlanId, lastVxlanId)
  readonly #spaces = new Map<string, Space>()

  /** Whether tasks can join the network: it has been allocated, or needs not be. */
  has(networkId: string): boolean {
    return this.#spaces.has(networkId)
  }

  /** Addresses left to hand out, and all there are. */
  counts(networkId: string): { readonly free: number; readonly size: number } {
    const pools = this.#spaces.get(networkId)?.pools ?? []
    return {
      free: pools.reduce((sum, pool) => sum + pool.freeCount, 0),
      size: pools.reduce((sum, pool) => sum + pool.size, 0),
    }
  }

  /** Takes what a network already has. */
  restore(network: Network): void {
    const configs = network.ipam?.configs ?? []
    const pools = configs.flatMap(({ subnet, range, gateway }) => {
      const parsed = parseSubnet(subnet)
      if (parsed === undefined) return []
      const pool = new AddressPool(parsed, parseSubnet(range ?? '') ?? parsed)
      pool.restore(addressOf(gateway) ?? -1)
      return pool
    })
    const reserved = configs.flatMap(({ subnet, range }) => parseSubnet(range ?? subnet) ?? [])
    for (const subnet of reserved) this.#subnets.take(subnet)
    const vxlanIds = givenVxlanIds(network.driverState?.options)
    for (const vxlanId of vxlanIds) this.#vxlanIds.take(vxlanId)
    this.#reserveAuxiliary(network, pools)
    this.#spaces.set(network.id, { name: network.spec.Name ?? network.id, reserved, vxlanIds, pools })
  }

  /**
   * Gives a new network its subnets, gateways and VXLAN ids.
   * @throws {AllocationError} when they are not to be had; nothing is taken then.
   * Behaviour: moby daemon/libnetwork/cnmallocator/networkallocator.go.
   */
  allocate(network: Network, defaults: DefaultPools): NetworkPatch {
    const { spec } = network
    const name = driverOf(spec)
    const spare = { name: spec.Name ?? network.id, reserved: [], vxlanIds: [], pools: [] }
    if (isNodeLocal(network)) {
      this.#spaces.set(network.id, spare)
      return { driverState: { name, options: { ...spec.Options } } }
    }
    const reserved: Subnet[] = []
    const vxlanIds: number[] = []
    try {
      const subnets = this.#takeSubnets(network, defaults, reserved)
      const configs = subnets.map(({ config, pool, range }) => ({
        subnet: formatSubnet(pool.subnet),
        ...(range === undefined ? {} : { range: formatSubnet(range) }),
        gateway: takeGateway(network, config, pool),
      }))
      this.#takeVxlanIds(network, subnets.length, vxlanIds)
      const pools = subnets.map(({ pool }) => pool)
      this.#reserveAuxiliary(network, pools)
      this.#spaces.set(network.id, { name: spare.name, reserved, vxlanIds, pools })
      const ipam: NetworkIpam = { driver: spec.IPAM?.Driver || 'default', configs }
      const options = { ...spec.Options, [vxlanIdsOption]: vxlanIds.join(',') }
      return { driverState: { name, options }, ipam }
    } catch (error) {
      this.#giveBack({ reserved, vxlanIds })
      throw error
    }
  }

  /** Frees all that a network has. */
  remove(networkId: string): void {
    const space = this.#spaces.get(networkId)
    if (space !== undefined) this.#giveBack(space)
    this.#spaces.delete(networkId)
  }

  /**
   * The next free address of a network as `10.0.1.5/24`; empty on networks without addresses.
   * @throws {AllocationError} when there is none, or the network is not allocated.
   */
  nextAddress(networkId: string): string {
    const space = this.#spaces.get(networkId)
    if (space === undefined) throw new AllocationError(`network ${networkId} is not allocated yet`, networkId)
    if (space.pools.length === 0) return ''
    for (const pool of space.pools) {
      const address = pool.next()
      if (address !== undefined) return formatInterface(address, pool.subnet.prefixLength)
    }
    throw new AllocationError(
      `no available IPv4 addresses on this network's address pools: ${space.name} (${networkId})`,
      networkId,
    )
  }

  /** Takes an address of before a restart. */
  restoreAddress(networkId: string, address: string): void {
    const parsed = addressOf(address)
    if (parsed === undefined) return
    for (const pool of this.#spaces.get(networkId)?.pools ?? []) pool.restore(parsed)
  }

  freeAddress(networkId: string, address: string): void {
    const parsed = addressOf(address)
    if (parsed === undefined) return
    for (const pool of this.#spaces.get(networkId)?.pools ?? []) pool.free(parsed)
  }

  #takeSubnets(network: Network, defaults: DefaultPools, reserved: Subnet[]) {
    const given = network.spec.IPAM?.Config ?? []
    return (given.length === 0 ? [{}] : given).map((config: IPAMConfig) => {
      const subnet = this.#takeSubnet(network, config, defaults, reserved)
      const range = config.IPRange ? parseSubnet(config.IPRange) : undefined
      return { config, pool: new AddressPool(subnet, range ?? subnet), range }
    })
  }

  #takeSubnet(network: Network, config: IPAMConfig, defaults: DefaultPools, reserved: Subnet[]): Subnet {
    const wanted = config.Subnet ? parseSubnet(config.Subnet) : undefined
    if (config.Subnet && wanted === undefined)
      throw new AllocationError(`network ${network.spec.Name}: invalid subnet ${config.Subnet}`, network.id)
    if (wanted === undefined || wanted.base === 0) {
      const subnet = this.#subnets.next(defaults.pools, wanted?.prefixLength ?? defaults.prefixLength)
      if (subnet === undefined)
        throw new AllocationError(
          `network ${network.spec.Name}: could not find an available, non-overlapping IPv4 address pool ` +
            'among the defaults to assign to the network',
          network.id,
        )
      reserved.push(subnet)
      return subnet
    }
    const range = config.IPRange ? parseSubnet(config.IPRange) : undefined
    const used = range !== undefined && containsSubnet(wanted, range) ? range : wanted
    if (!this.#subnets.take(used))
      throw new AllocationError(
        `network ${network.spec.Name}: Pool overlaps with other one on this address space`,
        network.id,
      )
    reserved.push(used)
    return wanted
  }

  #takeVxlanIds(network: Network, count: number, taken: number[]): void {
    const given = givenVxlanIds(network.spec.Options)
    while (taken.length < count) {
      const wanted = given[taken.length]
      const vxlanId = wanted === undefined ? this.#vxlanIds.next() : wanted
      if (vxlanId === undefined || (wanted !== undefined && !this.#vxlanIds.take(wanted)))
        throw new AllocationError(
          `network ${network.spec.Name}: VXLAN id ${wanted ?? ''} is not available`,
          network.id,
        )
      taken.push(vxlanId)
    }
  }

  #reserveAuxiliary({ spec }: Network, pools: readonly AddressPool[]): void {
    for (const { AuxiliaryAddresses } of spec.IPAM?.Config ?? []) {
      for (const address of Object.values(AuxiliaryAddresses ?? {})) {
        for (const pool of pools) pool.take(addressOf(address) ?? -1)
      }
    }
  }

  #giveBack({ reserved, vxlanIds }: Pick<Space, 'reserved' | 'vxlanIds'>): void {
    for (const subnet of reserved) this.#subnets.free(subnet)
    for (const vxlanId of vxlanIds) this.#vxlanIds.free(vxlanId)
  }
}

/** `overlay` where the user gave no driver. */
function driverOf({ Driver }: Network['spec']): string {
  return Driver || 'overlay'
}

function takeGateway(network: Network, { Gateway }: IPAMConfig, pool: AddressPool): string {
  const wanted = Gateway ? addressOf(Gateway) : undefined
  const address = wanted === undefined ? pool.next() : wanted
  if (address === undefined || (wanted !== undefined && !pool.take(wanted)))
    throw new AllocationError(
      `network ${network.spec.Name}: gateway ${Gateway ?? ''} is not available`,
      network.id,
    )
  return formatAddress(address)
}

function givenVxlanIds(options: Readonly<Record<string, string>> | undefined): readonly number[] {
  const given = options?.[vxlanIdsOption]
  if (!given) return []
  return given
    .split(',')
    .map(Number)
    .filter((vxlanId) => Number.isInteger(vxlanId))
}
