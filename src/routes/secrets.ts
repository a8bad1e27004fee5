import type { FastifyInstance } from 'fastify'
import { findConfig, findSecret } from '../control/lookup.js'
import { SwarmError } from '../model/errors.js'
import type { Config, Secret } from '../model/objects.js'
import type { ConfigSpec, SecretSpec } from '../model/spec/index.js'
import type { Plain, RouteContext, WithId } from './context.js'
import { encodeConfig, encodeSecret } from './convert/secret.js'
import { sendJson, sendList, sendNothing, sendObject } from './http/answer.js'
import { Filters } from './http/filters.js'
import { dataVersion } from './http/query.js'
import { isOlderThan } from './http/versions.js'
import { configOperations, secretOperations } from './schema/secrets.js'

/** Secrets and configs have routes of their own first version. */
const secretsSince = '1.25'
const configsSince = '1.30'
const templatingSince = '1.37'

/** Behaviour: moby daemon/server/router/swarm, daemon/cluster/secrets.go. */
export function secretRoutes(app: FastifyInstance, { backend: { swarm } }: RouteContext): void {
  const operations = secretOperations
  const config = { since: secretsSince }

  app.get<Plain>('/secrets', { schema: operations.list, config }, async (request, reply) => {
    const filters = Filters.parse(request.query, ['id', 'name', 'names', 'label'])
    const { view } = await swarm.manager()
    return sendList(reply, selectByName(view.secrets.list(), filters), encodeSecret)
  })

  app.get<WithId>('/secrets/:id', { schema: operations.inspect, config }, async (request, reply) => {
    const { view } = await swarm.manager()
    return sendObject(reply, findSecret(view, request.params.id), encodeSecret)
  })

  app.post<{ Body: SecretSpec }>(
    '/secrets/create',
    { schema: operations.create, config },
    async ({ body, apiVersion }, reply) => {
      checkTemplating('secret', body, apiVersion)
      const { control } = await swarm.manager()
      const { id } = await control.createSecret({ spec: body })
      return sendJson(reply, { ID: id }, 201)
    },
  )

  app.post<WithId & { Body: SecretSpec }>(
    '/secrets/:id/update',
    { schema: operations.update, config },
    async ({ params, query, body }, reply) => {
      const version = dataVersion(query, 'secret')
      const { control } = await swarm.manager()
      await control.updateSecret({ id: params.id, version, spec: body })
      return sendNothing(reply)
    },
  )

  app.delete<WithId>('/secrets/:id', { schema: operations.remove, config }, async ({ params }, reply) => {
    const { control } = await swarm.manager()
    await control.removeSecret({ id: params.id })
    return sendNothing(reply, 204)
  })
}

/** Behaviour: moby daemon/server/router/swarm, daemon/cluster/configs.go. */
export function configRoutes(app: FastifyInstance, { backend: { swarm } }: RouteContext): void {
  const operations = configOperations
  const config = { since: configsSince }

  app.get<Plain>('/configs', { schema: operations.list, config }, async (request, reply) => {
    const filters = Filters.parse(request.query, ['id', 'name', 'label'])
    const { view } = await swarm.manager()
    return sendList(reply, selectByName(view.configs.list(), filters), encodeConfig)
  })

  app.get<WithId>('/configs/:id', { schema: operations.inspect, config }, async (request, reply) => {
    const { view } = await swarm.manager()
    return sendObject(reply, findConfig(view, request.params.id), encodeConfig)
  })

  app.post<{ Body: ConfigSpec }>(
    '/configs/create',
    { schema: operations.create, config },
    async ({ body, apiVersion }, reply) => {
      checkTemplating('config', body, apiVersion)
      const { control } = await swarm.manager()
      const { id } = await control.createConfig({ spec: body })
      return sendJson(reply, { ID: id }, 201)
    },
  )

  app.post<WithId & { Body: ConfigSpec }>(
    '/configs/:id/update',
    { schema: operations.update, config },
    async ({ params, query, body }, reply) => {
      const version = dataVersion(query, 'config')
      const { control } = await swarm.manager()
      await control.updateConfig({ id: params.id, version, spec: body })
      return sendNothing(reply)
    },
  )

  app.delete<WithId>('/configs/:id', { schema: operations.remove, config }, async ({ params }, reply) => {
    const { control } = await swarm.manager()
    await control.removeConfig({ id: params.id })
    return sendNothing(reply, 204)
  })
}

function checkTemplating(kind: 'secret' | 'config', spec: SecretSpec | ConfigSpec, apiVersion: string): void {
  if (spec.Templating === undefined || !isOlderThan(apiVersion, templatingSince)) return
  throw new SwarmError(
    'InvalidArgument',
    `${kind} templating is not supported on the specified API version: ${apiVersion}`,
  )
}

/** Unlike elsewhere, IDs and names unite; labels then narrow. */
function selectByName<T extends Secret | Config>(objects: readonly T[], filters: Filters): readonly T[] {
  const isNamed = ['id', 'name', 'names'].some((key) => filters.has(key))
  const prefixes = filters.get('name').map((name) => name.toLowerCase())
  const selected = objects.filter(({ id, spec }) => {
    const name = spec.Name ?? ''
    const isWanted =
      !isNamed ||
      filters.get('id').some((prefix) => id.startsWith(prefix)) ||
      filters.get('names').includes(name) ||
      prefixes.some((prefix) => name.toLowerCase().startsWith(prefix))
    return isWanted && filters.allowsLabels('label', spec.Labels)
  })
  return filters.has('name') || filters.has('names') ? selected.sort(byName) : selected
}

function byName(a: Secret | Config, b: Secret | Config): number {
  const left = a.spec.Name ?? ''
  const right = b.spec.Name ?? ''
  return left < right ? -1 : Number(left > right)
}
