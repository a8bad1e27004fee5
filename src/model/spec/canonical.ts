import type { TSchema } from 'typebox'
import type { Presence, Spec } from './schema.js'

interface Node {
  readonly type?: string
  readonly properties?: Readonly<Record<string, Node>>
  readonly items?: Node
  readonly presence?: Presence
}

/**
 * A spec as Docker shows it after it was stored: members in the order of the Go struct, zero values left
 * out or written as `presence` says, keys of maps in order. Two specs that mean the same come out equal.
 * Members that the schema does not know are dropped.
 */
export function canonical<S extends TSchema>(schema: S, value: Spec<S>): Spec<S> {
  return write(schema, value) as Spec<S>
}

function write(schema: Node, value: unknown): unknown {
  if (schema.properties !== undefined) return writeStruct(schema.properties, value ?? {})
  if (schema.type === 'array') {
    const { items = {} } = schema
    return ((value ?? []) as readonly unknown[]).map((item) => write(items, item))
  }
  if (schema.type === 'object') {
    return Object.fromEntries(Object.entries(value ?? {}).sort(([a], [b]) => (a < b ? -1 : 1)))
  }
  return value ?? zeros[schema.type ?? '']
}

type Members = Readonly<Record<string, Node>>

const listed = new WeakMap<Members, readonly (readonly [string, Node])[]>()

/** A schema has forty members and a spec a few of them: listing them anew takes longer than all else. */
function entriesOf(members: Members): readonly (readonly [string, Node])[] {
  let entries = listed.get(members)
  if (entries === undefined) listed.set(members, (entries = Object.entries(members)))
  return entries
}

function writeStruct(members: Members, value: object): object {
  const given = value as Readonly<Record<string, unknown>>
  const out: Record<string, unknown> = {}
  for (const [name, schema] of entriesOf(members)) {
    const member = given[name] ?? undefined
    if (member === undefined && schema.presence !== 'always') continue
    const written = write(schema, member)
    if (schema.presence !== undefined || schema.properties !== undefined || !isZero(written))
      out[name] = written
  }
  return out
}

const zeros: Readonly<Record<string, unknown>> = { string: '', integer: 0, number: 0, boolean: false }

function isZero(value: unknown): boolean {
  if (typeof value === 'object' && value !== null) return Object.keys(value).length === 0
  return value === undefined || value === '' || value === 0 || value === false
}
