import type { FastifySchema } from 'fastify'
import { Type } from 'typebox'
import { ConfigSpecSchema, SecretSpecSchema } from '../../model/spec/index.js'
import { ConfigSchema, IdResponseSchema, SecretSchema } from './objects.js'
import { filtersArgument, idParams, operation, versionArgument } from './operation.js'

export interface DataOperations {
  readonly list: FastifySchema
  readonly inspect: FastifySchema
  readonly create: FastifySchema
  readonly update: FastifySchema
  readonly remove: FastifySchema
}

const kinds = {
  secret: {
    tag: 'Secret',
    keys: '`id`, `name`, `names` (whole names), `label`',
    object: SecretSchema,
    spec: SecretSpecSchema,
  },
  config: { tag: 'Config', keys: '`id`, `name`, `label`', object: ConfigSchema, spec: ConfigSpecSchema },
} as const

function dataOperations(kind: 'secret' | 'config'): DataOperations {
  const { tag, keys, object, spec } = kinds[kind]
  return {
    list: operation({
      tag,
      id: `${tag}List`,
      summary: `List ${kind}s`,
      query: { filters: filtersArgument(keys) },
      answers: { 200: { description: `${tag}s, sorted by ID.`, schema: Type.Array(object) } },
      errors: [400, 500, 503],
    }),
    inspect: operation({
      tag,
      id: `${tag}Inspect`,
      summary: `Inspect a ${kind}`,
      params: idParams(kind),
      answers: { 200: { description: `The ${kind}.`, schema: object } },
      errors: [404, 500, 503],
    }),
    create: operation({
      tag,
      id: `${tag}Create`,
      summary: `Create a ${kind}`,
      body: spec,
      answers: { 201: { description: 'Created.', schema: IdResponseSchema } },
      errors: [400, 409, 500, 503],
    }),
    update: operation({
      tag,
      id: `${tag}Update`,
      summary: `Update a ${kind}`,
      description: 'Only labels can be changed. The name must be given and stay the same.',
      params: idParams(kind),
      query: { version: versionArgument },
      body: spec,
      answers: { 200: `The ${kind} is updated.` },
      errors: [400, 404, 500, 503],
    }),
    remove: operation({
      tag,
      id: `${tag}Delete`,
      summary: `Remove a ${kind}`,
      description: `A ${kind} that a service refers to cannot be removed.`,
      params: idParams(kind),
      answers: { 204: `The ${kind} is removed.` },
      errors: [400, 404, 500, 503],
    }),
  }
}

export const secretOperations = dataOperations('secret')
export const configOperations = dataOperations('config')
