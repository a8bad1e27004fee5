import type { TSchema } from 'typebox'
import { base64Fault } from './base64.js'
import { JsonNumber, JsonObject, type JsonValue } from './json-syntax.js'

/** What of a schema of src/model/spec the decoder looks at. */
interface SchemaNode {
  readonly type?: string
  readonly format?: string
  readonly title?: string
  readonly properties?: Readonly<Record<string, SchemaNode>>
  readonly additionalProperties?: SchemaNode | boolean
  readonly items?: SchemaNode
}

/** A value does not have the type that its place asks for. The message is Go's. */
export class DecodeError extends Error {}

/**
 * Reads a JSON value into a Go struct that a schema describes: names match whatever their case, unknown
 * members are dropped, null means absent, a member that comes twice is merged, and nothing is converted.
 * Members come out in the order of the schema.
 * @throws {DecodeError} with Go's text for the first value of a wrong type.
 * Behaviour: Go's encoding/json, decode.go.
 */
export function decode(schema: TSchema, value: JsonValue): object {
  const decoder = new Decoder()
  const decoded = decoder.read(schema, value, undefined, undefined)
  if (decoder.firstError !== undefined) throw decoder.firstError
  return decoded ?? {}
}

/** Where the decoder is: for its error texts. Undefined outside of any struct. */
interface Place {
  readonly parent: Place | undefined
  /** Name of the innermost struct, if it has one. */
  readonly struct: string | undefined
  readonly member: string
}

class Decoder {
  /** Go decodes on after an error and reports the first. */
  firstError: DecodeError | undefined

  /** Undefined where the value is null, or has the wrong type. `previous`: what the member had before. */
  read(schema: SchemaNode, value: JsonValue, place: Place | undefined, previous: unknown): unknown {
    if (value === null) return undefined
    if (schema.properties !== undefined) return this.#struct(schema, value, place, previous)
    switch (schema.type) {
      case 'string':
        if (typeof value !== 'string') return this.#mismatch(schema, value, place)
        return schema.format === 'byte' ? this.#bytes(value) : value
      case 'boolean':
        return typeof value === 'boolean' ? value : this.#mismatch(schema, value, place)
      case 'integer':
      case 'number':
        return this.#number(schema, value, place)
      case 'array':
        return this.#array(schema, value, place)
      case 'object':
        return this.#map(schema, value, place, previous)
      default:
        return toPlain(value)
    }
  }

  #struct(schema: SchemaNode, value: JsonValue, place: Place | undefined, previous: unknown): unknown {
    if (!(value instanceof JsonObject)) return this.#mismatch(schema, value, place)
    const found: Record<string, unknown> = Object.assign(Object.create(null), previous)
    const members = membersOf(schema)
    for (const [givenName, memberValue] of value.members) {
      const name = members.names.get(givenName) ?? members.names.get(givenName.toLowerCase())
      const member = name === undefined ? undefined : schema.properties?.[name]
      if (name === undefined || member === undefined) continue
      const inner = { parent: place, struct: schema.title, member: name }
      const decoded = this.read(member, memberValue, inner, found[name])
      if (decoded !== undefined) found[name] = decoded
      else if (memberValue === null && isNullable(member)) found[name] = undefined
    }
    const ordered: Record<string, unknown> = {}
    for (const name of members.inOrder) if (found[name] !== undefined) ordered[name] = found[name]
    return ordered
  }

  #map(schema: SchemaNode, value: JsonValue, place: Place | undefined, previous: unknown): unknown {
    if (!(value instanceof JsonObject)) return this.#mismatch(schema, value, place)
    const item = itemOf(schema)
    const entries = new Map<string, unknown>(Object.entries(previous ?? {}))
    for (const [name, memberValue] of value.members) {
      entries.set(name, this.read(item, memberValue, place, undefined) ?? zero(item))
    }
    return Object.fromEntries(entries)
  }

  #array(schema: SchemaNode, value: JsonValue, place: Place | undefined): unknown {
    if (!Array.isArray(value)) return this.#mismatch(schema, value, place)
    const items = schema.items ?? {}
    return (value as readonly JsonValue[]).map(
      (item) => this.read(items, item, place, undefined) ?? zero(items),
    )
  }

  #number(schema: SchemaNode, value: JsonValue, place: Place | undefined): unknown {
    if (!(value instanceof JsonNumber)) return this.#mismatch(schema, value, place)
    const number = Number(value.text)
    const fits =
      schema.type === 'integer' ? isInRange(value.text, schema.format ?? 'int64') : Number.isFinite(number)
    // -0 would come back as 0 and differ from what is stored.
    return fits ? number + 0 : this.#mismatch(schema, value, place, `number ${value.text}`)
  }

  /** Kept as base64, in the one form that an encoder gives. */
  #bytes(text: string): string | undefined {
    const fault = base64Fault(text)
    if (fault === undefined) return Buffer.from(text, 'base64').toString('base64')
    this.firstError ??= new DecodeError(`illegal base64 data at input byte ${fault}`)
    return undefined
  }

  #mismatch(schema: SchemaNode, value: JsonValue, place: Place | undefined, what = kindOf(value)): undefined {
    const target =
      place?.struct === undefined
        ? `Go value of type ${goType(schema)}`
        : `Go struct field ${place.struct}.${pathOf(place)} of type ${goType(schema)}`
    this.firstError ??= new DecodeError(`json: cannot unmarshal ${what} into ${target}`)
    return undefined
  }
}

