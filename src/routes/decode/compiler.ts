import type { FastifyInstance } from 'fastify'
import type { TSchema } from 'typebox'
import { decodeBody } from './body.js'

/** Keeps Fastify from loading libraries of its own for what `useOwnCompilers` does. */
export const schemaController = {
  compilersFactory: { buildValidator: () => notUsed, buildSerializer: () => notUsed },
}

/**
 * Makes an app read bodies by their schemas as Go does, and queries and paths not at all: each endpoint
 * has its own way with them. Answers come encoded; their schemas document them.
 */
export function useOwnCompilers(app: FastifyInstance): void {
  app.setValidatorCompiler<TSchema>(({ schema, httpPart }) => {
    if (httpPart !== 'body') return (value: unknown) => ({ value })
    return (body: unknown) => decodeIfAny(schema, body)
  })
  app.setSerializerCompiler(() => (value) => JSON.stringify(value))
}

function decodeIfAny(schema: TSchema, body: unknown): { value: unknown } | { error: Error } {
  try {
    return { value: decodeBody(schema, Buffer.isBuffer(body) ? body : undefined) }
  } catch (error) {
    return { error: error instanceof Error ? error : new Error(String(error)) }
  }
}

function notUsed(): never {
  throw new Error('a schema was compiled before useOwnCompilers')
}
