import { componentName } from '../../model/spec/index.js'

type Json = Readonly<Record<string, unknown>>

/** Annotations of src/model/spec that mean nothing to readers of the document. */
const ownAnnotations: ReadonlySet<string> = new Set(['presence', 'componentName', 'examples', '$id'])
/** Number formats as OpenAPI names them, of Go types. */
const formats: Readonly<Record<string, string>> = { int: 'int64', uint32: 'int64' }

/**
 * Puts every named struct of a document among its components, once, with references in its place, and
 * turns what only Skep's decoder understands into words.
 */
export function hoistComponents<T extends object>(document: T): T {
  const hoist = new Hoist()
  const walked = hoist.value(document) as T & { readonly components?: Json }
  return { ...walked, components: { ...walked.components, schemas: hoist.components() } }
}

class Hoist {
  readonly #components = new Map<string, unknown>()

  components(): Json {
    const sorted = [...this.#components].sort(([a], [b]) => (a < b ? -1 : 1))
    return Object.fromEntries(sorted)
  }

  value(value: unknown): unknown {
    if (Array.isArray(value)) return value.map((item) => this.value(item))
    if (typeof value !== 'object' || value === null) return value
    const name = isStruct(value) ? componentName(value) : undefined
    if (name === undefined) return this.#members(value)
    if (!this.#components.has(name)) {
      // Reserved first: a struct may hold itself.
      this.#components.set(name, undefined)
      const { title: _title, nullable: _nullable, ...rest } = value as Json
      this.#components.set(name, this.#members(rest))
    }
    const reference = { $ref: `#/components/schemas/${name}` }
    return 'nullable' in value ? { allOf: [reference], nullable: true } : reference
  }

  #members(value: object): unknown {
    const members = Object.entries(withWords(value)).filter(([name]) => !ownAnnotations.has(name))
    return Object.fromEntries(members.map(([name, member]) => [name, this.#member(name, member)]))
  }

  #member(name: string, member: unknown): unknown {
    if (name === 'format' && typeof member === 'string') return formats[member] ?? member
    // Below `properties` stand names of users' members, which may be called like an annotation.
    if (name === 'properties' && typeof member === 'object' && member !== null) {
      return Object.fromEntries(Object.entries(member).map(([key, schema]) => [key, this.value(schema)]))
    }
    return this.value(member)
  }
}

/** The words that a text may be: not as `enum`, since the empty text is one as well, and more may come. */
function withWords(schema: object): object {
  if (!('examples' in schema) || !Array.isArray(schema.examples)) return schema
  const words = `One of ${schema.examples.map((word) => `\`${String(word)}\``).join(', ')}.`
  const description = (schema as { readonly description?: string }).description
  return { ...schema, description: description === undefined ? words : `${description} ${words}` }
}

function isStruct(value: object): value is object & { readonly title: string } {
  return 'title' in value && typeof value.title === 'string' && 'properties' in value
}
