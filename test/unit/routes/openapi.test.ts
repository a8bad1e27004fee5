import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { ServiceSpecSchema, SwarmSpecSchema } from '../../../src/model/spec/index.js'
import { testApp } from './fake-backend.js'

interface Schema {
  readonly $ref?: string
  readonly properties?: Readonly<Record<string, Schema>>
}

interface OpenApiOperation {
  readonly operationId?: string
  readonly tags?: readonly string[]
  readonly summary?: string
  readonly parameters?: readonly {
    readonly name: string
    readonly in: string
    readonly description?: string
  }[]
  readonly responses: Readonly<Record<string, { readonly description: string; readonly content?: object }>>
}

interface Document {
  readonly openapi: string
  readonly tags: readonly { readonly name: string }[]
  readonly paths: Readonly<Record<string, Readonly<Record<string, OpenApiOperation>>>>
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> }
}

async function readDocument(): Promise<Document> {
  const { app } = testApp()
  const answer = await app.inject('/openapi.json')
  await app.close()
  assert.equal(answer.statusCode, 200)
  assert.equal(answer.headers['content-type'], 'application/json')
  return answer.json<Document>()
}

describe('the OpenAPI document', async () => {
  const document = await readDocument()
  const operations = Object.entries(document.paths).flatMap(([path, byMethod]) =>
    Object.entries(byMethod).map(([method, operation]) => ({ path, method, operation })),
  )

  test('holds every route that Skep answers itself, once', () => {
    const names = operations.map(({ path, method }) => `${method.toUpperCase()} ${path}`)
    assert.deepEqual(names.sort(), [
      'DELETE /configs/{id}',
      'DELETE /networks/{id}',
      'DELETE /nodes/{id}',
      'DELETE /secrets/{id}',
      'DELETE /services/{id}',
      'DELETE /volumes/{id}',
      'GET /_ping',
      'GET /configs',
      'GET /configs/{id}',
      'GET /events',
      'GET /info',
      'GET /networks',
      'GET /networks/{id}',
      'GET /nodes',
      'GET /nodes/{id}',
      'GET /secrets',
      'GET /secrets/{id}',
      'GET /services',
      'GET /services/{id}',
      'GET /services/{id}/logs',
      'GET /skep/v1/services/{id}/history',
      'GET /skep/v1/tasks/{id}/explain',
      'GET /swarm',
      'GET /swarm/unlockkey',
      'GET /tasks',
      'GET /tasks/{id}',
      'GET /tasks/{id}/logs',
      'GET /version',
      'GET /volumes',
      'GET /volumes/{id}',
      'HEAD /_ping',
      'POST /configs/create',
      'POST /configs/{id}/update',
      'POST /networks/create',
      'POST /networks/prune',
      'POST /networks/{id}/connect',
      'POST /networks/{id}/disconnect',
      'POST /nodes/{id}/update',
      'POST /secrets/create',
      'POST /secrets/{id}/update',
      'POST /services/create',
      'POST /services/{id}/update',
      'POST /skep/v1/backup',
      'POST /skep/v1/rebalance',
      'POST /skep/v1/recover',
      'POST /skep/v1/restore',
      'POST /skep/v1/services/{id}/rollback',
      'POST /swarm/init',
      'POST /swarm/join',
      'POST /swarm/leave',
      'POST /swarm/unlock',
      'POST /swarm/update',
      'POST /volumes/create',
      'PUT /volumes/{id}',
    ])
  })

  test('gives generators what they need', () => {
    assert.equal(document.openapi, '3.0.3')
    const ids = operations.map(({ operation }) => operation.operationId)
    assert.equal(new Set(ids).size, ids.length)
    const tags = new Set(document.tags.map(({ name }) => name))
    for (const { path, method, operation } of operations) {
      const name = `${method} ${path}`
      assert.match(operation.operationId ?? '', /^[A-Z][A-Za-z]+$/, name)
      assert.ok(operation.summary, name)
      assert.ok(
        operation.tags?.every((tag) => tags.has(tag)),
        name,
      )
      assert.ok(
        Object.keys(operation.responses).some((status) => status.startsWith('2')),
        name,
      )
      const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, param]) => param)
      const declared = (operation.parameters ?? []).filter((param) => param.in === 'path')
      assert.deepEqual(
        declared.map((param) => param.name),
        inPath,
        name,
      )
    }
  })

  test('names each struct once, and every reference leads somewhere', () => {
    const { schemas } = document.components
    const text = JSON.stringify(document)
    const refs = new Set(
      [...text.matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/g)].map(([, name]) => name ?? ''),
    )
    assert.ok(refs.size > 90)
    for (const name of refs) assert.ok(schemas[name]?.properties !== undefined, name)
    assert.deepEqual(
      Object.keys(schemas).filter((name) => !refs.has(name)),
      [],
    )
    for (const own of ['"presence"', '"componentName"', '"examples"', '"title":"ServiceSpec"']) {
      assert.ok(!text.includes(own), own)
    }
  })

  test('lets requests hold what the decoder reads', () => {
    const { schemas } = document.components
    assert.deepEqual(
      Object.keys(schemas.ServiceSpec?.properties ?? {}),
      Object.keys(ServiceSpecSchema.properties),
    )
    assert.deepEqual(
      Object.keys(schemas.SwarmSpec?.properties ?? {}),
      Object.keys(SwarmSpecSchema.properties),
    )
    assert.equal(schemas.ServiceSpec?.properties?.TaskTemplate?.$ref, '#/components/schemas/TaskSpec')
  })
})

test('the page about it needs nothing from elsewhere', async (t) => {
  const { app } = testApp()
  t.after(() => app.close())
  for (const url of ['/docs', '/docs/']) {
    let answer = await app.inject(url)
    if (answer.statusCode === 302) answer = await app.inject(String(answer.headers.location))
    assert.equal(answer.statusCode, 200, url)
    assert.match(answer.body, /swagger-ui/)
    assert.doesNotMatch(answer.body, /(src|href)="(https?:)?\/\//)
  }
  assert.equal((await app.inject('/docs/static/swagger-ui.css')).statusCode, 200)
})
