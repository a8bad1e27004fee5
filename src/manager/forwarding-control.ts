import type { Control } from '../control/interface.js'
import { clusterError } from '../model/errors.js'
import type { ServiceSpec } from '../model/spec/index.js'

/** Every checked write, by name: what a follower may hand to the leader. */
const names: Readonly<Record<keyof Control, true>> = {
  createService: true,
  updateService: true,
  rollbackService: true,
  removeService: true,
  requestRebalance: true,
  updateNode: true,
  removeNode: true,
  createNetwork: true,
  removeNetwork: true,
  createSecret: true,
  updateSecret: true,
  removeSecret: true,
  createConfig: true,
  updateConfig: true,
  removeConfig: true,
  createVolume: true,
  updateVolume: true,
  removeVolume: true,
  updateSwarm: true,
}

/** A write for the leader. */
export interface ForwardedWrite {
  readonly name: keyof Control
  readonly args: unknown
  /** Networks of the asked node's own engine that the write names: the leader's has others. */
  readonly localNetworks: Readonly<Record<string, string>>
}

/** Hands a write to the leader; rejects with what the leader's `Control` threw. */
export type Forward = (write: ForwardedWrite) => Promise<unknown>

type Write = (args: unknown) => Promise<unknown>

/** Writes that happen here while this manager leads, and on the leader otherwise. */
export function forwardingControl(
  local: Control,
  leads: () => boolean,
  forward: (name: keyof Control, args: unknown) => Promise<unknown>,
): Control {
  const writes = Object.keys(names) as (keyof Control)[]
  return Object.fromEntries(
    writes.map((name): [string, Write] => [
      name,
      (args) => (leads() ? writeOf(local, name)(args) : forward(name, args)),
    ]),
  ) as Record<keyof Control, Write> as Control
}

/**
 * A follower's write, on the leader.
 * @param controlFor the leader's control, for a node whose engine has these networks.
 * @throws {SwarmError} Unimplemented for a name that is none of a write.
 */
export function applyForwarded(
  controlFor: (findLocalNetwork: (nameOrId: string) => Promise<string | undefined>) => Control,
  call: unknown,
): Promise<unknown> {
  const { name, args, localNetworks } = (typeof call === 'object' && call !== null ? call : {}) as Record<
    string,
    unknown
  >
  if (typeof name !== 'string' || !Object.hasOwn(names, name)) {
    throw clusterError('Unimplemented', `the leader knows no write ${String(name)}`)
  }
  const known = new Map(Object.entries(localNetworks ?? {}))
  const control = controlFor((nameOrId) => {
    const found: unknown = known.get(nameOrId)
    return Promise.resolve(typeof found === 'string' ? found : undefined)
  })
  return writeOf(control, name as keyof Control)(args)
}

/** The spec of a service in the arguments of a write. */
export function serviceSpecIn(name: keyof Control, args: unknown): ServiceSpec {
  if (name !== 'createService' && name !== 'updateService') return {}
  return (args as Parameters<Control[typeof name]>[0]).spec
}

function writeOf(control: Control, name: keyof Control): Write {
  return control[name] as Write
}
