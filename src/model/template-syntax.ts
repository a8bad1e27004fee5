/**
 * Reads the part of Go's text/template that service specs use: text, pipelines, parentheses, fields,
 * variables, `if`, `with`, `range`, comments and trim markers. Templates that call templates are left out.
 */

/** `at` is the offset in the template, for error texts. */
export type TemplateNode =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'action'; readonly pipe: Pipe }
  | {
      readonly kind: 'if' | 'with' | 'range'
      readonly pipe: Pipe
      readonly body: readonly TemplateNode[]
      readonly otherwise: readonly TemplateNode[]
    }

export interface Pipe {
  readonly declares?: string
  readonly assigns?: string
  readonly commands: readonly (readonly Operand[])[]
}

export type Operand =
  | { readonly kind: 'dot'; readonly at: number }
  | {
      readonly kind: 'literal'
      readonly at: number
      readonly value: string | number | boolean
      readonly source: string
    }
  | { readonly kind: 'nil'; readonly at: number }
  | { readonly kind: 'field'; readonly at: number; readonly path: readonly string[] }
  | {
      readonly kind: 'variable'
      readonly at: number
      readonly name: string
      readonly path: readonly string[]
    }
  | { readonly kind: 'function'; readonly at: number; readonly name: string }
  | { readonly kind: 'pipe'; readonly at: number; readonly pipe: Pipe; readonly path: readonly string[] }

/** A template that cannot be read, with Go's text. */
export class TemplateError extends Error {}

interface Token {
  readonly kind: 'field' | 'variable' | 'word' | 'literal' | 'symbol' | 'space'
  readonly text: string
  readonly at: number
}

const tokenPattern =
  /\.[\p{L}_][\p{L}\p{N}_]*|\$[\p{L}\p{N}_]*|[\p{L}_][\p{L}\p{N}_]*|"(?:[^"\\\n]|\\.)*"|`[^`]*`|'(?:[^'\\\n]|\\.)+'|[+-]?(?:0[xX][\da-fA-F_]+|\d[\d_]*(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+)|:=|[|().,=]|\s+/uy

/** @throws {TemplateError} */
export function parseTemplate(
  name: string,
  source: string,
  functions: ReadonlySet<string>,
): readonly TemplateNode[] {
  return new Parser(name, source, functions).parse()
}

class Parser {
  readonly #name: string
  readonly #source: string
  readonly #functions: ReadonlySet<string>
  readonly #pieces: readonly ({ text: string } | { at: number; code: string })[]
  #piece = 0
  #tokens: readonly Token[] = []
  #token = 0
  #actionAt = 0
  #variables = ['$']

  constructor(name: string, source: string, functions: ReadonlySet<string>) {
    this.#name = name
    this.#source = source
    this.#functions = functions
    this.#pieces = this.#split()
  }

  parse(): readonly TemplateNode[] {
    const { nodes, end } = this.#list()
    if (end !== undefined) throw this.#error(`unexpected {{${end}}}`)
    return nodes
  }

  /** Cuts text from actions, and trims the text beside `{{-` and `-}}`. */
  #split(): readonly ({ text: string } | { at: number; code: string })[] {
    const pieces: ({ text: string } | { at: number; code: string })[] = []
    let at = 0
    let trimNext = false
    for (;;) {
      const open = this.#source.indexOf('{{', at)
      const raw = this.#source.slice(at, open < 0 ? undefined : open)
      const trimsBefore = open >= 0 && /^-\s/.test(this.#source.slice(open + 2, open + 4))
      let text = trimNext ? raw.trimStart() : raw
      if (trimsBefore) text = text.trimEnd()
      if (text !== '') pieces.push({ text })
      if (open < 0) return pieces
      const start = open + 2 + (trimsBefore ? 1 : 0)
      const close = this.#closing(start)
      const code = this.#source.slice(start, close)
      trimNext = /\s-$/.test(code)
      pieces.push({ at: start, code: trimNext ? code.slice(0, -1) : code })
      at = close + 2
    }
  }

