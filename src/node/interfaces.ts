import { existsSync } from 'node:fs'
import { lookup } from 'node:dns/promises'
import { networkInterfaces } from 'node:os'
import type { Env } from '../env/env.js'
import { errorText } from '../model/errors.js'
import { nameIn, type HostNames, type NetworkInterface } from './addresses.js'

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

const lookupTimeoutMs = 3000

/** An address of each DNS name in `texts`, which are addresses as users write them; names without one are left out. */
export async function lookUpNames(
  env: Env,
  texts: readonly string[],
  interfaces: readonly NetworkInterface[],
): Promise<HostNames> {
  const names = new Set(texts.flatMap((text) => nameIn(text, interfaces) ?? []))
  const found = await Promise.all([...names].map(async (name) => [name, await lookUp(env, name)] as const))
  return new Map(found.flatMap(([name, address]) => (address === undefined ? [] : [[name, address]])))
}

function lookUp(env: Env, name: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const cancel = env.after(lookupTimeoutMs, () => resolve(undefined))
    lookup(name)
      .then(
        ({ address }) => resolve(address),
        (error: unknown) => {
          env.log.debug({ err: errorText(error), name }, 'not a name that DNS knows')
          resolve(undefined)
        },
      )
      .finally(cancel)
  })
}
