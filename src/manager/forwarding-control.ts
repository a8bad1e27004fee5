import type { Control } from '../control/interface.js'
import { clusterError } from '../model/errors.js'

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

/** Hands a write to the leader; rejects with what the leader's `Control` threw. */
export type Forward = (name: keyof Control, args: unknown) => Promise<unknown>

type Write = (args: unknown) => Promise<unknown>

/** Writes that happen here while this manager leads, and on the leader otherwise. */
export function forwardingControl(local: Control, leads: () => boolean, forward: Forward): Control {
  const writes = Object.keys(names) as (keyof Control)[]
  return Object.fromEntries(
    writes.map((name): [string, Write] => [
      name,
      (args) => (leads() ? writeOf(local, name)(args) : forward(name, args)),
    ]),
  ) as Record<keyof Control, Write> as Control
}

/** A follower's write, on the leader. @throws {SwarmError} Unimplemented for a name that is none of a write. */
export function applyForwarded(local: Control, call: unknown): Promise<unknown> {
  const { name, args } = (typeof call === 'object' && call !== null ? call : {}) as Record<string, unknown>
  if (typeof name !== 'string' || !Object.hasOwn(names, name)) {
    throw clusterError('Unimplemented', `the leader knows no write ${String(name)}`)
  }
  return writeOf(local, name as keyof Control)(args)
}

function writeOf(control: Control, name: keyof Control): Write {
  return control[name] as Write
}
