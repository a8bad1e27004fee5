import { Readable } from 'node:stream'
import type { IncomingMessage } from 'node:http'
import type { FastifyInstance } from 'fastify'
import { SwarmError } from '../model/errors.js'
import type { Spec } from '../model/spec/schema.js'
import type { Plain, RouteContext } from './context.js'
import { sendJson } from './http/answer.js'
import {
  archiveType,
  recoveryOperations as operations,
  type BackupRequestSchema,
  type RecoverRequestSchema,
} from './schema/recovery.js'

/** For when managers are lost: what Docker's API has no word for. */
export function recoveryRoutes(app: FastifyInstance, { backend: { swarm }, events }: RouteContext): void {
  app.post<{ Body: Spec<typeof RecoverRequestSchema> }>(
    '/skep/v1/recover',
    { schema: operations.recover },
    async ({ body: { force = false, listenAddr = '', advertiseAddr = '' } }, reply) => {
      const recovered = await swarm.recover({ force, listenAddr, advertiseAddr })
      events.attach()
      return sendJson(reply, recovered)
    },
  )

  app.post<{ Body: Spec<typeof BackupRequestSchema> }>(
    '/skep/v1/backup',
    { schema: operations.backup },
    async ({ body: { unlockKey = '', stale = false } }, reply) => {
      const { content } = await swarm.backup({ unlockKey, stale })
      reply.raw.setHeader('Content-Type', archiveType)
      return reply.send(Readable.from(content, { objectMode: false }))
    },
  )

  // A scope of its own, in which a body is not read into memory.
  app.register(async (scope) => {
    scope.addContentTypeParser(archiveType, (_request, payload: IncomingMessage, done) => done(null, payload))
    scope.post<Plain & { Body: IncomingMessage | Buffer | undefined }>(
      '/skep/v1/restore',
      { schema: operations.restore },
      async ({ body, query }, reply) => {
        const { listenAddr = '', advertiseAddr = '' } = query
        if (body === undefined || Buffer.isBuffer(body)) {
          throw new SwarmError('InvalidArgument', `the body must be the backup, as ${archiveType}`)
        }
        const pieces = body.iterator({ destroyOnReturn: false })
        try {
          const archive = { [Symbol.asyncIterator]: () => pieces }
          const manifest = await swarm.restore(archive, { listenAddr, advertiseAddr })
          events.attach()
          return await sendJson(reply, manifest)
        } finally {
          // A client that is still sending does not read answers.
          for (let next = await pieces.next(); next.done !== true;) next = await pieces.next()
        }
      },
    )
  })
}
