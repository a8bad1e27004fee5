/**
 * JSON text as a tree that keeps what `JSON.parse` drops and Go's decoder sees: the digits of a number, and
 * members that come twice. Error texts are Go's (encoding/json, scanner.go).
 */
export type JsonValue = null | boolean | string | JsonNumber | JsonObject | readonly JsonValue[]

/** A number as it is written. */
export class JsonNumber {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }
}

/** The members in their order. */
export class JsonObject {
  readonly members: readonly (readonly [name: string, value: JsonValue])[]

  constructor(members: readonly (readonly [string, JsonValue])[]) {
    this.members = members
  }
}

/** The text is no JSON. `truncated` where more text could have made it so. */
export class JsonSyntaxError extends Error {
  readonly truncated: boolean

  constructor(message: string, truncated = false) {
    super(message)
    this.truncated = truncated
  }
}

/** Values nested deeper than this are refused; Go does so at 10,000, which would overflow the stack here. */
const maxDepth = 1000

/** Reads the first value of `text`. `end` is where it ends: what follows may be anything. */
export function parseJson(text: string): { readonly value: JsonValue; readonly end: number } {
  const parser = new Parser(text)
  const value = parser.value(0)
  return { value, end: parser.at }
}

/** Whether something other than white space and closing brackets follows, as Go's `Decoder.More` says. */
export function hasMore(text: string, at: number): boolean {
  const rest = /[^ \t\r\n]/.exec(text.slice(at))?.[0]
  return rest !== undefined && rest !== ']' && rest !== '}'
}

class Parser {
  readonly #text: string
  at = 0

  constructor(text: string) {
    this.#text = text
  }

  value(depth: number): JsonValue {
    if (depth > maxDepth) throw new JsonSyntaxError('exceeded max depth')
    this.#skipSpace()
    const char = this.#text[this.at]
    switch (char) {
      case '{':
        return this.#object(depth)
      case '[':
        return this.#array(depth)
      case '"':
        return this.#string()
      case 't':
        return this.#literal('true', true)
      case 'f':
        return this.#literal('false', false)
      case 'n':
        return this.#literal('null', null)
      default:
        if (char === '-' || isDigit(char)) return this.#number()
        throw this.#unexpected('looking for beginning of value')
    }
  }

  #object(depth: number): JsonObject {
    const members: [string, JsonValue][] = []
    this.at++
    this.#skipSpace()
    if (this.#take('}')) return new JsonObject(members)
    for (;;) {
      this.#skipSpace()
      if (this.#text[this.at] !== '"') throw this.#unexpected('looking for beginning of object key string')
      const name = this.#string()
      this.#skipSpace()
      if (!this.#take(':')) throw this.#unexpected('after object key')
      members.push([name, this.value(depth + 1)])
      this.#skipSpace()
      if (this.#take('}')) return new JsonObject(members)
      if (!this.#take(',')) throw this.#unexpected('after object key:value pair')
    }
  }

  #array(depth: number): JsonValue[] {
    const items: JsonValue[] = []
    this.at++
    this.#skipSpace()
    if (this.#take(']')) return items
    for (;;) {
      items.push(this.value(depth + 1))
      this.#skipSpace()
      if (this.#take(']')) return items
      if (!this.#take(',')) throw this.#unexpected('after array element')
    }
  }

  #string(): string {
    const start = this.at
    // What needs no look at single characters is taken in one step: a secret is one long string.
    plainCharacters.lastIndex = start + 1
    plainCharacters.test(this.#text)
    this.at = Math.max(plainCharacters.lastIndex, start + 1)
    while (this.#text[this.at] !== '"') {
      const char = this.#text[this.at]
      if (char === undefined || char < ' ') throw this.#unexpected('in string literal')
      if (char === '\\') this.#escape()
      else this.at++
    }
    this.at++
    return JSON.parse(this.#text.slice(start, this.at)) as string
  }

  #escape(): void {
    this.at++
    const char = this.#text[this.at]
    if (char === undefined || !'"\\/bfnrtu'.includes(char)) throw this.#unexpected('in string escape code')
    this.at++
    if (char !== 'u') return
    for (let digits = 0; digits < 4; digits++, this.at++) {
      if (!/[0-9a-fA-F]/.test(this.#text[this.at] ?? '')) {
        throw this.#unexpected('in \\u hexadecimal character escape')
      }
    }
  }

  #number(): JsonNumber {
    const start = this.at
    if (this.#take('-') && !isDigit(this.#text[this.at])) throw this.#unexpected('in numeric literal')
    if (!this.#take('0')) this.#digits()
    if (this.#take('.')) {
      if (!isDigit(this.#text[this.at])) throw this.#unexpected('after decimal point in numeric literal')
      this.#digits()
    }
    if (this.#take('e') || this.#take('E')) {
      if (!this.#take('+')) this.#take('-')
      if (!isDigit(this.#text[this.at])) throw this.#unexpected('in exponent of numeric literal')
      this.#digits()
    }
    return new JsonNumber(this.#text.slice(start, this.at))
  }

  #digits(): void {
    while (isDigit(this.#text[this.at])) this.at++
  }

  #literal<T>(word: string, value: T): T {
    for (const expected of word) {
      if (this.#text[this.at] !== expected) {
        throw this.#unexpected(`in literal ${word} (expecting ${quote(expected)})`)
      }
      this.at++
    }
    return value
  }

  #skipSpace(): void {
    for (;;) {
      const char = this.#text[this.at]
      if (char !== ' ' && char !== '\t' && char !== '\n' && char !== '\r') return
      this.at++
    }
  }

  #take(char: string): boolean {
    if (this.#text[this.at] !== char) return false
    this.at++
    return true
  }

  #unexpected(context: string): JsonSyntaxError {
    const char = this.#text[this.at]
    if (char === undefined) return new JsonSyntaxError('unexpected end of JSON input', true)
    return new JsonSyntaxError(`invalid character ${quote(char)} ${context}`)
  }
}

const plainCharacters = /[^"\\\p{Cc}]*/uy

function isDigit(char: string | undefined): boolean {
  return char !== undefined && char >= '0' && char <= '9'
}

/** A character as Go quotes it: of one outside ASCII it sees only the first byte. */
function quote(char: string): string {
  if (char === "'") return `'\\''`
  if (char === '"') return `'"'`
  const byte = Buffer.from(char)[0] ?? 0
  if (byte < 0x20 || byte === 0x7f) {
    const short = { 7: 'a', 8: 'b', 9: 't', 10: 'n', 11: 'v', 12: 'f', 13: 'r' }[byte]
    return short === undefined ? `'\\x${byte.toString(16).padStart(2, '0')}'` : `'\\${short}'`
  }
  return char === '\\' ? `'\\\\'` : `'${String.fromCharCode(byte)}'`
}
