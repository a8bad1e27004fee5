import { existsSync } from 'node:fs'
import { networkInterfaces } from 'node:os'
import type { NetworkInterface } from './addresses.js'

/** Bridges and pairs that container engines make: not where other nodes find this one. */
const engineInterface = /^(docker|br-|veth|podman|cni|docker_gwbridge|sk)/

/** The interfaces of this machine that are up. */
export function systemInterfaces(): readonly NetworkInterface[] {
  return Object.entries(networkInterfaces())
    .filter(([name]) => !engineInterface.test(name))
    .map(([name, addresses = []]) => ({
      name,
      addresses: addresses.map(({ address }) => address),
      isLoopback: addresses.some(({ internal }) => internal),
      // Only what has a device behind it in sysfs is a network card.
      isDevice: existsSync(`/sys/class/net/${name}/device`),
    }))
}
