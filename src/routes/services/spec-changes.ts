import type { ServiceSpec } from '../../model/spec/index.js'

/** One member of a spec that is not as it was. A side is absent where the spec has no such member there. */
export interface SpecChange {
  /** `TaskTemplate.ContainerSpec.Image`; a label or a variable is `…Labels[name]`, `…Env[NAME]`. */
  readonly path: string
  readonly before?: unknown
  readonly after?: unknown
}

/** What stands for the value of an environment variable: it may be a password. */
const hidden = '(hidden)'

/**
 * What makes one spec different from another, member by member in the order of their paths. Lists are
 * compared as a whole, except the environment, whose values are never shown.
 */
export function specChanges(before: ServiceSpec, after: ServiceSpec): readonly SpecChange[] {
  const left = flatten(before)
  const right = flatten(after)
  const paths = [...new Set([...left.keys(), ...right.keys()])].sort()
  return paths.flatMap((path) => {
    const [old, now] = [left.get(path), right.get(path)]
    if (old?.compared === now?.compared) return []
    return [
      {
        path,
        ...(old !== undefined && { before: old.shown }),
        ...(now !== undefined && { after: now.shown }),
      },
    ]
  })
}

interface Leaf {
  readonly compared: string
  readonly shown: unknown
}

function flatten(spec: ServiceSpec): Map<string, Leaf> {
  const leaves = new Map<string, Leaf>()
  visit(spec, '', leaves)
  return leaves
}

function visit(value: unknown, path: string, leaves: Map<string, Leaf>): void {
  if (value === undefined || value === null) return
  if (path.endsWith('.Env') && Array.isArray(value)) visitEnv(value, path, leaves)
  else if (typeof value === 'object' && !Array.isArray(value)) visitMembers(value, path, leaves)
  else leaves.set(path, { compared: JSON.stringify(value), shown: value })
}

function visitMembers(value: object, path: string, leaves: Map<string, Leaf>): void {
  // The keys of a map are the user's own, and may have dots in them.
  const isMap = /(Labels|Options|Sysctls)$/.test(path)
  const members = Object.entries(value)
  // Present but empty differs from absent: a mode, for one.
  if (members.length === 0 && !isMap) leaves.set(path, { compared: '{}', shown: {} })
  for (const [name, member] of members) {
    const below = path === '' ? name : `${path}.${name}`
    visit(member, isMap ? `${path}[${name}]` : below, leaves)
  }
}

function visitEnv(variables: readonly unknown[], path: string, leaves: Map<string, Leaf>): void {
  for (const variable of variables) {
    const text = String(variable)
    const [name = ''] = text.split('=')
    leaves.set(`${path}[${name}]`, { compared: text, shown: hidden })
  }
}
