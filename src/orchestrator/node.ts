import type { Node } from '../model/objects.js'

/** Tasks on such a node must go elsewhere: it is gone, down, or being emptied. PAUSE is none of these. */
export function isInvalidNode(node: Node | undefined): boolean {
  return node === undefined || node.status.state === 'down' || node.spec.Availability === 'drain'
}

/** Nothing that runs there can be seen to stop. */
export function isLostNode(node: Node | undefined): boolean {
  return node === undefined || node.status.state === 'down'
}
