import { BlockList, isIP } from 'node:net'
import { clusterError } from './errors.js'
import type { Node } from './objects.js'

/** One placement constraint, read: `node.role == manager`. */
export interface Constraint {
  readonly key: string
  readonly operator: '==' | '!='
  readonly value: string
}

/** What a constraint can see of a node. */
export type ConstrainedNode = Pick<Node, 'id' | 'spec' | 'role' | 'description' | 'status'>

const keyPattern = /^[a-z_][a-z0-9\-_.]+$/i
const valuePattern = /^[a-z0-9:\-_\s.*()?+[\]\\^$|/]+$/i
const nodeLabels = 'node.labels.'
const engineLabels = 'engine.labels.'

/**
 * Reads placement constraints. An expression is split at its first `==`, or its first `!=` where it has
 * no `==`.
 * @throws {SwarmError} Unknown, which users see as HTTP 500: clients know these texts.
 * Behaviour: moby/swarmkit manager/constraint/constraint.go.
 */
export function parseConstraints(expressions: readonly string[]): readonly Constraint[] {
  return expressions.map((expression) => {
    const operator = (['==', '!='] as const).find((candidate) => expression.includes(candidate))
    if (operator === undefined) throw clusterError('Unknown', 'constraint expected one operator from ==, !=')
    const at = expression.indexOf(operator)
    const key = expression.slice(0, at).trim()
    const value = expression.slice(at + operator.length).trim()
    if (!keyPattern.test(key)) throw clusterError('Unknown', `key '${key}' is invalid`)
    if (!valuePattern.test(value)) throw clusterError('Unknown', `value '${value}' is invalid`)
    return { key, operator, value }
  })
}

/**
 * Like `parseConstraints` for expressions that were checked before they were stored: undefined where they
 * cannot be read, as old stores may hold.
 */
export function tryParseConstraints(
  expressions: readonly string[] | undefined,
): readonly Constraint[] | undefined {
  try {
    return parseConstraints(expressions ?? [])
  } catch {
    return undefined
  }
}

/** Whether all constraints hold for the node. Comparison ignores case, and knows no patterns. */
export function nodeMatches(constraints: readonly Constraint[], node: ConstrainedNode): boolean {
  return constraints.every((constraint) => constraintHolds(constraint, node))
}

/** Whether one constraint holds. A key that nobody knows never does, not even with `!=`. */
export function constraintHolds(constraint: Constraint, node: ConstrainedNode): boolean {
  const actual = constrainedValue(constraint.key, node)
  if (actual === undefined) return false
  if (constraint.key.toLowerCase() === 'node.ip') return addressCompares(constraint, actual)
  const equal = constraint.value.toLowerCase() === actual.toLowerCase()
  return equal === (constraint.operator === '==')
}

/** What a node has for a key. Empty where it lacks it, so that `!=` holds; undefined for keys that nobody knows. */
export function constrainedValue(key: string, node: ConstrainedNode): string | undefined {
  const name = key.toLowerCase()
  switch (name) {
    case 'node.id':
      return node.id
    case 'node.hostname':
      return node.description?.Hostname ?? ''
    case 'node.ip':
      return node.status.addr
    case 'node.role':
      return node.role
    case 'node.platform.os':
      return node.description?.Platform?.OS ?? ''
    case 'node.platform.arch':
      return node.description?.Platform?.Architecture ?? ''
    default:
      // The label's own name keeps its case.
      if (name.length > nodeLabels.length && name.startsWith(nodeLabels)) {
        return node.spec.Labels?.[key.slice(nodeLabels.length)] ?? ''
      }
      if (name.length > engineLabels.length && name.startsWith(engineLabels)) {
        return node.description?.Engine?.Labels?.[key.slice(engineLabels.length)] ?? ''
      }
      return undefined
  }
}

function addressCompares({ operator, value }: Constraint, address: string): boolean {
  const [network = '', prefix, ...rest] = value.split('/')
  const family = isIP(network)
  if (family === 0 || rest.length > 0) return false
  const bits = prefix === undefined ? (family === 4 ? 32 : 128) : Number(prefix)
  if (prefix === '' || !Number.isInteger(bits) || bits < 0 || bits > (family === 4 ? 32 : 128)) return false
  const list = new BlockList()
  list.addSubnet(network, bits, family === 4 ? 'ipv4' : 'ipv6')
  const actual = isIP(address)
  const inside = actual !== 0 && list.check(address, actual === 4 ? 'ipv4' : 'ipv6')
  return inside === (operator === '==')
}
