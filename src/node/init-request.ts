import { isIP } from 'node:net'
import { normaliseSwarmSpec, validateSwarmSpec } from '../control/swarm.js'
import { SwarmError, errorText } from '../model/errors.js'
import {
  defaultAddressPools,
  defaultDataPathPort,
  defaultSubnetSize,
  initialSwarmSpec,
} from '../model/cluster-defaults.js'
import type { CAConfig, SwarmInitRequest, SwarmSpec } from '../model/spec/index.js'

/** A checked request to make a swarm, with its defaults. */
export interface InitPlan {
  readonly spec: SwarmSpec
  /** As it was sent: the spec does not keep the root that the user brings. */
  readonly caConfig: CAConfig
  readonly availability: 'active' | 'pause' | 'drain'
  readonly addressPools: readonly string[] | null
  readonly subnetSize: number
  readonly dataPathPort: number
}

const largestSubnetPrefix = 29

/**
 * Checks all of `docker swarm init` that needs no look at this machine.
 * @throws {SwarmError} with Docker's text. Behaviour: moby daemon/cluster/swarm.go, validateAndSanitizeInitRequest.
 */
export function planInit(request: SwarmInitRequest): InitPlan {
  if ((request.ListenAddr ?? '') === '') throw badRequest('invalid ListenAddr "": invalid empty address')
  checkSpecName(request.Spec)
  const spec = normaliseSwarmSpec(initialSwarmSpec(request.Spec, request.AutoLockManagers ?? false))
  checkSettings(spec)
  return {
    spec,
    caConfig: request.Spec?.CAConfig ?? {},
    availability: availabilityOf(request.Availability),
    ...planPools(request),
    dataPathPort: dataPathPort(request.DataPathPort ?? 0),
  }
}

/** Docker finds this out when the swarm is made, and leaves it as it is. */
function checkSettings(spec: SwarmSpec): void {
  try {
    validateSwarmSpec(spec)
  } catch (error) {
    throw new SwarmError('InvalidArgument', `error updating cluster settings: ${errorText(error)}`, {
      cause: error,
    })
  }
}

/** @throws {SwarmError} InvalidArgument. */
export function checkSpecName(spec: SwarmSpec | undefined): void {
  const name = spec?.Name ?? ''
  if (name !== '' && name !== 'default') throw badRequest('swarm spec must be named "default"')
}

/** @throws {SwarmError} Unknown, as dockerd answers it with 500. */
export function availabilityOf(text: string | undefined): InitPlan['availability'] {
  const value = (text === undefined || text === '' ? 'active' : text).toLowerCase()
  if (value === 'active' || value === 'pause' || value === 'drain') return value
  throw new SwarmError('Unknown', `invalid Availability: "${text}"`)
}

function planPools(request: SwarmInitRequest): Pick<InitPlan, 'addressPools' | 'subnetSize'> {
  const subnetSize =
    request.SubnetSize === undefined || request.SubnetSize === 0 ? defaultSubnetSize : request.SubnetSize
  if (subnetSize > largestSubnetPrefix)
    throw new SwarmError('Unknown', `subnet size is out of range: ${subnetSize}`)
  const pools = request.DefaultAddrPool
  for (const pool of pools ?? []) {
    const prefix = prefixLength(pool)
    if (prefix === undefined) throw badRequest(`invalid CIDR address: ${pool}`)
    if (subnetSize < prefix) {
      throw new SwarmError(
        'Unknown',
        `invalid CIDR: "${pool}". Subnet size is too small for pool: ${subnetSize}`,
      )
    }
  }
  // The CLI sends an empty list; it reads back as null, and means the default pool all the same.
  return {
    addressPools: pools === undefined ? defaultAddressPools : pools.length === 0 ? null : pools,
    subnetSize,
  }
}

function dataPathPort(port: number): number {
  if (port === 0) return defaultDataPathPort
  if (port < 1024 || port > 49151) {
    throw new SwarmError('Unknown', `Datapath port number is not in valid range (1024-49151) : ${port}`)
  }
  return port
}

/** Of an IPv4 network in CIDR form; undefined when it is none. */
function prefixLength(cidr: string): number | undefined {
  const [address, prefix, ...rest] = cidr.split('/')
  if (address === undefined || prefix === undefined || rest.length > 0) return undefined
  return isIP(address) === 4 && /^\d{1,2}$/.test(prefix) && Number(prefix) <= 32 ? Number(prefix) : undefined
}

function badRequest(text: string): SwarmError {
  return new SwarmError('InvalidArgument', text)
}
