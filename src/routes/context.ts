import type { Env } from '../env/env.js'
import type { Backend } from './backend.js'
import type { EventHub } from './events/hub.js'
import type { Query } from './http/query.js'

/** What every route may use. */
export interface RouteContext {
  readonly env: Env
  readonly backend: Backend
  readonly events: EventHub
  /** Aborts when the server closes: streams end then. */
  readonly closing: AbortSignal
}

/** Types of a request: of its query, and the `id` of its path. */
export interface Plain {
  Querystring: Query
}

export interface WithId extends Plain {
  Params: { id: string }
}

declare module 'fastify' {
  interface FastifyRequest {
    /** The version that the client asked for, or the newest. */
    apiVersion: string
    /** The body as it came. */
    rawBody: Buffer | undefined
  }
  interface FastifyContextConfig {
    /** The first API version that knows the route. */
    since?: string
  }
}
