import { byteText, cpuText } from '../../scheduler/index.js'
import type { NodeVerdict, TaskExplanation } from '../../scheduler/index.js'
import { table } from '../table.js'

/** What `/skep/v1/tasks/{id}/explain` answers. */
export interface Explanation extends TaskExplanation {
  readonly taskId: string
  readonly taskName: string
  readonly nodeId?: string
  readonly state: string
  readonly desiredState: string
  readonly message: string
  readonly err: string
}

/** An explanation for people. */
export function explanationText(explanation: Explanation): string {
  const { taskName, summary, strategy, nodes, nodeId } = explanation
  const rows = nodes.map((node) => [
    node.hostname || node.nodeId,
    verdictText(node, nodeId),
    `${cpuText(node.nanoCpus.reserved)} of ${cpuText(node.nanoCpus.total)}`,
    `${byteText(node.memoryBytes.reserved)} of ${byteText(node.memoryBytes.total)}`,
    ...(hasGenerics(nodes) ? [genericText(node)] : []),
    `${node.activeTasks} (${node.activeTasksOfService})`,
    node.reasons.map(({ text }) => text).join('; '),
  ])
  const generics = hasGenerics(nodes) ? ['OTHER RESERVED'] : []
  const header = [
    'NODE',
    'VERDICT',
    'CPUS RESERVED',
    'MEMORY RESERVED',
    ...generics,
    'TASKS (OF SERVICE)',
    'WHY NOT',
  ]
  const lines = [`${taskName} ${summary}.`, `Nodes are ranked by: ${strategy}.`]
  return nodes.length === 0
    ? `${lines.join('\n')}\nThere are no nodes.`
    : [...lines, '', ...table([header, ...rows])].join('\n')
}

function verdictText({ nodeId: own, fits }: NodeVerdict, nodeId: string | undefined): string {
  if (own === nodeId) return fits ? 'here' : 'here, no longer fits'
  return fits ? 'fits' : 'no'
}

function hasGenerics(nodes: readonly NodeVerdict[]): boolean {
  return nodes.some(({ genericResources }) => genericResources.length > 0)
}

function genericText({ genericResources }: NodeVerdict): string {
  return genericResources.map(({ kind, reserved, total }) => `${kind} ${reserved} of ${total}`).join(', ')
}
