import { BlockList, isIP } from 'node:net'
import { newId } from '../env/id.js'
import { SwarmError, clusterError } from '../model/errors.js'
import { checkServiceOrNetworkName } from '../model/names.js'
import { predefinedNetworkLabel, type Network } from '../model/objects.js'
import { canonical, NetworkSpecSchema, type IPAMConfig, type NetworkSpec } from '../model/spec/index.js'
import { TaskState } from '../model/task-state.js'
import type { Tx } from '../store/store.js'
import type { ControlContext } from './context.js'
import type { Control } from './interface.js'
import { findNetwork } from './lookup.js'
import { ingressNetwork, needsIngress } from './services/validate-cluster.js'

/** Drivers that every engine has and that swarm knows. */
const drivers: ReadonlySet<string> = new Set(['overlay', 'bridge', 'host', 'macvlan', 'ipvlan'])
const predefinedNames: ReadonlySet<string> = new Set(['bridge', 'host', 'none', 'default'])

/**
 * Makes a network of the cluster.
 * @throws {SwarmError} with Docker's texts, in its order.
 * Behaviour: moby daemon/server/router/network, daemon/cluster/networks.go; moby/swarmkit
 * manager/controlapi/network.go.
 */
export async function createNetwork(
  { env, store }: ControlContext,
  { spec: sent }: Parameters<Control['createNetwork']>[0],
): Promise<{ readonly id: string }> {
  const spec = normaliseNetworkSpec(sent)
  const id = newId(env)
  await store.update((tx) => {
    const name = spec.Name ?? ''
    if (tx.networks.by('name', name.toLowerCase()).length > 0) {
      throw new SwarmError('AlreadyExists', `network with name ${name} already exists`)
    }
    if (predefinedNames.has(name)) {
      throw new SwarmError('PermissionDenied', `${name} is a pre-defined network and cannot be created`)
    }
    validateNetworkSpec(spec)
    const ingress = spec.Ingress === true ? ingressNetwork(tx) : undefined
    if (ingress !== undefined) {
      throw clusterError('AlreadyExists', `ingress network (${ingress.id}) is already present`)
    }
    tx.create('networks', { id, spec })
  })
  return { id }
}

/**
 * Removes a network that nobody uses.
 * @throws {SwarmError} NotFound; FailedPrecondition.
 * Behaviour: moby/swarmkit manager/controlapi/network.go, RemoveNetwork.
 */
export async function removeNetwork(
  { store }: ControlContext,
  { id: ref }: { readonly id: string },
): Promise<void> {
  await store.update((tx) => {
    const network = findNetwork(tx, ref)
    checkUnused(tx, network)
    tx.remove('networks', network.id)
  })
}

function invalid(description: string): SwarmError {
  return clusterError('InvalidArgument', description)
}

function normaliseNetworkSpec(sent: NetworkSpec): NetworkSpec {
  const driver = sent.Driver ?? ''
  return canonical(NetworkSpecSchema, {
    ...sent,
    Driver: driver === '' ? 'overlay' : driver,
    Scope: 'swarm',
    EnableIPv4: sent.EnableIPv4 ?? true,
    EnableIPv6: sent.EnableIPv6 ?? false,
  })
}

function validateNetworkSpec(spec: NetworkSpec): void {
  if (spec.Ingress === true && spec.Attachable === true) throw invalid('ingress network cannot be attachable')
  checkServiceOrNetworkName(spec.Name)
  if (Object.hasOwn(spec.Labels ?? {}, predefinedNetworkLabel)) {
    throw clusterError(
      'PermissionDenied',
      `label ${predefinedNetworkLabel} is for internally created predefined networks and cannot be applied by users`,
    )
  }
  const { Driver: driver = '', IPAM: ipam } = spec
  if (!drivers.has(driver)) throw new SwarmError('NotFound', `plugin ${JSON.stringify(driver)} not found`)
  if (spec.Ingress === true && driver !== 'overlay') {
    throw clusterError('Unimplemented', 'only overlay driver is currently supported for ingress network')
  }
  const ipamDriver = ipam?.Driver ?? ''
  if (ipamDriver !== '' && ipamDriver !== 'default') {
    throw invalid(`error during lookup of plugin ${ipamDriver}`)
  }
  for (const config of ipam?.Config ?? []) validateIpamConfig(config)
}

function validateIpamConfig(config: IPAMConfig): void {
  const subnetText = config.Subnet ?? ''
  const subnet = parseCidr(subnetText)
  if (subnet === undefined) throw invalid(`ipam configuration: invalid subnet ${subnetText}`)
  const range = config.IPRange ?? ''
  if (range !== '') {
    const parsed = parseCidr(range)
    if (parsed === undefined) throw invalid(`ipam configuration: invalid range ${range}`)
    if (!contains(subnet, parsed.address)) {
      throw invalid(`ipam configuration: subnet ${subnetText} does not contain range ${range}`)
    }
  }
  const gateway = config.Gateway ?? ''
  if (gateway === '') return
  if (isIP(gateway) === 0) throw invalid(`ipam configuration: invalid gateway ${gateway}`)
  if (!contains(subnet, gateway)) {
    throw invalid(`ipam configuration: subnet ${subnetText} does not contain gateway ${gateway}`)
  }
}

interface Cidr {
  readonly address: string
  readonly bits: number
}

function parseCidr(text: string): Cidr | undefined {
  const match = /^([^/]+)\/(\d{1,3})$/.exec(text)
  const [, address = '', digits = ''] = match ?? []
  const family = isIP(address)
  const bits = Number(digits)
  return family === 0 || bits > (family === 4 ? 32 : 128) ? undefined : { address, bits }
}

function contains(subnet: Cidr, address: string): boolean {
  const list = new BlockList()
  list.addSubnet(subnet.address, subnet.bits, familyOf(subnet.address))
  return list.check(address, familyOf(address))
}

function familyOf(address: string): 'ipv4' | 'ipv6' {
  return isIP(address) === 6 ? 'ipv6' : 'ipv4'
}

function checkUnused(tx: Tx, { id, spec }: Network): void {
  if (spec.Ingress === true) {
    const service = tx.services.list().find((candidate) => needsIngress(candidate.spec))
    if (service === undefined) return
    throw clusterError(
      'FailedPrecondition',
      `ingress network cannot be removed because service ${service.id} depends on it`,
    )
  }
  if (Object.hasOwn(spec.Labels ?? {}, predefinedNetworkLabel)) {
    throw clusterError(
      'FailedPrecondition',
      `network ${id} (${spec.Name}) is a swarm predefined network and cannot be removed`,
    )
  }
  const [service] = tx.services.by('network', id)
  if (service !== undefined) {
    throw clusterError('FailedPrecondition', `network ${id} is in use by service ${service.id}`)
  }
  const task = tx.tasks
    .by('network', id)
    .find(
      ({ desiredState, status }) => desiredState <= TaskState.Running && status.state <= TaskState.Running,
    )
  if (task !== undefined) {
    throw clusterError('FailedPrecondition', `network ${id} is in use by task ${task.id}`)
  }
}
