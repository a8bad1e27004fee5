import type { Node } from '../../model/objects.js'
import { canonical, NodeDescriptionSchema, NodeSpecSchema } from '../../model/spec/index.js'
import type { ManagerStatus } from '../backend.js'
import { cached } from './cache.js'
import { stringifyExact } from './json.js'
import { head, unlessEmpty } from './meta.js'

const encodeWorker = cached((node: Node) => Buffer.from(`${withoutManager(node)}}`))

/** Docker's JSON of a node. Shape: moby api/types/swarm/node.go. */
export function encodeNode(node: Node, manager: ManagerStatus | undefined): Buffer {
  if (manager === undefined) return encodeWorker(node)
  // Leadership is no part of the object, so this is encoded anew; there are few managers.
  const status = {
    ...unlessEmpty('Leader', manager.leader),
    Reachability: manager.reachability,
    ...unlessEmpty('Addr', manager.addr),
  }
  return Buffer.from(`${withoutManager(node)},"ManagerStatus":${stringifyExact(status)}}`)
}

/** The JSON without its last brace. */
const withoutManager = cached((node: Node) => {
  const { state, message, addr } = node.status
  return stringifyExact({
    ...head(node),
    Spec: canonical(NodeSpecSchema, node.spec),
    Description: toDescription(node),
    Status: { State: state, ...unlessEmpty('Message', message), ...unlessEmpty('Addr', addr) },
  }).slice(0, -1)
})

function toDescription({ description }: Node): object {
  const known = canonical(NodeDescriptionSchema, description ?? {})
  return {
    ...unlessEmpty('Hostname', known.Hostname),
    Platform: known.Platform ?? {},
    Resources: known.Resources ?? {},
    Engine: known.Engine ?? {},
    TLSInfo: known.TLSInfo ?? {},
    ...unlessEmpty('CSIInfo', known.CSIInfo),
  }
}
