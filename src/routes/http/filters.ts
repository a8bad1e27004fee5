import { SwarmError } from '../../model/errors.js'
import type { Query } from './query.js'

/**
 * The `filters` argument: values by key. Behaviour: moby api/types/filters; moby/swarmkit
 * manager/controlapi.
 */
export class Filters {
  readonly #values: ReadonlyMap<string, readonly string[]>

  private constructor(values: ReadonlyMap<string, readonly string[]>) {
    this.#values = values
  }

  /**
   * @param accepted the keys that the endpoint knows; absent = any.
   * @throws {SwarmError} InvalidArgument `invalid filter` for what is no filter, `invalid filter 'zz'`
   *   for an unknown key.
   */
  static parse(query: Query, accepted?: readonly string[]): Filters {
    const values = readFilters(query.filters ?? '')
    for (const key of [...values.keys()].sort()) {
      if (accepted !== undefined && !accepted.includes(key)) {
        throw new SwarmError('InvalidArgument', `invalid filter '${key}'`)
      }
    }
    return new Filters(values)
  }

  /** Whether all objects are asked for. */
  get isEmpty(): boolean {
    return this.#values.size === 0
  }

  /** The values of a key; empty where it is not given. */
  get(key: string): readonly string[] {
    return this.#values.get(key) ?? []
  }

  has(key: string): boolean {
    return this.#values.has(key)
  }

  /** Whether no value is given, or one of them is `value`. */
  allows(key: string, value: string): boolean {
    const wanted = this.get(key)
    return wanted.length === 0 || wanted.includes(value)
  }

  /** Whether no value is given, or `text` starts with one of them. */
  allowsPrefixOf(key: string, text: string): boolean {
    const wanted = this.get(key)
    return wanted.length === 0 || wanted.some((prefix) => text.startsWith(prefix))
  }

  /** Whether the labels match all that the key asks for: `k` or `k=v`. */
  allowsLabels(key: string, labels: Readonly<Record<string, string>> | undefined): boolean {
    return matchesLabels(this.get(key), labels ?? {})
  }

  /**
   * Values of a few words, in lower case, without empty ones.
   * @throws {SwarmError} Unknown (HTTP 500, as in Docker) `Invalid role filter: 'a'`.
   */
  words(key: string, known: readonly string[]): readonly string[] {
    const given = this.get(key).filter((value) => value !== '')
    return given.map((value) => {
      const word = value.toLowerCase()
      if (!known.includes(word)) throw new SwarmError('Unknown', `Invalid ${key} filter: '${value}'`)
      return word
    })
  }

  /** As an engine reads them, of the given keys only. Empty where none is given. */
  toQuery(keys: readonly string[]): string {
    const given = keys.filter((key) => this.has(key)).map((key) => [key, this.get(key)])
    return given.length === 0
      ? ''
      : `?filters=${encodeURIComponent(JSON.stringify(Object.fromEntries(given)))}`
  }
}

/** `k` asks for presence; so does `k=`, since an empty value compares with nothing. */
export function matchesLabels(wanted: readonly string[], labels: Readonly<Record<string, string>>): boolean {
  // Of two values with the same key one is dropped.
  const pairs = new Map(wanted.map((text) => splitLabel(text)))
  for (const [name, value] of pairs) {
    if (!Object.hasOwn(labels, name) || (value !== '' && labels[name] !== value)) return false
  }
  return true
}

function splitLabel(text: string): [string, string] {
  const at = text.indexOf('=')
  return at === -1 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)]
}

function readFilters(text: string): Map<string, readonly string[]> {
  if (text === '') return new Map()
  const parsed = parseJson(text)
  if (parsed === null) return new Map()
  if (typeof parsed !== 'object' || Array.isArray(parsed)) throw invalidFilter()
  return new Map(Object.entries(parsed).map(([key, value]) => [key, readValues(value)]))
}

/** `{"v1": true, "v2": true}`, whose booleans mean nothing, or the older `["v1", "v2"]`. */
function readValues(value: unknown): readonly string[] {
  if (value === null) return []
  if (Array.isArray(value)) {
    if (!value.every((item) => typeof item === 'string')) throw invalidFilter()
    return [...new Set(value)]
  }
  if (typeof value !== 'object') throw invalidFilter()
  if (!Object.values(value).every((item) => typeof item === 'boolean')) throw invalidFilter()
  return Object.keys(value)
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw invalidFilter()
  }
}

function invalidFilter(): SwarmError {
  return new SwarmError('InvalidArgument', 'invalid filter')
}
