import type { Node } from '../model/objects.js'

/** Tasks on such a node must go elsewhere: it is gone, down, or being emptied. PAUSE is none of these. */
export function isInvalidNode(node: Node | undefined): boolean {
  return node === undefined || node.status.state === 'down' || node.spec.Availability === 'drain'
}

/** Nothing that runs there can be seen to stop. */
export function isLostNode(node: Node | undefined): boolean {
  return node === undefined || node.status.state === 'down'
}

/** Whether a service with one task per node may now want a task on the node, or no longer. */
export function mayChangeEligibility(before: Node | undefined, after: Node | undefined): boolean {
  if (before === undefined || after === undefined) return true
  return (
    before.spec !== after.spec ||
    before.role !== after.role ||
    before.description !== after.description ||
    before.status.state !== after.status.state ||
    before.status.addr !== after.status.addr
  )
}
