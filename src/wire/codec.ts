import type { TSchema } from 'typebox'
import { Compile } from 'typebox/compile'
import { SwarmError } from '../model/errors.js'
import {
  agentMessageSchemas,
  managerMessageSchemas,
  type AgentMessage,
  type ManagerMessage,
} from './messages.js'

interface Check {
  Check(value: unknown): boolean
  Errors(value: unknown): readonly { readonly instancePath: string; readonly message: string }[]
}

const agentChecks = compiled(agentMessageSchemas)
const managerChecks = compiled(managerMessageSchemas)

export function encodeMessage(message: AgentMessage | ManagerMessage): string {
  return JSON.stringify(message)
}

/**
 * What an agent sent.
 * @returns undefined for a type that this version does not know.
 * @throws {SwarmError} InvalidArgument naming the first thing that is wrong; never quoting the content.
 */
export function decodeAgentMessage(text: string): AgentMessage | undefined {
  return decode(agentChecks, text) as AgentMessage | undefined
}

/** What a manager sent; else as `decodeAgentMessage`. */
export function decodeManagerMessage(text: string): ManagerMessage | undefined {
  return decode(managerChecks, text) as ManagerMessage | undefined
}

function decode(checks: ReadonlyMap<string, Check>, text: string): unknown {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    // The parser's own text quotes the input, which may hold a secret.
    throw new SwarmError('InvalidArgument', 'malformed message: no JSON')
  }
  const type = typeof value === 'object' && value !== null && 'type' in value ? value.type : undefined
  if (typeof type !== 'string') throw new SwarmError('InvalidArgument', 'malformed message: it has no type')
  const check = checks.get(type)
  if (check === undefined) return undefined
  if (check.Check(value)) return value
  const first = check.Errors(value)[0]
  const where = first === undefined ? '' : `: ${first.instancePath} ${first.message}`
  throw new SwarmError('InvalidArgument', `malformed ${type} message${where}`)
}

function compiled(schemas: Readonly<Record<string, TSchema>>): ReadonlyMap<string, Check> {
  return new Map(Object.entries(schemas).map(([type, schema]) => [type, Compile(schema)]))
}
