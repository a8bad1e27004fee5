import { Type, type Static, type TOptional, type TProperties, type TSchema } from 'typebox'

/**
 * Building blocks of the schemas in this folder.
 *
 * They describe what users may send, as Docker's Go structs read it: every member may be absent, member
 * names match whatever their case, unknown members are dropped. Three annotations carry what JSON schema
 * has no word for: `title` is the name of the Go struct, which stands in error texts; `format` of a number
 * is its Go type, which also gives its range; `componentName` tells apart structs that Go keeps in
 * different packages under one name.
 */

/** The static type of a schema with every part readonly, as spec values are never changed in place. */
export type Spec<S extends TSchema> = DeepReadonly<Static<S>>

type DeepReadonly<T> = T extends readonly (infer Item)[]
  ? readonly DeepReadonly<Item>[]
  : T extends object
    ? { readonly [K in keyof T]: DeepReadonly<T[K]> }
    : T

type AllOptional<P extends TProperties> = { [K in keyof P]: TOptional<P[K]> }

interface StructOptions {
  readonly description?: string
  /** Name among the OpenAPI components where it is not `title`. */
  readonly componentName?: string
  /** Go writes `{}` where it is absent. */
  readonly presence?: 'always'
}

/** A Go struct: an object whose members may all be absent. */
export function struct<P extends TProperties>(title: string, members: P, options: StructOptions = {}) {
  const optional = Object.fromEntries(
    Object.entries(members).map(([name, schema]) => [name, Type.Optional(schema)]),
  ) as AllOptional<P>
  return Type.Object(optional, { title, ...options })
}

/** Name of a struct among the OpenAPI components. */
export function componentName(schema: TSchema): string | undefined {
  const { componentName: own, title } = schema as { componentName?: string; title?: string }
  return own ?? title
}

/**
 * When a member is written: `always` as Go's zero value where it is absent (no `omitempty`), `pointer`
 * where zero and absent are two things. Without either, zero means absent. See canonical.ts.
 */
export type Presence = 'always' | 'pointer'

export const text = (description?: string, presence?: Presence) => Type.String(noted(description, presence))
export const flag = (description?: string, presence?: Presence) => Type.Boolean(noted(description, presence))
export const float64 = (description?: string, presence?: Presence) =>
  Type.Number({ format: 'double', ...noted(description, presence) })
export const list = <S extends TSchema>(items: S, description?: string) =>
  Type.Array(items, noted(description))
export const texts = (description?: string) => Type.Array(Type.String(), noted(description))

/** One of a few words. Which of them hold is checked by `control`, whose error texts are Docker's. */
export const word = (words: readonly string[], description?: string, presence?: Presence) =>
  Type.String({ examples: words, ...noted(description, presence) })

/** Bytes, base64 in JSON as Go writes them. Kept in that form. */
export const base64 = (description?: string) => Type.String({ format: 'byte', ...noted(description) })

export const stringMap = (description?: string, presence?: Presence) =>
  Type.Unsafe<Record<string, string>>({
    type: 'object',
    additionalProperties: { type: 'string' },
    ...noted(description, presence),
  })

const integer = (format: string) => (description?: string, presence?: Presence) =>
  Type.Integer({ format, ...noted(description, presence) })

export const int64 = integer('int64')
export const int = integer('int')
export const uint64 = integer('uint64')
export const uint32 = integer('uint32')
/** A Go `time.Duration`. */
export const nanoseconds = (description: string, presence?: Presence) =>
  int64(`${description} In nanoseconds.`, presence)

function noted(description?: string, presence?: Presence): { description?: string; presence?: Presence } {
  return { ...(description !== undefined && { description }), ...(presence !== undefined && { presence }) }
}
