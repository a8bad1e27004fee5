import { Type } from 'typebox'
import { ServiceSpecSchema } from '../../model/spec/index.js'
import { struct, text, texts } from '../../model/spec/schema.js'
import { nullable, ServiceSchema } from './objects.js'
import { filtersArgument, flagArgument, idParams, operation, versionArgument } from './operation.js'

export const ServiceCreateResponseSchema = struct('ServiceCreateResponse', {
  ID: text('ID of the new service.'),
  Warnings: nullable(texts()),
})

export const ServiceUpdateResponseSchema = struct('ServiceUpdateResponse', { Warnings: nullable(texts()) })

const registryAuth = {
  'X-Registry-Auth': Type.String({ description: 'Credentials for the nodes’ pulls: base64url of JSON.' }),
}

/** Arguments of both log endpoints. */
export const logArguments = {
  details: flagArgument('Adds the attributes of each message.'),
  follow: flagArgument('Stays and writes what comes.'),
  stdout: flagArgument('Writes what the containers wrote to stdout.'),
  stderr: flagArgument('Writes what the containers wrote to stderr.'),
  since: Type.String({ description: 'Unix time; only messages from then on.', default: '0' }),
  timestamps: flagArgument('Begins each line with its time.'),
  tail: Type.String({ description: 'How many messages of each task, or `all`.', default: 'all' }),
}

export const logAnswer = {
  description:
    'The log, as frames: stream (1 stdout, 2 stderr, 3 error), three zero bytes, length as big-endian uint32, text. Without frames where the containers have a terminal.',
  schema: Type.String({ format: 'binary' }),
  mediaTypes: ['application/vnd.docker.multiplexed-stream', 'application/vnd.docker.raw-stream'],
}

export const serviceOperations = {
  list: operation({
    tag: 'Service',
    id: 'ServiceList',
    summary: 'List services',
    query: {
      filters: filtersArgument('`id`, `name`, `label`, `mode`, `runtime`'),
      status: flagArgument('Adds `ServiceStatus`.'),
    },
    answers: { 200: { description: 'Services, sorted by ID.', schema: Type.Array(ServiceSchema) } },
    errors: [400, 500, 503],
  }),
  inspect: operation({
    tag: 'Service',
    id: 'ServiceInspect',
    summary: 'Inspect a service',
    params: idParams('service'),
    query: { insertDefaults: flagArgument('Fills in what the spec leaves open.') },
    answers: { 200: { description: 'The service.', schema: ServiceSchema } },
    errors: [400, 404, 500, 503],
  }),
  create: operation({
    tag: 'Service',
    id: 'ServiceCreate',
    summary: 'Create a service',
    headers: registryAuth,
    body: ServiceSpecSchema,
    answers: { 201: { description: 'Created.', schema: ServiceCreateResponseSchema } },
    errors: [400, 403, 409, 500, 503],
  }),
  update: operation({
    tag: 'Service',
    id: 'ServiceUpdate',
    summary: 'Update a service',
    description: 'Replaces the whole spec: labels and options that are absent are removed.',
    params: idParams('service'),
    query: {
      version: versionArgument,
      registryAuthFrom: Type.String({
        enum: ['spec', 'previous-spec'],
        default: 'spec',
        description: 'Whose credentials are kept where `X-Registry-Auth` is absent.',
      }),
      rollback: Type.String({
        enum: ['none', 'previous'],
        default: 'none',
        description: '`previous` goes back to the spec before; the one that is sent is not used.',
      }),
    },
    headers: registryAuth,
    body: ServiceSpecSchema,
    answers: { 200: { description: 'Updated.', schema: ServiceUpdateResponseSchema } },
    errors: [400, 403, 404, 500, 501, 503],
  }),
  remove: operation({
    tag: 'Service',
    id: 'ServiceDelete',
    summary: 'Remove a service',
    params: idParams('service'),
    answers: { 200: 'The service is removed.' },
    errors: [404, 500, 503],
  }),
  logs: operation({
    tag: 'Service',
    id: 'ServiceLogs',
    summary: 'Get the logs of a service',
    params: idParams('service'),
    query: logArguments,
    answers: { 200: logAnswer },
    errors: [400, 404, 500, 503],
  }),
}
