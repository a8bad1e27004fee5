import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import Fastify, { type FastifyInstance } from 'fastify'
import type { RouteContext } from './context.js'
import { schemaController, useOwnCompilers } from './decode/compiler.js'
import { maxApiVersion, minApiVersion } from './http/versions.js'
import { dockerRoutes } from './index.js'
import { hoistComponents } from './schema/components.js'

const tags = [
  { name: 'Swarm', description: 'The cluster: making it, joining it, its settings.' },
  { name: 'Node', description: 'The machines of the cluster.' },
  { name: 'Service', description: 'What should run, and how often.' },
  { name: 'Task', description: 'One replica of a service at one time, on one node.' },
  { name: 'Secret', description: 'Data that the services which name it may read, and nobody else.' },
  { name: 'Config', description: 'Data that services read.' },
  { name: 'Network', description: 'Networks of the cluster and of this host.' },
  { name: 'Volume', description: 'Volumes of the cluster and of this host.' },
  { name: 'Skep', description: 'What Docker has no word for.' },
  { name: 'System', description: 'About this daemon.' },
]

const description = `Swarm mode for any container engine.

This is the part of the Docker Engine API (v${maxApiVersion}) that Skep answers itself; containers, images, volumes and the like are answered by the engine of the host, as the Docker Engine API describes them.

Every path also exists with a version in front, from \`/v${minApiVersion}\` to \`/v${maxApiVersion}\`; without one the newest is meant. Member names of a request match whatever their case, unknown members are ignored, and \`null\` means absent. Members that are empty are left out of answers.`

export interface Documentation {
  /** The OpenAPI document, as JSON. */
  readonly document: Buffer
  /** Serves the page about it below `/docs`. */
  readonly page: FastifyInstance
}

/**
 * Makes the OpenAPI document out of the routes, and a page to read it. Made when someone asks: the server
 * starts faster without.
 */
export async function createDocumentation(context: RouteContext): Promise<Documentation> {
  const page = Fastify({ exposeHeadRoutes: false, schemaController })
  useOwnCompilers(page)
  await page.register(swagger, {
    exposeHeadRoutes: true,
    openapi: {
      openapi: '3.0.3',
      info: {
        title: 'Skep',
        version: context.backend.daemon.version,
        description,
        license: { name: 'Apache-2.0', url: 'https://www.apache.org/licenses/LICENSE-2.0' },
      },
      servers: [{ url: '/' }],
      tags,
    },
    transform: ({ schema, url }) => ({
      // The library adds the method to names of HEAD; ours are unique as they are.
      schema: {
        ...schema,
        ...(schema.operationId && { operationId: schema.operationId.replace('-head', '') }),
      },
      // A name may hold slashes, but in the document it is a parameter like others.
      url: url.replace('/*', '/:id'),
    }),
    transformObject: (input) =>
      'openapiObject' in input ? hoistComponents(input.openapiObject) : input.swaggerObject,
  })
  await page.register(swaggerUi, { routePrefix: '/docs', uiConfig: { docExpansion: 'none' } })
  // Of these routes only the schemas are used: nothing but the page is ever asked for here.
  await page.register(async (scope) => dockerRoutes(scope, context))
  await page.ready()
  return { document: Buffer.from(`${JSON.stringify(page.swagger(), undefined, 2)}\n`), page }
}
