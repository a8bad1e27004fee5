import { SwarmError } from '../model/errors.js'
import type { Config, Meta, Network, Node, Secret, Service, Task, Volume } from '../model/objects.js'
import { taskName } from '../model/objects.js'
import type { View } from '../store/store.js'

/**
 * Finds what a path of the API names: by whole ID, else by whole name, else by the start of its ID.
 * Behaviour: moby daemon/cluster/helpers.go.
 */
function find<T extends Meta>(
  kind: string,
  table: { get(id: string): T | undefined; byIdPrefix(prefix: string): readonly T[] },
  ref: string,
  byName: readonly T[],
): T {
  const whole = table.get(ref)
  if (whole !== undefined) return whole
  const matches = byName.length > 0 || ref === '' ? byName : table.byIdPrefix(ref)
  const [first] = matches
  if (first === undefined) throw new SwarmError('NotFound', `${kind} ${ref} not found`)
  if (matches.length > 1) {
    throw new SwarmError('InvalidArgument', `${kind} ${ref} is ambiguous (${matches.length} matches found)`)
  }
  return first
}

/** @throws {SwarmError} NotFound `service x not found`; InvalidArgument `service x is ambiguous (2 …`. */
export function findService(view: View, ref: string): Service {
  const named = view.services.by('name', ref.toLowerCase()).filter(({ spec }) => spec.Name === ref)
  return find('service', view.services, ref, named)
}

/** By hostname, which several nodes may share. @throws as `findService`. */
export function findNode(view: View, ref: string): Node {
  const named = view.nodes
    .by('name', ref.toLowerCase())
    .filter(({ description }) => description?.Hostname === ref)
  return find('node', view.nodes, ref, named)
}

/** @throws as `findService`. */
export function findTask(view: View, ref: string): Task {
  const id = ref.slice(ref.lastIndexOf('.') + 1)
  const task = id === ref ? undefined : view.tasks.get(id)
  return find('task', view.tasks, ref, task !== undefined && taskName(task) === ref ? [task] : [])
}

/** Ignores the case of a name. @throws as `findService`. */
export function findSecret(view: View, ref: string): Secret {
  return find('secret', view.secrets, ref, view.secrets.by('name', ref.toLowerCase()))
}

/** Ignores the case of a name. @throws as `findService`. */
export function findConfig(view: View, ref: string): Config {
  return find('config', view.configs, ref, view.configs.by('name', ref.toLowerCase()))
}

/** @throws as `findService`. */
export function findNetwork(view: View, ref: string): Network {
  const named = view.networks.by('name', ref.toLowerCase()).filter(({ spec }) => spec.Name === ref)
  return find('network', view.networks, ref, named)
}

/** @throws as `findService`. */
export function findVolume(view: View, ref: string): Volume {
  const named = view.volumes.by('name', ref.toLowerCase()).filter(({ spec }) => spec.Name === ref)
  return find('volume', view.volumes, ref, named)
}
