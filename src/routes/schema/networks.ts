import { Type } from 'typebox'
import { NetworkConfigReferenceSchema, NetworkSpecSchema } from '../../model/spec/index.js'
import { flag, list, stringMap, struct, text, texts } from '../../model/spec/schema.js'
import { nullable, time } from './objects.js'
import { filtersArgument, operation } from './operation.js'

export const NetworkIPAMConfigSchema = struct('NetworkIPAMConfig', {
  Subnet: text(),
  IPRange: text(),
  Gateway: text(),
  AuxiliaryAddresses: stringMap(),
})

export const NetworkIPAMSchema = struct('NetworkIPAM', {
  Driver: text(),
  Options: nullable(stringMap()),
  Config: nullable(list(NetworkIPAMConfigSchema)),
})

export const EndpointResourceSchema = struct('EndpointResource', {
  Name: text(),
  EndpointID: text(),
  MacAddress: text(),
  IPv4Address: text(),
  IPv6Address: text(),
})

const summary = {
  Name: text(),
  Id: text(),
  Created: time(),
  Scope: text('`swarm`, `global` or `local`.'),
  Driver: text(),
  EnableIPv4: flag(),
  EnableIPv6: flag(),
  IPAM: NetworkIPAMSchema,
  Internal: flag(),
  Attachable: flag(),
  Ingress: flag(),
  ConfigFrom: NetworkConfigReferenceSchema,
  ConfigOnly: flag(),
  Options: nullable(stringMap()),
  Labels: nullable(stringMap()),
}

export const NetworkSummarySchema = struct('NetworkSummary', summary)

export const NetworkInspectSchema = struct('NetworkInspect', {
  ...summary,
  Containers: nullable(
    Type.Unsafe<Readonly<Record<string, object>>>({
      type: 'object',
      additionalProperties: EndpointResourceSchema,
    }),
  ),
})

export const NetworkCreateResponseSchema = struct('NetworkCreateResponse', { Id: text(), Warning: text() })

export const NetworkPruneResponseSchema = struct('NetworkPruneResponse', {
  NetworksDeleted: nullable(texts('Names.')),
})

export const NetworkConnectRequestSchema = struct('NetworkConnectRequest', {
  Container: text('ID or name.'),
  EndpointConfig: Type.Unsafe<object>({ type: 'object', additionalProperties: true }),
})

export const NetworkDisconnectRequestSchema = struct('NetworkDisconnectRequest', {
  Container: text('ID or name.'),
  Force: flag(),
})

const params = Type.Object({
  id: Type.String({ description: 'ID of the network, its name, or the beginning of its ID.' }),
})

export const networkOperations = {
  list: operation({
    tag: 'Network',
    id: 'NetworkList',
    summary: 'List networks',
    description: 'Those of the cluster, on a manager, and those of this host’s engine.',
    query: { filters: filtersArgument('`id`, `name`, `driver`, `scope`, `label`, `type`, `dangling`') },
    answers: { 200: { description: 'Networks.', schema: Type.Array(NetworkSummarySchema) } },
    errors: [400, 500],
  }),
  inspect: operation({
    tag: 'Network',
    id: 'NetworkInspect',
    summary: 'Inspect a network',
    params,
    query: {
      verbose: Type.Boolean({ description: 'Tells more.' }),
      scope: Type.String({ description: 'Looks among networks of that scope only.' }),
    },
    answers: { 200: { description: 'The network.', schema: NetworkInspectSchema } },
    errors: [400, 404, 500],
  }),
  create: operation({
    tag: 'Network',
    id: 'NetworkCreate',
    summary: 'Create a network',
    description:
      'An `overlay` network, or one with scope `swarm`, belongs to the cluster; others to this host’s engine.',
    body: NetworkSpecSchema,
    answers: { 201: { description: 'Created.', schema: NetworkCreateResponseSchema } },
    errors: [400, 403, 404, 409, 500, 501, 503],
  }),
  remove: operation({
    tag: 'Network',
    id: 'NetworkDelete',
    summary: 'Remove a network',
    params,
    answers: { 204: 'The network is removed.' },
    errors: [400, 403, 404, 500, 503],
  }),
  prune: operation({
    tag: 'Network',
    id: 'NetworkPrune',
    summary: 'Remove networks that nothing uses',
    query: { filters: filtersArgument('`until`, `label`, `label!`') },
    answers: { 200: { description: 'What was removed.', schema: NetworkPruneResponseSchema } },
    errors: [400, 500],
  }),
  connect: operation({
    tag: 'Network',
    id: 'NetworkConnect',
    summary: 'Connect a container to a network',
    params,
    body: NetworkConnectRequestSchema,
    answers: { 200: 'Connected.' },
    errors: [400, 403, 404, 500],
  }),
  disconnect: operation({
    tag: 'Network',
    id: 'NetworkDisconnect',
    summary: 'Disconnect a container from a network',
    params,
    body: NetworkDisconnectRequestSchema,
    answers: { 200: 'Disconnected.' },
    errors: [403, 404, 500],
  }),
}
