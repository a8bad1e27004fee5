import type { FastifySchema } from 'fastify'
import { Type, type TSchema } from 'typebox'
import { struct, text } from '../../model/spec/schema.js'

/** The parts of the API, as the document groups them. */
export type Tag =
  | 'Swarm'
  | 'Node'
  | 'Service'
  | 'Task'
  | 'Secret'
  | 'Config'
  | 'Network'
  | 'Volume'
  | 'System'
  | 'Distribution'
  | 'Skep'

export interface Operation {
  readonly tag: Tag
  /** Name of the function in generated clients. */
  readonly id: string
  /** One line. */
  readonly summary: string
  readonly description?: string
  readonly params?: TSchema
  readonly query?: Readonly<Record<string, TSchema>>
  readonly headers?: Readonly<Record<string, TSchema>>
  readonly body?: TSchema
  /** By status. A text = no body. Errors come by themselves. */
  readonly answers: Readonly<Record<number, Answer>>
  /** Statuses of the errors that are to be expected. */
  readonly errors?: readonly number[]
}

/** What an answer means, and its body: JSON by a schema, or something else by its media type. */
export type Answer =
  string | { readonly description: string; readonly schema: TSchema; readonly mediaTypes?: readonly string[] }

export const ErrorResponseSchema = struct(
  'ErrorResponse',
  { message: text('What went wrong, for people.') },
  { description: 'Every error has this form.' },
)

const errorTexts: Readonly<Record<number, string>> = {
  400: 'The request makes no sense, or not in the present state.',
  401: 'The key or token is wrong.',
  403: 'Not allowed.',
  404: 'There is no such object.',
  409: 'There is one already.',
  500: 'It failed.',
  501: 'Not possible.',
  503: 'This node is no swarm manager, or not ready to be one.',
}

/** Where an update names the version that it starts from. */
const staleText = 'It failed. Also: `update out of sequence`, when the object has changed since it was read.'

/** The schema of a route: what Fastify checks of a request and what the OpenAPI document says. */
export function operation(op: Operation): FastifySchema {
  const responses: Record<number, unknown> = {}
  for (const [status, answer] of Object.entries(op.answers)) responses[Number(status)] = responseOf(answer)
  for (const status of op.errors ?? [500]) {
    const isStale = status === 500 && op.query?.version !== undefined
    const description = isStale ? staleText : (errorTexts[status] ?? '')
    responses[status] = responseOf({ description, schema: ErrorResponseSchema })
  }
  return {
    operationId: op.id,
    tags: [op.tag],
    summary: op.summary,
    ...(op.description !== undefined && { description: op.description }),
    ...(op.params !== undefined && { params: op.params }),
    ...(op.query !== undefined && { querystring: optionalObject(op.query) }),
    ...(op.headers !== undefined && { headers: optionalObject(op.headers) }),
    ...(op.body !== undefined && { body: op.body }),
    response: responses,
  }
}

function responseOf(answer: Answer): unknown {
  if (typeof answer === 'string') return { description: answer, type: 'null' }
  const { description, schema, mediaTypes } = answer
  const content = (mediaTypes ?? ['application/json']).map((type) => [type, { schema }] as const)
  return { description, content: Object.fromEntries(content) }
}

function optionalObject(members: Readonly<Record<string, TSchema>>): TSchema {
  const optional = Object.entries(members).map(([name, schema]) => [name, Type.Optional(schema)] as const)
  return Type.Object(Object.fromEntries(optional))
}

/** The object that a path names. */
export function idParams(kind: string): TSchema {
  return Type.Object({
    id: Type.String({ description: `ID of the ${kind}, its name, or the beginning of its ID.` }),
  })
}

export const filtersArgument = (keys: string) =>
  Type.String({
    description: `Filters as JSON: \`{"key": ["value"]}\`. Values of one key are alternatives; keys must all match. Keys: ${keys}.`,
  })

/** A lenient boolean of a query. */
export const flagArgument = (description: string) => Type.Boolean({ description })

export const versionArgument = Type.Integer({
  format: 'int64',
  minimum: 0,
  description: 'The `Version.Index` that the change starts from. Refused when the object has changed since.',
})
