import { defaultClusterPort, formatHostPort, parseHostPort, type HostPort } from './addresses.js'
import type { ClusterServer } from './cluster-server.js'

/** Where a node listens for the cluster, and under which address others find it. */
export interface ClusterAddresses {
  readonly listenAddr: string
  readonly advertiseAddr: string
}

/** Listens, and puts the real port where the user asked for any. */
export async function bind<T extends ClusterAddresses>(
  server: ClusterServer,
  state: T,
): Promise<{ listen: HostPort; state: T }> {
  const wanted = parseHostPort(state.listenAddr, defaultClusterPort)
  const advertised = parseHostPort(state.advertiseAddr, defaultClusterPort)
  if (wanted === undefined || advertised === undefined)
    throw new Error('the node state has no usable addresses')
  const listen = await server.listen(wanted)
  if (wanted.port !== 0) return { listen, state }
  const advertise = { ...advertised, port: advertised.port === 0 ? listen.port : advertised.port }
  return {
    listen,
    state: { ...state, listenAddr: formatHostPort(listen), advertiseAddr: formatHostPort(advertise) },
  }
}
