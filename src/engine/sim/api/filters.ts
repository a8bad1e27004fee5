import { SwarmError } from '../../../model/errors.js'
import { record } from './answer.js'

/** The `filters` of a query. Several values of a key: any may match; several keys: all must. */
export class Filters {
  readonly #values: ReadonlyMap<string, readonly string[]>

  private constructor(values: ReadonlyMap<string, readonly string[]>) {
    this.#values = values
  }

  /**
   * @param known the keys that the endpoint understands.
   * @throws {SwarmError} InvalidArgument with Docker's texts.
   */
  static parse(query: URLSearchParams, known: readonly string[]): Filters {
    const text = query.get('filters') ?? ''
    if (text === '') return new Filters(new Map())
    let parsed: unknown
    try {
      parsed = JSON.parse(text)
    } catch (error) {
      throw new SwarmError('InvalidArgument', 'invalid filter', { cause: error })
    }
    const values = new Map<string, readonly string[]>()
    for (const [key, value] of Object.entries(record(parsed))) {
      if (!known.includes(key)) throw new SwarmError('InvalidArgument', `invalid filter '${key}'`)
      values.set(key, Array.isArray(value) ? value.map(String) : Object.keys(record(value)))
    }
    return new Filters(values)
  }

  values(key: string): readonly string[] {
    return this.#values.get(key) ?? []
  }

  has(key: string): boolean {
    return this.values(key).length > 0
  }

  /** True without such a filter, or when one of its values passes. */
  any(key: string, passes: (value: string) => boolean): boolean {
    return !this.has(key) || this.values(key).some(passes)
  }

  /** Labels, of which all must match: `k`, or `k=v`. */
  labels(labels: Readonly<Record<string, string>>): boolean {
    return this.values('label').every((wanted) => {
      const at = wanted.indexOf('=')
      return at < 0 ? Object.hasOwn(labels, wanted) : labels[wanted.slice(0, at)] === wanted.slice(at + 1)
    })
  }

  flag(key: string): boolean | undefined {
    const [value] = this.values(key)
    return value === undefined ? undefined : ['1', 'true', 't', 'True', 'TRUE', 'T'].includes(value)
  }
}

/** A filter value of a name: a regular expression, or a part where it is none. */
export function nameMatches(name: string, wanted: string): boolean {
  try {
    return new RegExp(wanted).test(name)
  } catch {
    // What is no regular expression is looked for as it stands.
    return name.includes(wanted)
  }
}
