import { SwarmError } from '../model/errors.js'
import type { SwarmJoinRequest } from '../model/spec/index.js'
import {
  defaultClusterPort,
  formatHostPort,
  parseHostPort,
  resolveAddresses,
  type HostNames,
  type HostPort,
  type NetworkInterface,
} from './addresses.js'
import type { JoinTarget } from './certificates.js'
import { availabilityOf } from './init-request.js'
import type { NodeState } from './state-file.js'

export interface JoinPlan extends JoinTarget {
  /** `localAddr` and the host of `advertiseAddr` may be unknown, which is the wildcard. */
  readonly state: NodeState
}

const anyHost = '0.0.0.0'

/**
 * Checks all of `docker swarm join` that needs no manager.
 * @throws {SwarmError} with Docker's text. Behaviour: moby daemon/cluster/swarm.go, Join.
 */
export function planJoin(
  request: SwarmJoinRequest,
  defaultAdvertiseAddr: string | undefined,
  interfaces: readonly NetworkInterface[],
  names: HostNames = new Map(),
): JoinPlan {
  const listenAddr = request.ListenAddr ?? ''
  if (listenAddr === '') throw badRequest('invalid ListenAddr "": invalid empty address')
  const remoteAddr = request.RemoteAddrs?.[0]
  if (remoteAddr === undefined) throw badRequest('at least 1 RemoteAddr is required to join')
  const address = remoteAddress(remoteAddr)
  const state = joinState(request, listenAddr, defaultAdvertiseAddr, interfaces, names)
  return {
    address,
    token: request.JoinToken ?? '',
    availability: availabilityOf(request.Availability),
    state,
  }
}

function remoteAddress(text: string): HostPort {
  if (text === '') throw badRequest('invalid remoteAddr "": invalid empty address')
  const parsed = parseHostPort(text, defaultClusterPort)
  if (parsed === undefined || parsed.host === '') {
    throw badRequest(`invalid remoteAddr ${JSON.stringify(text)}: invalid address`)
  }
  return parsed
}

/** An address to advertise that cannot be found is no error: managers see where this node calls from. */
function joinState(
  request: SwarmJoinRequest,
  listenAddr: string,
  defaultAdvertiseAddr: string | undefined,
  interfaces: readonly NetworkInterface[],
  names: HostNames,
): NodeState {
  const dataPathAddr = request.DataPathAddr ?? ''
  const advertiseFrom = request.AdvertiseAddr ?? ''
  // Without a wish of its own this never looks at more than the address to listen on and the data path.
  const sure = resolveAddresses(
    { listenAddr, advertiseAddr: '127.0.0.1', dataPathAddr, defaultAdvertiseAddr: undefined },
    withLoopback(interfaces),
  )
  const listen = formatHostPort(sure.listen)
  try {
    const { advertise, dataPath, local } = resolveAddresses(
      { listenAddr, advertiseAddr: request.AdvertiseAddr ?? '', dataPathAddr, defaultAdvertiseAddr },
      interfaces,
      names,
    )
    const advertiseAddr = formatHostPort(advertise)
    return { listenAddr: listen, advertiseAddr, dataPathAddr: dataPath, localAddr: local, advertiseFrom }
  } catch (error) {
    if (!(error instanceof SwarmError)) throw error
    return {
      listenAddr: listen,
      advertiseAddr: formatHostPort({ host: anyHost, port: sure.listen.port }),
      dataPathAddr: dataPathAddr === '' ? '' : sure.dataPath,
      localAddr: '',
      advertiseFrom,
    }
  }
}

function withLoopback(interfaces: readonly NetworkInterface[]): readonly NetworkInterface[] {
  const loopback = { name: 'lo', addresses: ['127.0.0.1'], isLoopback: true, isDevice: false }
  return interfaces.some(({ addresses }) => addresses.includes('127.0.0.1'))
    ? interfaces
    : [...interfaces, loopback]
}

function badRequest(text: string): SwarmError {
  return new SwarmError('InvalidArgument', text)
}
