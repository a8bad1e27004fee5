import type { Node } from '../model/objects.js'
import { sameValue } from './equal.js'

/** Tasks on such a node must go elsewhere: it is gone, down, or being emptied. PAUSE is none of these. */
export function isInvalidNode(node: Node | undefined): boolean {
  return isLostNode(node) || node?.spec.Availability === 'drain'
}

/**
 * Nothing that runs there can be seen to stop. A node that vanished together with many others counts only when
 * the brake is released.
 */
export function isLostNode(node: Node | undefined): boolean {
  if (node === undefined) return true
  return node.status.state === 'down' && node.status.tasksHeldUntilMs === undefined
}

/** Is being emptied, and can still be talked to: what runs there may be moved with care. */
export function isDraining(node: Node | undefined): boolean {
  return node?.spec.Availability === 'drain' && node.status.state !== 'down'
}

/**
 * Whether a service with one task per node may now want a task on the node, or no longer. Nodes report
 * their description each time they connect: that alone is nothing new.
 */
export function mayChangeEligibility(before: Node | undefined, after: Node | undefined): boolean {
  if (before === undefined || after === undefined) return true
  return (
    before.spec !== after.spec ||
    before.role !== after.role ||
    isLostNode(before) !== isLostNode(after) ||
    before.status.addr !== after.status.addr ||
    (before.description !== after.description && !sameValue(constrained(before), constrained(after)))
  )
}

/** What constraints can see of a description. */
function constrained({ description }: Node): readonly unknown[] {
  return [description?.Hostname, description?.Platform, description?.Engine?.Labels]
}
