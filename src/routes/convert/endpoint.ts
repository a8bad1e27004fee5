import type { Endpoint } from '../../model/objects.js'
import { canonical, EndpointSpecSchema, PortConfigSchema, type PortConfig } from '../../model/spec/index.js'
import { unlessEmpty } from './meta.js'

export function toPorts(ports: readonly PortConfig[] | undefined): readonly object[] {
  return (ports ?? []).map((port) => canonical(PortConfigSchema, port))
}

/** Docker's `Endpoint`: always there, empty before the allocator has seen the service. */
export function toEndpoint(endpoint: Endpoint | undefined): object {
  if (endpoint === undefined) return { Spec: {} }
  return {
    Spec: canonical(EndpointSpecSchema, endpoint.spec),
    ...unlessEmpty('Ports', toPorts(endpoint.ports)),
    ...unlessEmpty(
      'VirtualIPs',
      endpoint.virtualIPs.map(({ networkId, addr }) => ({
        ...unlessEmpty('NetworkID', networkId),
        ...unlessEmpty('Addr', addr),
      })),
    ),
  }
}