  /** Where the action ends: a `}}` in a string does not count. */
  #closing(start: number): number {
    this.#actionAt = start
    const comment = /^\s*\/\*[\s\S]*?\*\/\s*-?(?=\}\})/.exec(this.#source.slice(start))
    if (comment !== null) return start + comment[0].length
    const pattern = /"(?:[^"\\\n]|\\.)*"|`[^`]*`|\}\}/g
    pattern.lastIndex = start
    for (let match = pattern.exec(this.#source); match !== null; match = pattern.exec(this.#source)) {
      if (match[0] === '}}') return match.index
    }
    throw this.#error('unclosed action')
  }

  #list(): { nodes: readonly TemplateNode[]; end?: string } {
    const nodes: TemplateNode[] = []
    for (;;) {
      const piece = this.#pieces[this.#piece++]
      if (piece === undefined) return { nodes }
      if ('text' in piece) {
        nodes.push({ kind: 'text', text: piece.text })
        continue
      }
      if (/^\s*\/\*[\s\S]*\*\/\s*$/.test(piece.code)) continue
      this.#actionAt = piece.at
      this.#tokens = this.#tokenize(piece.code, piece.at)
      this.#token = 0
      const word = this.#peek()
      const keyword = word?.kind === 'word' ? word.text : ''
      if (keyword === 'end' || keyword === 'else') {
        this.#token++
        return { nodes, end: keyword }
      }
      nodes.push(this.#action(keyword))
    }
  }

  #action(keyword: string): TemplateNode {
    if (keyword === 'if' || keyword === 'with' || keyword === 'range') {
      this.#token++
      return this.#block(keyword)
    }
    if (['template', 'block', 'define', 'break', 'continue'].includes(keyword)) {
      throw this.#error(`{{${keyword}}} is not supported`)
    }
    const pipe = this.#pipe(keyword === '' ? 'command' : keyword)
    this.#finish()
    return { kind: 'action', pipe }
  }

  #block(kind: 'if' | 'with' | 'range'): TemplateNode {
    const known = this.#variables.length
    const pipe = this.#pipe(kind)
    this.#finish()
    const body = this.#list()
    let otherwise: readonly TemplateNode[] = []
    if (body.end === 'else') {
      const next = this.#peek()
      if (next?.kind === 'word' && next.text === kind && kind !== 'range') {
        this.#token++
        otherwise = [this.#block(kind)]
        this.#variables.length = known
        return { kind, pipe, body: body.nodes, otherwise }
      }
      this.#finish()
      const rest = this.#list()
      if (rest.end !== 'end')
        throw this.#error(rest.end === undefined ? 'unexpected EOF' : 'expected end; found {{else}}')
      otherwise = rest.nodes
    } else if (body.end === undefined) {
      throw this.#error('unexpected EOF')
    }
    this.#variables.length = known
    return { kind, pipe, body: body.nodes, otherwise }
  }

  #pipe(context: string): Pipe {
    const first = this.#peek()
    let target: { declares?: string; assigns?: string } = {}
    if (first?.kind === 'variable') {
      const operator = this.#tokens.slice(this.#token + 1).find((token) => token.kind !== 'space')
      if (operator?.text === ':=') {
        target = { declares: first.text }
      } else if (operator?.text === '=') {
        target = { assigns: first.text }
        this.#checkVariable(first.text)
      }
      if (operator?.text === ':=' || operator?.text === '=') this.#token = this.#tokens.indexOf(operator) + 1
    }
    const commands: (readonly Operand[])[] = [this.#command(context)]
    while (this.#peek()?.text === '|') {
      this.#token++
      commands.push(this.#command(context))
    }
    if (target.declares !== undefined) this.#variables.push(target.declares)
    const literal = commands.slice(1).find(([head]) => head !== undefined && !isCallable(head))
    if (literal !== undefined) throw this.#error('non executable command in pipeline stage 2')
    return { ...target, commands }
  }

  #command(context: string): readonly Operand[] {
    const operands: Operand[] = []
    for (;;) {
      const operand = this.#operand()
      if (operand === undefined) break
      operands.push(operand)
      const next = this.#tokens[this.#token]
      if (next === undefined || next.kind === 'space' || next.text === '|' || next.text === ')') continue
      throw this.#error(`unexpected ${JSON.stringify(next.text)} in operand`)
    }
    if (operands.length === 0) {
      const next = this.#peek()
      throw this.#error(
        next === undefined
          ? `missing value for ${context}`
          : `unexpected ${JSON.stringify(next.text)} in ${context}`,
      )
    }
    return operands
  }

  #operand(): Operand | undefined {
    const token = this.#peek()
    if (token === undefined || ['|', ')', '=', ':=', ','].includes(token.text)) return undefined
    this.#token++
    const { at } = token
    if (token.kind === 'field') {
      const path = [token.text.slice(1), ...this.#path()]
      // Go's position of a chain is that of its second part.
      return { kind: 'field', path, at: path.length > 1 ? at + token.text.length : at }
    }
    if (token.kind === 'variable') {
      this.#checkVariable(token.text)
      const path = this.#path()
      return { kind: 'variable', name: token.text, path, at: path.length > 0 ? at + token.text.length : at }
    }
    if (token.kind === 'literal') {
      return { kind: 'literal', value: this.#literal(token.text), source: token.text, at }
    }
    if (token.kind === 'word') {
      if (token.text === 'nil') return { kind: 'nil', at }
      if (token.text === 'true' || token.text === 'false') {
        return { kind: 'literal', value: token.text === 'true', source: token.text, at }
      }
      if (!this.#functions.has(token.text)) throw this.#error(`function "${token.text}" not defined`)
      return { kind: 'function', name: token.text, at }
    }
    if (token.text === '.') return { kind: 'dot', at }
    if (token.text === '(') {
      const pipe = this.#pipe('parenthesized pipeline')
      if (this.#peek()?.text !== ')') throw this.#error('unclosed left paren')
      this.#token++
      return { kind: 'pipe', pipe, path: this.#path(), at }
    }
    throw this.#error(`unexpected ${JSON.stringify(token.text)} in operand`)
  }

  /** Fields that follow without a space: `.A.B`. */
  #path(): readonly string[] {
    const path: string[] = []
    for (let next = this.#tokens[this.#token]; next?.kind === 'field'; next = this.#tokens[this.#token]) {
      path.push(next.text.slice(1))
      this.#token++
    }
    return path
  }

  #literal(text: string): string | number {
    if (text.startsWith('`')) return text.slice(1, -1)
    if (text.startsWith("'")) return this.#character(text)
    if (!text.startsWith('"')) return Number(text.replaceAll('_', ''))
    try {
      return JSON.parse(text) as string
    } catch {
      throw this.#error('invalid syntax')
    }
  }

  #character(text: string): number {
    const [first = '', ...more] = Array.from(text.slice(1, -1))
    if (first === '\\' || more.length > 0) throw this.#error(`malformed character constant: ${text}`)
    return first.codePointAt(0) ?? 0
  }

  #checkVariable(name: string): void {
    if (!this.#variables.includes(name)) throw this.#error(`undefined variable "${name}"`)
  }

  #peek(): Token | undefined {
    while (this.#tokens[this.#token]?.kind === 'space') this.#token++
    return this.#tokens[this.#token]
  }

  #finish(): void {
    const rest = this.#peek()
    if (rest !== undefined) throw this.#error(`unexpected ${JSON.stringify(rest.text)} in command`)
  }

  #tokenize(code: string, offset: number): readonly Token[] {
    const tokens: Token[] = []
    for (let at = 0; at < code.length;) {
      tokenPattern.lastIndex = at
      const text = tokenPattern.exec(code)?.[0]
      if (text === undefined) throw this.#error(lexicalFault(code, at, tokens.at(-1)))
      tokens.push({ kind: kindOf(text), text, at: offset + at })
      at += text.length
    }
    return tokens
  }

  #error(text: string): TemplateError {
    const line = this.#source.slice(0, this.#actionAt).split('\n').length
    return new TemplateError(`template: ${this.#name}:${line}: ${text}`)
  }
}