interface Members {
  /** By their names in every case: exact ones first. */
  readonly names: ReadonlyMap<string, string>
  readonly inOrder: readonly string[]
}

const membersBySchema = new WeakMap<SchemaNode, Members>()

function membersOf(schema: SchemaNode): Members {
  let members = membersBySchema.get(schema)
  if (members === undefined) {
    const inOrder = Object.keys(schema.properties ?? {})
    const names = new Map([
      ...inOrder.map((name) => [name.toLowerCase(), name] as const),
      ...inOrder.map((name) => [name, name] as const),
    ])
    membersBySchema.set(schema, (members = { names, inOrder }))
  }
  return members
}

/** In Go, null empties pointers, lists and maps, and leaves all else as it is. */
function isNullable(schema: SchemaNode): boolean {
  return schema.properties !== undefined || schema.type === 'array' || schema.type === 'object'
}

function itemOf({ additionalProperties }: SchemaNode): SchemaNode {
  return typeof additionalProperties === 'object' ? additionalProperties : {}
}

/** What stands in a list or map where null was sent. */
function zero(schema: SchemaNode): unknown {
  if (schema.properties !== undefined) return {}
  const zeros: Readonly<Record<string, unknown>> = {
    string: '',
    boolean: false,
    integer: 0,
    number: 0,
    array: [],
    object: {},
  }
  return zeros[schema.type ?? ''] ?? null
}

const ranges: Readonly<Record<string, readonly [min: bigint, max: bigint]>> = {
  int: [-(2n ** 63n), 2n ** 63n - 1n],
  int64: [-(2n ** 63n), 2n ** 63n - 1n],
  uint64: [0n, 2n ** 64n - 1n],
  int32: [-(2n ** 31n), 2n ** 31n - 1n],
  uint32: [0n, 2n ** 32n - 1n],
  uint16: [0n, 2n ** 16n - 1n],
}

/** Go reads a whole number only where it is written as one: neither `1.0` nor `1e3`. */
function isInRange(text: string, format: string): boolean {
  if (!/^-?\d{1,20}$/.test(text)) return false
  const value = BigInt(text)
  const [min, max] = ranges[format] ?? [-(2n ** 63n), 2n ** 63n - 1n]
  // "-0" is a syntax error for Go's unsigned types.
  return value >= min && value <= max && !(min === 0n && text.startsWith('-'))
}

function kindOf(value: JsonValue): string {
  if (typeof value === 'string') return 'string'
  if (typeof value === 'boolean') return 'bool'
  if (value instanceof JsonNumber) return 'number'
  return value instanceof JsonObject ? 'object' : 'array'
}

/** Packages of the structs that are not in Docker's `swarm`. */
const goPackages: Readonly<Record<string, string>> = {
  CreateRequest: 'network',
  IPAM: 'network',
  IPAMConfig: 'network',
  HealthConfig: 'container',
  Ulimit: 'container',
  Mount: 'mount',
  BindOptions: 'mount',
  VolumeOptions: 'mount',
  ImageOptions: 'mount',
  TmpfsOptions: 'mount',
  ClusterOptions: 'mount',
}

function goType(schema: SchemaNode): string {
  if (schema.properties !== undefined) {
    const name = schema.title ?? 'struct'
    return `${goPackages[name] ?? 'swarm'}.${name}`
  }
  switch (schema.type) {
    case 'string':
      return schema.format === 'byte' ? '[]uint8' : 'string'
    case 'boolean':
      return 'bool'
    case 'integer':
      return schema.format ?? 'int64'
    case 'number':
      return 'float64'
    case 'array':
      return `[]${goType(schema.items ?? {})}`
    case 'object':
      return `map[string]${goType(itemOf(schema))}`
    default:
      return 'interface {}'
  }
}

function pathOf({ parent, member }: Place): string {
  return parent === undefined ? member : `${pathOf(parent)}.${member}`
}

function toPlain(value: JsonValue): unknown {
  if (value instanceof JsonNumber) return Number(value.text)
  if (value instanceof JsonObject) {
    return Object.fromEntries(value.members.map(([name, member]) => [name, toPlain(member)]))
  }
  return Array.isArray(value) ? (value as readonly JsonValue[]).map(toPlain) : value
}
