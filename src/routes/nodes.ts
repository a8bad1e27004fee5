import type { FastifyInstance } from 'fastify'
import { findNode } from '../control/lookup.js'
import type { Node } from '../model/objects.js'
import type { NodeSpec } from '../model/spec/index.js'
import type { ManagerBackend } from './backend.js'
import type { Plain, RouteContext, WithId } from './context.js'
import { encodeNode } from './convert/node.js'
import { sendList, sendNothing, sendObject } from './http/answer.js'
import { Filters } from './http/filters.js'
import { lenientBoolean, objectVersion } from './http/query.js'
import { nodeOperations as operations } from './schema/nodes.js'

const filterKeys = ['id', 'name', 'role', 'membership', 'label', 'node.label']

/** Behaviour: moby daemon/server/router/swarm, daemon/cluster/nodes.go. */
export function nodeRoutes(app: FastifyInstance, { backend: { swarm } }: RouteContext): void {
  app.get<Plain>('/nodes', { schema: operations.list }, async (request, reply) => {
    const filters = Filters.parse(request.query, filterKeys)
    const manager = await swarm.manager()
    return sendList(reply, selectNodes(manager.view.nodes.list(), filters), encoder(manager))
  })

  app.get<WithId>('/nodes/:id', { schema: operations.inspect }, async (request, reply) => {
    const manager = await swarm.manager()
    return sendObject(reply, findNode(manager.view, request.params.id), encoder(manager))
  })

  app.post<WithId & { Body: NodeSpec }>(
    '/nodes/:id/update',
    { schema: operations.update },
    async (request, reply) => {
      const version = objectVersion(request.query, 'node')
      const { control } = await swarm.manager()
      await control.updateNode({ id: request.params.id, version, spec: request.body })
      return sendNothing(reply)
    },
  )

  app.delete<WithId>('/nodes/:id', { schema: operations.remove }, async (request, reply) => {
    const { control } = await swarm.manager()
    await control.removeNode({ id: request.params.id, force: lenientBoolean(request.query, 'force') })
    return sendNothing(reply)
  })
}

function encoder(manager: ManagerBackend): (node: Node) => Buffer {
  return (node) => encodeNode(node, manager.managerStatus(node))
}

function selectNodes(nodes: readonly Node[], filters: Filters): readonly Node[] {
  const roles = filters.words('role', ['worker', 'manager'])
  const memberships = filters.words('membership', ['accepted', 'pending'])
  const selected = nodes.filter((node) => {
    const { description, spec } = node
    return (
      filters.allowsPrefixOf('id', node.id) &&
      filters.allowsPrefixOf('name', description?.Hostname ?? '') &&
      (roles.length === 0 || roles.includes(node.role)) &&
      // Every node that got a certificate is accepted; Docker knows no other way any more.
      (memberships.length === 0 || memberships.includes('accepted')) &&
      filters.allowsLabels('label', description?.Engine?.Labels) &&
      filters.allowsLabels('node.label', spec.Labels)
    )
  })
  return filters.has('name') ? selected.sort(byHostname) : selected
}

function byHostname(a: Node, b: Node): number {
  const left = a.description?.Hostname ?? ''
  const right = b.description?.Hostname ?? ''
  return left < right ? -1 : Number(left > right)
}
