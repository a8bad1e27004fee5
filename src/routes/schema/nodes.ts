import { Type } from 'typebox'
import { NodeSpecSchema } from '../../model/spec/index.js'
import { NodeSchema } from './objects.js'
import { filtersArgument, flagArgument, idParams, operation, versionArgument } from './operation.js'

export const nodeOperations = {
  list: operation({
    tag: 'Node',
    id: 'NodeList',
    summary: 'List nodes',
    query: {
      filters: filtersArgument('`id`, `name`, `role`, `membership`, `label` (of the engine), `node.label`'),
    },
    answers: { 200: { description: 'Nodes, sorted by ID.', schema: Type.Array(NodeSchema) } },
    errors: [400, 500, 503],
  }),
  inspect: operation({
    tag: 'Node',
    id: 'NodeInspect',
    summary: 'Inspect a node',
    params: idParams('node'),
    answers: { 200: { description: 'The node.', schema: NodeSchema } },
    errors: [404, 500, 503],
  }),
  update: operation({
    tag: 'Node',
    id: 'NodeUpdate',
    summary: 'Update a node',
    description: 'Replaces the whole spec. `Role` and `Availability` must be given.',
    params: idParams('node'),
    query: { version: versionArgument },
    body: NodeSpecSchema,
    answers: { 200: 'The node is updated.' },
    errors: [400, 404, 500, 503],
  }),
  remove: operation({
    tag: 'Node',
    id: 'NodeDelete',
    summary: 'Remove a node',
    description: 'The node must be down, and no manager.',
    params: idParams('node'),
    query: { force: flagArgument('Removes a node that is not down, too.') },
    answers: { 200: 'The node is removed.' },
    errors: [400, 404, 500, 503],
  }),
}
