import type { Network } from '../../model/objects.js'
import { formatTime } from '../../model/time.js'
import { cached } from './cache.js'
import { stringifyExact } from './json.js'
import { head, unlessEmpty } from './meta.js'

type StringMap = Readonly<Record<string, string>>

/** A network as `GET /networks` shows it, with the members that a list leaves out. */
export interface NetworkInspect {
  readonly Name: string
  readonly Id: string
  readonly Scope: string
  readonly Driver: string
  readonly Labels: Readonly<Record<string, string>> | null
  readonly Containers?: unknown
  readonly [member: string]: unknown
}

/** A network of the store, as an engine shows its own. Shape: moby api/types/network. */
export const toNetworkInspect = cached((network: Network): NetworkInspect => {
  const { spec, driverState, ipam } = network
  return {
    Name: spec.Name ?? '',
    Id: network.id,
    Created: formatTime(network.createdAtMs),
    Scope: 'swarm',
    Driver: driverState?.name ?? spec.Driver ?? '',
    EnableIPv4: spec.EnableIPv4 ?? true,
    EnableIPv6: spec.EnableIPv6 ?? false,
    IPAM: {
      Driver: ipam?.driver ?? '',
      Options: null,
      Config: ipam === undefined ? null : ipam.configs.map(toIpamConfig),
    },
    Internal: spec.Internal ?? false,
    Attachable: spec.Attachable ?? false,
    Ingress: spec.Ingress ?? false,
    ConfigFrom: { Network: spec.ConfigFrom?.Network ?? '' },
    ConfigOnly: spec.ConfigOnly ?? false,
    Containers: null,
    Options: nullIfEmpty(driverState?.options),
    Labels: nullIfEmpty(spec.Labels),
  }
})

/** A network as it stands in a task. Shape: moby api/types/swarm/network.go. */
export const encodeAttachedNetwork = cached((network: Network) => {
  const { spec, driverState, ipam } = network
  return stringifyExact({
    ...head(network),
    Spec: {
      ...unlessEmpty('Name', spec.Name),
      Labels: spec.Labels ?? {},
      DriverConfiguration: driverConfiguration(network),
      ...unlessEmpty('IPv6Enabled', spec.EnableIPv6),
      ...unlessEmpty('Internal', spec.Internal),
      ...unlessEmpty('Attachable', spec.Attachable),
      ...unlessEmpty('Ingress', spec.Ingress),
      ...(spec.IPAM !== undefined && { IPAMOptions: wantedIpam(spec.IPAM) }),
      ...unlessEmpty('ConfigFrom', spec.ConfigFrom),
      Scope: 'swarm',
    },
    DriverState:
      driverState === undefined
        ? {}
        : { ...unlessEmpty('Name', driverState.name), ...unlessEmpty('Options', driverState.options) },
    ...(ipam !== undefined && {
      IPAMOptions: {
        Driver: { ...unlessEmpty('Name', ipam.driver) },
        ...unlessEmpty(
          'Configs',
          ipam.configs.map(({ subnet, range, gateway }) => ({
            Subnet: subnet,
            ...unlessEmpty('Range', range),
            Gateway: gateway,
          })),
        ),
      },
    }),
  })
})

/** The ingress network that a cluster is born with names no driver. */
function driverConfiguration({ spec }: Network): object {
  const isBornWith = spec.Ingress === true && (spec.IPAM?.Driver ?? '') === ''
  return isBornWith ? {} : unlessEmpty('Name', spec.Driver)
}

function wantedIpam({
  Driver: name,
  Options: options,
  Config: configs,
}: NonNullable<Network['spec']['IPAM']>) {
  return {
    Driver: { ...unlessEmpty('Name', name), ...unlessEmpty('Options', options) },
    ...unlessEmpty(
      'Configs',
      (configs ?? []).map((config) => ({
        ...unlessEmpty('Subnet', config.Subnet),
        ...unlessEmpty('Range', config.IPRange),
        ...unlessEmpty('Gateway', config.Gateway),
      })),
    ),
  }
}

function toIpamConfig(config: {
  readonly subnet: string
  readonly range?: string
  readonly gateway: string
}) {
  return {
    ...unlessEmpty('Subnet', config.subnet),
    ...unlessEmpty('IPRange', config.range),
    ...unlessEmpty('Gateway', config.gateway),
  }
}

function nullIfEmpty(map: StringMap | undefined): StringMap | null {
  return map === undefined || Object.keys(map).length === 0 ? null : map
}
