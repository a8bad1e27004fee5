/** The values that templates meet. Structs know their Go type, for error texts. */
export type TemplateValue = string | number | boolean | undefined | TemplateMap | TemplateStruct

export interface TemplateMap {
  readonly kind: 'map'
  readonly entries: Readonly<Record<string, string>>
}

export interface TemplateStruct {
  readonly kind: 'struct'
  /** As Go prints it: `*template.Context`. */
  readonly type: string
  readonly fields: Readonly<Record<string, TemplateValue>>
}

export interface TemplateFunction {
  /** Fewest and most arguments. */
  readonly least: number
  readonly most?: number
  /** Arguments that must be strings. */
  readonly texts?: 'all' | 'first'
  /** @throws {Error} with the text that Go's function would give. */
  readonly call: (...args: readonly TemplateValue[]) => TemplateValue
}

const exactly = (count: number, call: TemplateFunction['call']): TemplateFunction => ({
  least: count,
  most: count,
  call,
})
const atLeast = (count: number, call: TemplateFunction['call']): TemplateFunction => ({ least: count, call })

/** Go's built-in functions that make sense for these values, and swarmkit's `join`. */
export const templateFunctions: Readonly<Record<string, TemplateFunction>> = {
  and: atLeast(1, (...args) => args.find((arg) => !isTrue(arg)) ?? args.at(-1)),
  or: atLeast(1, (...args) => args.find((arg) => isTrue(arg)) ?? args.at(-1)),
  not: exactly(1, (arg) => !isTrue(arg)),
  len: exactly(1, length),
  index: atLeast(1, index),
  slice: atLeast(1, slice),
  join: {
    least: 1,
    texts: 'all',
    call: (separator, ...parts) => parts.map((part) => asText(part)).join(asText(separator)),
  },
  print: atLeast(0, (...args) => print(args)),
  println: atLeast(0, (...args) => `${args.map((arg) => printed(arg)).join(' ')}\n`),
  printf: { least: 1, texts: 'first', call: (format, ...args) => printf(asText(format), args) },
  html: atLeast(0, (...args) => print(args).replace(/[&<>"'\0]/g, (c) => htmlEscapes[c] ?? c)),
  urlquery: atLeast(0, (...args) => encodeURIComponent(print(args)).replaceAll('%20', '+')),
  eq: atLeast(1, (first, ...others) => {
    if (others.length === 0) throw new Error('missing argument for comparison')
    return others.some((other) => compare(first, other) === 0)
  }),
  ne: exactly(2, (a, b) => compare(a, b) !== 0),
  lt: exactly(2, (a, b) => compare(a, b) < 0),
  le: exactly(2, (a, b) => compare(a, b) <= 0),
  gt: exactly(2, (a, b) => compare(a, b) > 0),
  ge: exactly(2, (a, b) => compare(a, b) >= 0),
}

const htmlEscapes: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&#34;',
  "'": '&#39;',
  '\0': '\uFFFD',
}

/** Go's notion of true: not the type's zero value. A struct always is. */
export function isTrue(value: TemplateValue): boolean {
  if (typeof value !== 'object') return value !== undefined && value !== '' && value !== 0 && value !== false
  return value.kind === 'struct' || Object.keys(value.entries).length > 0
}

export function typeName(value: TemplateValue): string {
  if (typeof value === 'string') return 'string'
  if (typeof value === 'number') return Number.isInteger(value) ? 'int' : 'float64'
  if (typeof value === 'boolean') return 'bool'
  if (value === undefined) return 'nil'
  return value.kind === 'map' ? 'map[string]string' : value.type
}

/** A value as Go prints it with `%v`. */
export function printed(value: TemplateValue): string {
  if (value === undefined) return '<no value>'
  if (typeof value !== 'object') return String(value)
  if (value.kind === 'struct')
    return `{${Object.values(value.fields)
      .map((field) => printed(field))
      .join(' ')}}`
  const pairs = Object.entries(value.entries).sort(([a], [b]) => (a < b ? -1 : 1))
  return `map[${pairs.map(([key, entry]) => `${key}:${entry}`).join(' ')}]`
}

function length(value: TemplateValue): number {
  if (typeof value === 'string') return Buffer.byteLength(value)
  if (typeof value === 'object' && value.kind === 'map') return Object.keys(value.entries).length
  throw new Error(`len of type ${typeName(value)}`)
}

/** Of strings, by bytes as in Go. */
function slice(value: TemplateValue, ...bounds: readonly TemplateValue[]): TemplateValue {
  if (typeof value !== 'string') throw new Error(`can't slice item of type ${typeName(value)}`)
  if (bounds.length > 2) throw new Error('cannot 3-index slice a string')
  const bytes = Buffer.from(value)
  const [from = 0, to = bytes.length] = bounds.map((bound) => byteIndex(bound, bytes.length))
  if (from > to) throw new Error(`invalid slice index: ${from} > ${to}`)
  return bytes.subarray(from, to).toString()
}

function byteIndex(value: TemplateValue, most: number): number {
  if (typeof value !== 'number') throw new Error(`cannot index slice/array with type ${typeName(value)}`)
  if (value < 0 || value > most) throw new Error(`index out of range: ${value}`)
  return value
}

function index(container: TemplateValue, ...keys: readonly TemplateValue[]): TemplateValue {
  let value = container
  for (const key of keys) {
    if (typeof value === 'object' && value.kind === 'map') {
      if (typeof key !== 'string') throw new Error(`value has type ${typeName(key)}; should be string`)
      value = Object.hasOwn(value.entries, key) ? (value.entries[key] ?? '') : ''
    } else if (typeof value === 'string') {
      const bytes = Buffer.from(value)
      value = bytes[byteIndex(key, bytes.length - 1)]
    } else {
      throw new Error(`can't index item of type ${typeName(value)}`)
    }
  }
  return value
}

/** @throws {Error} where the value is no string. */
export function asText(value: TemplateValue): string {
  if (typeof value === 'string') return value
  throw new Error(`wrong type for value; expected string; got ${typeName(value)}`)
}

/** Spaces stand between two values of which neither is a string. */
function print(args: readonly TemplateValue[]): string {
  return args
    .map((arg, at) => {
      const before = args[at - 1]
      return (at > 0 && typeof before !== 'string' && typeof arg !== 'string' ? ' ' : '') + printed(arg)
    })
    .join('')
}

function compare(a: TemplateValue, b: TemplateValue): number {
  if (typeof a !== typeof b) throw new Error('incompatible types for comparison')
  if (typeof a === 'object' || a === undefined) throw new Error('invalid type for comparison')
  const [left, right] = [a, b as typeof a]
  return left === right ? 0 : left < right ? -1 : 1
}

/** Go's `%v %s %q %d %x %X %t %f %c %o %b %T`, with width, precision and the flags `-`, `0` and `+`. */
function printf(format: string, args: readonly TemplateValue[]): string {
  let next = 0
  const out = format.replace(/%([-+0 #]*)(\d*)(?:\.(\d+))?([a-zA-Z%])/g, (_, ...groups: string[]) => {
    const [flags = '', width = '', precision, verb = ''] = groups
    if (verb === '%') return '%'
    if (next >= args.length) return `%!${verb}(MISSING)`
    const body = formatOne(verb, args[next++], precision === undefined ? undefined : Number(precision), flags)
    if (flags.includes('-')) return body.padEnd(Number(width))
    if (!flags.includes('0')) return body.padStart(Number(width))
    const sign = /^[+-]/.exec(body)?.[0] ?? ''
    return sign + body.slice(sign.length).padStart(Number(width) - sign.length, '0')
  })
  if (next >= args.length) return out
  const extra = args.slice(next).map((arg) => `${typeName(arg)}=${printed(arg)}`)
  return `${out}%!(EXTRA ${extra.join(', ')})`
}

function formatOne(verb: string, value: TemplateValue, precision: number | undefined, flags: string): string {
  const wrong = () => `%!${verb}(${typeName(value)}=${printed(value)})`
  const sign = (shown: string) => (flags.includes('+') && Number(value) >= 0 ? `+${shown}` : shown)
  const whole = typeof value === 'number' && Number.isInteger(value)
  switch (verb) {
    case 'v':
      return printed(value)
    case 'T':
      return typeName(value)
    case 's':
      if (typeof value !== 'string') return typeof value === 'object' ? printed(value) : wrong()
      return precision === undefined ? value : Array.from(value).slice(0, precision).join('')
    case 'q':
      return typeof value === 'string' ? JSON.stringify(value) : wrong()
    case 't':
      return typeof value === 'boolean' ? String(value) : wrong()
    case 'd':
      return whole ? sign(String(value)) : wrong()
    case 'b':
      return whole ? value.toString(2) : wrong()
    case 'o':
      return whole ? value.toString(8) : wrong()
    case 'c':
      return whole ? String.fromCodePoint(value) : wrong()
    case 'f':
      return typeof value === 'number' && !whole ? sign(value.toFixed(precision ?? 6)) : wrong()
    case 'x':
    case 'X': {
      const hex = whole
        ? value.toString(16)
        : typeof value === 'string'
          ? Buffer.from(value).toString('hex')
          : wrong()
      return verb === 'X' && !hex.startsWith('%!') ? hex.toUpperCase() : hex
    }
    default:
      return wrong()
  }
}
