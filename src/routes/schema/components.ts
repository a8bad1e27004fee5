import { componentName } from '../../model/spec/index.js'

type Json = Readonly<Record<string, unknown>>

/** Annotations of src/model/spec that mean nothing to readers of the document. */
const ownAnnotations: ReadonlySet<string> = new Set(['presence', 'componentName', 'examples', '$id'])
/** Number formats as OpenAPI names them, of Go types. */
const formats: Readonly<Record<string, string>> = { int: 'int64', uint32: 'int64', uint64: 'uint64' }

/**
 * Puts every named struct of a document among its components, once, with references in its place, and
 * drops what only Skep's decoder understands.
 */
export function hoistComponents<T extends object>(document: T): T {
  const components = new Map<string, unknown>()
  const walk = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(walk)
    if (typeof value !== 'object' || value === null) return value
    const name = isStruct(value) ? componentName(value) : undefined
    if (name === undefined) return walkMembers(value)
    if (!components.has(name)) {
      // Reserved before its members are seen, so that components stand in the order of their first use.
      components.set(name, undefined)
      const { title: _title, nullable: _nullable, ...rest } = value as Json
      components.set(name, walkMembers(rest))
    }
    const ref = { $ref: `#/components/schemas/${name}` }
    return (value as Json).nullable === true ? { allOf: [ref], nullable: true } : ref
  }
  const walkMembers = (value: object): unknown => {
    return Object.fromEntries(
      Object.entries(value)
        .filter(([name]) => !ownAnnotations.has(name))
        .map(([name, member]) => [name, walkMember(name, member)]),
    )
  }
  const walkMember = (name: string, member: unknown): unknown => {
    if (name === 'format' && typeof member === 'string') return formats[member] ?? member
    if (name === 'properties' && typeof member === 'object' && member !== null) {
      return Object.fromEntries(Object.entries(member).map(([key, schema]) => [key, walk(schema)]))
    }
    return walk(member)
  }
  const walked = walk(document) as T & { readonly components?: Json }
  const sorted = [...components].sort(([a], [b]) => (a < b ? -1 : 1))
  return { ...walked, components: { ...walked.components, schemas: Object.fromEntries(sorted) } }
}

function isStruct(value: object): value is object & { readonly title: string } {
  return 'title' in value && typeof value.title === 'string' && 'properties' in value
}
