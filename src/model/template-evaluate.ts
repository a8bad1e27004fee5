import { errorText } from './errors.js'
import {
  isTrue,
  printed,
  typeName,
  type TemplateFunction,
  type TemplateStruct,
  type TemplateValue,
} from './template-functions.js'
import {
  TemplateError,
  parseTemplate,
  type Operand,
  type Pipe,
  type TemplateNode,
} from './template-syntax.js'

interface Frame {
  readonly dot: TemplateValue
  /** Innermost last. */
  readonly variables: { readonly name: string; value: TemplateValue }[]
}

/**
 * Expands a template. Pure: the result depends on the arguments alone.
 * @param name what error texts call the template.
 * @throws {TemplateError} with Go's text. A field that is not there and a key that a map lacks are errors.
 */
export function expandTemplate(
  name: string,
  source: string,
  context: TemplateStruct,
  functions: Readonly<Record<string, TemplateFunction>>,
): string {
  if (!source.includes('{{')) return source
  const nodes = parseTemplate(name, source, new Set(Object.keys(functions)))
  const frame = { dot: context, variables: [{ name: '$', value: context }] }
  return new Evaluator(name, source, functions).run(nodes, frame)
}

class Evaluator {
  readonly #name: string
  readonly #source: string
  readonly #functions: Readonly<Record<string, TemplateFunction>>

  constructor(name: string, source: string, functions: Readonly<Record<string, TemplateFunction>>) {
    this.#name = name
    this.#source = source
    this.#functions = functions
  }

  run(nodes: readonly TemplateNode[], frame: Frame): string {
    return nodes.map((node) => this.#node(node, frame)).join('')
  }

  #node(node: TemplateNode, frame: Frame): string {
    if (node.kind === 'text') return node.text
    if (node.kind === 'action') {
      const value = this.#pipe(node.pipe, frame)
      const silent = node.pipe.declares !== undefined || node.pipe.assigns !== undefined
      return silent ? '' : printed(value)
    }
    const inner = (dot: TemplateValue): Frame => ({ dot, variables: [...scope.variables] })
    const scope: Frame = { dot: frame.dot, variables: [...frame.variables] }
    const value = this.#pipe(node.pipe, scope)
    if (node.kind === 'range') return this.#range(node, value, scope)
    if (!isTrue(value)) return this.run(node.otherwise, inner(frame.dot))
    return this.run(node.body, inner(node.kind === 'with' ? value : frame.dot))
  }