function kindOf(text: string): Token['kind'] {
  if (/^\s/.test(text)) return 'space'
  if (/^\.[^\d]/.test(text)) return 'field'
  if (text.startsWith('$')) return 'variable'
  if (/^["'`\d]|^[+-]|^\.\d/.test(text)) return 'literal'
  return /^[\p{L}_]/u.test(text) ? 'word' : 'symbol'
}

/** What Go's lexer says of what it cannot read. */
function lexicalFault(code: string, at: number, before: Token | undefined): string {
  const character = String.fromCodePoint(code.codePointAt(at) ?? 0)
  if (character === '"') return 'unterminated quoted string'
  if (character === '`') return 'unterminated raw quoted string'
  if (character === "'") return 'unterminated character constant'
  if (character === '-' || character === '+') return `illegal number syntax: "${character}"`
  if (code.startsWith('/*', at)) return 'unclosed comment'
  if (before?.kind === 'field' || before?.kind === 'word' || before?.kind === 'variable') {
    const hex = (character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')
    return `bad character U+${hex} '${character}'`
  }
  return `unexpected ${JSON.stringify(character)} in command`
}

function isCallable(operand: Operand): boolean {
  return operand.kind !== 'literal' && operand.kind !== 'nil' && operand.kind !== 'dot'
}
