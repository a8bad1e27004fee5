import type { FastifyDynamicSwaggerOptions } from '@fastify/swagger'
import { maxApiVersion } from './http/versions.js'
import { hoistComponents } from './schema/components.js'

const tags = [
  { name: 'Swarm', description: 'The cluster: making it, joining it, its settings.' },
  { name: 'Node', description: 'The machines of the cluster.' },
  { name: 'Service', description: 'What should run, and how often.' },
  { name: 'Task', description: 'One replica of a service at one time, on one node.' },
  { name: 'Secret', description: 'Data that services may read and nobody else.' },
  { name: 'Config', description: 'Data that services read.' },
  { name: 'Network', description: 'Networks of the cluster and of this host.' },
  { name: 'System', description: 'About this daemon.' },
]

/** What the OpenAPI document says besides the routes. */
export function openApiOptions(version: string): FastifyDynamicSwaggerOptions {
  return {
    openapi: {
      openapi: '3.0.3',
      info: {
        title: 'Skep',
        version,
        description: `Swarm mode for any container engine. This is the part of the Docker Engine API (v${maxApiVersion}) that Skep answers itself; containers, images, volumes and the like are answered by the engine of the host. Every path also exists with a version in front, \`/v1.24\` to \`/v${maxApiVersion}\`.`,
        license: { name: 'Apache-2.0', url: 'https://www.apache.org/licenses/LICENSE-2.0' },
      },
      servers: [{ url: '/' }],
      tags,
    },
    transformObject: (input) =>
      'openapiObject' in input ? hoistComponents(input.openapiObject) : input.swaggerObject,
  }
}