  #range(node: TemplateNode & { kind: 'if' | 'with' | 'range' }, value: TemplateValue, scope: Frame): string {
    if (typeof value !== 'object' || value.kind !== 'map') {
      const at = node.pipe.commands[0]?.[0]
      throw this.#error(at, `range can't iterate over ${printed(value)}`)
    }
    const items = Object.entries(value.entries)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([, entry]) => entry)
    if (items.length === 0) return this.run(node.otherwise, scope)
    return items
      .map((dot) => {
        const variables = scope.variables.map((variable) =>
          variable.name === node.pipe.declares ? { name: variable.name, value: dot } : variable,
        )
        return this.run(node.body, { dot, variables })
      })
      .join('')
  }

  #pipe(pipe: Pipe, frame: Frame): TemplateValue {
    let value: TemplateValue
    let piped = false
    for (const command of pipe.commands) {
      value = this.#command(command, frame, piped ? [value] : [])
      piped = true
    }
    if (pipe.declares !== undefined) frame.variables.push({ name: pipe.declares, value })
    const assigned = frame.variables.findLast((variable) => variable.name === pipe.assigns)
    if (assigned !== undefined) assigned.value = value
    return value
  }

  #command(
    [head, ...rest]: readonly Operand[],
    frame: Frame,
    piped: readonly TemplateValue[],
  ): TemplateValue {
    if (head === undefined) return undefined
    if (head.kind !== 'function') {
      if (rest.length > 0 || piped.length > 0) throw this.#error(head, argumentsRefused(head))
      return this.#operand(head, frame)
    }
    const wanted = this.#functions[head.name]
    if (wanted === undefined) return undefined
    const args = rest.map((operand, at) => {
      const mustBeText = wanted.texts === 'all' || (wanted.texts === 'first' && at === 0)
      if (mustBeText && operand.kind === 'literal' && typeof operand.value !== 'string') {
        throw this.#error(operand, `expected string; found ${operand.source}`)
      }
      return this.#operand(operand, frame)
    })
    return this.#call(head, wanted, [...args, ...piped], [head, ...rest])
  }

  #call(
    head: Operand & { readonly kind: 'function' },
    { least, most, call }: TemplateFunction,
    args: readonly TemplateValue[],
    command: readonly Operand[],
  ): TemplateValue {
    if (args.length < least || args.length > (most ?? Infinity)) {
      const wanted = most === undefined ? `at least ${least}` : String(least)
      throw this.#error(head, `wrong number of args for ${head.name}: want ${wanted} got ${args.length}`)
    }
    try {
      return call(...args)
    } catch (error) {
      const text = `error calling ${head.name}: ${errorText(error)}`
      throw this.#error(head, text, command.map((operand) => describe(operand)).join(' '))
    }
  }

  #operand(operand: Operand, frame: Frame): TemplateValue {
    switch (operand.kind) {
      case 'dot':
        return frame.dot
      case 'literal':
        return operand.value
      case 'nil':
        throw this.#error(operand, 'nil is not a command')
      case 'field':
        return this.#fields(operand, operand.path, frame.dot)
      case 'variable': {
        const variable = frame.variables.findLast(({ name }) => name === operand.name)
        return this.#fields(operand, operand.path, variable?.value)
      }
      case 'function':
        return this.#command([operand], frame, [])
      case 'pipe':
        return this.#fields(lastOperand(operand), operand.path, this.#pipe(operand.pipe, frame))
      default:
        return operand satisfies never
    }
  }

  #fields(operand: Operand, path: readonly string[], from: TemplateValue): TemplateValue {
    let value = from
    for (const field of path) {
      if (typeof value !== 'object') {
        throw this.#error(operand, `can't evaluate field ${field} in type ${typeName(value)}`)
      }
      if (value.kind === 'map') {
        if (!Object.hasOwn(value.entries, field)) {
          throw this.#error(operand, `map has no entry for key ${JSON.stringify(field)}`)
        }
        value = value.entries[field]
      } else {
        if (!Object.hasOwn(value.fields, field)) {
          throw this.#error(operand, `can't evaluate field ${field} in type ${value.type}`)
        }
        value = value.fields[field]
      }
    }
    return value
  }

  #error(operand: Operand | undefined, text: string, shown?: string): TemplateError {
    const before = this.#source.slice(0, operand?.at ?? 0)
    const line = before.split('\n').length
    const column = Buffer.byteLength(before.slice(before.lastIndexOf('\n') + 1))
    const what = shown ?? (operand === undefined ? '' : describe(operand))
    return new TemplateError(
      `template: ${this.#name}:${line}:${column}: executing ${JSON.stringify(this.#name)} at <${what}>: ${text}`,
    )
  }
}

/** What Go blames where the result of parentheses has no such field: what it looked at last. */
function lastOperand(operand: Operand): Operand {
  const last = operand.kind === 'pipe' ? operand.pipe.commands.at(-1)?.at(-1) : undefined
  return last === undefined ? operand : lastOperand(last)
}

function argumentsRefused(head: Operand): string {
  const field = head.kind === 'field' || head.kind === 'variable' ? head.path.at(-1) : undefined
  return field === undefined
    ? `can't give argument to non-function ${describe(head)}`
    : `${field} has arguments but cannot be invoked as function`
}

function describe(operand: Operand): string {
  switch (operand.kind) {
    case 'dot':
      return '.'
    case 'literal':
      return operand.source
    case 'nil':
      return 'nil'
    case 'field':
      return `.${operand.path.join('.')}`
    case 'variable':
      return [operand.name, ...operand.path].join('.')
    case 'function':
      return operand.name
    case 'pipe':
      return [`(${describePipe(operand.pipe)})`, ...operand.path].join('.')
    default:
      return operand satisfies never
  }
}

function describePipe({ declares, assigns, commands }: Pipe): string {
  const target = declares !== undefined ? `${declares} := ` : assigns !== undefined ? `${assigns} = ` : ''
  return target + commands.map((command) => command.map((operand) => describe(operand)).join(' ')).join(' | ')
}
