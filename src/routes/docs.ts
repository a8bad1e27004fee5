import type { FastifyInstance } from 'fastify'
import type { RouteContext } from './context.js'
import type { Documentation } from './openapi.js'

/** `/openapi.json`, and a page about it below `/docs`. */
export function docsRoutes(app: FastifyInstance, context: RouteContext): void {
  let made: Promise<Documentation> | undefined
  const documentation = () => {
    made ??= import('./openapi.js').then(({ createDocumentation }) => createDocumentation(context))
    return made
  }
  app.addHook('onClose', async () => {
    await (await made)?.page.close()
  })

  app.get('/openapi.json', async (_request, reply) => {
    const { document } = await documentation()
    reply.raw.setHeader('Content-Type', 'application/json')
    return reply.send(document)
  })

  for (const url of ['/docs', '/docs/*']) {
    app.get(url, async (request, reply) => {
      const { page } = await documentation()
      reply.hijack()
      page.routing(request.raw, reply.raw)
    })
  }
}
