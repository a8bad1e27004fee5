import { runInNewContext } from 'node:vm'
import { SwarmError } from '../../model/errors.js'
import type { NetworkInspect } from '../convert/network.js'
import { matchesLabels, type Filters } from '../http/filters.js'

export const listFilterKeys = ['dangling', 'driver', 'id', 'label', 'name', 'scope', 'type']

/** Networks that every engine has. */
export const predefinedNames: ReadonlySet<string> = new Set(['bridge', 'host', 'none', 'default'])

const danglingWords: Readonly<Record<string, boolean>> = { true: true, '1': true, false: false, '0': false }

/** Time in which a pattern must have been tried. */
const patternTimeoutMs = 50

/**
 * Which of the wanted networks are in `networks`. All but `dangling`, which only their owner can tell.
 * @throws {SwarmError} Unknown `invalid filter: 'type'='zz'`.
 * Behaviour: moby daemon/network/filter.go.
 */
export function selectNetworks(
  networks: readonly NetworkInspect[],
  filters: Filters,
): readonly NetworkInspect[] {
  const ids = patterns(filters.get('id'))
  const names = patterns(filters.get('name'))
  const types = filters.get('type')
  for (const type of types) {
    if (type !== 'builtin' && type !== 'custom') {
      throw new SwarmError('Unknown', `invalid filter: 'type'='${type}'`)
    }
  }
  return networks.filter(
    ({ Id, Name, Driver, Scope, Labels }) =>
      filters.allows('driver', Driver) &&
      filters.allows('scope', Scope) &&
      (types.length === 0 || types.includes(predefinedNames.has(Name) ? 'builtin' : 'custom')) &&
      matchesLabels(filters.get('label'), Labels ?? {}) &&
      ids(Id) &&
      names(Name),
  )
}

/** @throws {SwarmError} InvalidArgument. */
export function wantsDangling(filters: Filters): boolean | undefined {
  const values = filters.get('dangling')
  if (values.length === 0) return undefined
  const [value = ''] = values
  const wanted = Object.hasOwn(danglingWords, value) ? danglingWords[value] : undefined
  if (values.length > 1 || wanted === undefined) {
    throw new SwarmError(
      'InvalidArgument',
      `invalid value for filter 'dangling', must be "true" (or "1"), or "false" (or "0")`,
    )
  }
  return wanted
}

/** Whether a text matches one of the regular expressions, or there is none. */
function patterns(sources: readonly string[]): (text: string) => boolean {
  if (sources.length === 0) return () => true
  const tests = sources.map(pattern)
  return (text) => tests.some((test) => test(text))
}

function pattern(source: string): (text: string) => boolean {
  if (/^[\w.^$\- ]*$/.test(source)) {
    const simple = new RegExp(source)
    return (text) => simple.test(text)
  }
  return (text) => matchesWithin(source, text)
}

/** Go's patterns take linear time, JavaScript's may take for ever: those of strangers get a limit. */
function matchesWithin(source: string, text: string): boolean {
  try {
    return (
      runInNewContext('new RegExp(source).test(text)', { source, text }, { timeout: patternTimeoutMs }) ===
      true
    )
  } catch {
    // A pattern that is none matches nothing, as in Docker.
    return false
  }
}
