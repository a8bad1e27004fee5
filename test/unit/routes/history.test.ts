import assert from 'node:assert/strict'
import { test } from 'node:test'
import { historyText, type History } from '../../../src/cli/history/text.js'
import { specChanges } from '../../../src/routes/services/spec-changes.js'
import { testApp, type TestApp } from './fake-backend.js'

function spec(tag: string, env: readonly string[] = []): object {
  const ContainerSpec = { Image: `app:${tag}`, Env: env }
  return { Name: 'web', Mode: { Replicated: { Replicas: 2 } }, TaskTemplate: { ContainerSpec } }
}

async function post({ app }: TestApp, url: string, body: object): Promise<number> {
  const headers = { 'content-type': 'application/json' }
  const answer = await app.inject({ method: 'POST', url, headers, payload: JSON.stringify(body) })
  return answer.statusCode
}

/** A service that was updated twice. */
async function updatedService() {
  const context = testApp()
  assert.equal(await post(context, '/services/create', spec('1', ['TOKEN=old', 'A=1'])), 201)
  for (const body of [spec('2', ['TOKEN=new', 'A=1']), { ...spec('2'), Labels: { 'a.b': 'c' } }]) {
    const [service] = context.store.view.services.list()
    const path = `/services/web/update?version=${service?.version ?? 0}`
    assert.equal(await post(context, path, body), 200)
  }
  return context
}

async function historyOf({ app }: TestApp): Promise<History> {
  const answer = await app.inject('/skep/v1/services/web/history')
  assert.equal(answer.statusCode, 200, answer.body)
  return answer.json<History>()
}

test('6.25 the history has the newest spec first, each with its difference from the one before', async () => {
  const context = await updatedService()
  const { serviceName, revisions } = await historyOf(context)
  assert.equal(serviceName, 'web')
  assert.deepEqual(
    revisions.map(({ revision, current, cause }) => [revision, current, cause]),
    [
      [3, true, 'update'],
      [2, false, 'update'],
      [1, false, 'create'],
    ],
  )
  assert.deepEqual(revisions[1]?.changes, [
    { path: 'TaskTemplate.ContainerSpec.Env[TOKEN]', before: '(hidden)', after: '(hidden)' },
    { path: 'TaskTemplate.ContainerSpec.Image', before: 'app:1', after: 'app:2' },
  ])
  assert.equal(revisions[2]?.changes, null)
  assert.match(revisions[0]?.setAt ?? '', /^\d{4}-\d\d-\d\dT.*Z$/)
  await context.app.close()
})

test('6.25 the way back is a number of the history', async () => {
  const context = await updatedService()
  const rollback = async (query: string) => {
    const answer = await context.app.inject({ method: 'POST', url: `/skep/v1/services/web/rollback${query}` })
    return [answer.statusCode, answer.json<{ readonly message?: string }>().message]
  }
  assert.deepEqual(await rollback(''), [
    400,
    "invalid revision '': must be a number from the service's history",
  ])
  assert.deepEqual((await rollback('?revision=7'))[0], 404)
  assert.deepEqual(await rollback('?revision=1'), [200, undefined])
  const [service] = context.store.view.services.list()
  assert.equal(service?.spec.TaskTemplate?.ContainerSpec?.Image, 'app:1')
  assert.equal((await historyOf(context)).revisions[0]?.cause, 'rollback')
  await context.app.close()
})

test('differences name the member, and hide values of the environment', () => {
  const before = {
    Labels: { 'a.b': 'x' },
    TaskTemplate: { ContainerSpec: { Args: ['a'], Env: ['P=secret'] } },
  }
  const after = {
    Labels: {},
    TaskTemplate: { ContainerSpec: { Args: ['a', 'b'], Env: ['Q=secret'] }, ForceUpdate: 1 },
  }
  assert.deepEqual(specChanges(before, before), [])
  assert.deepEqual(specChanges(before, after), [
    { path: 'Labels[a.b]', before: 'x' },
    { path: 'TaskTemplate.ContainerSpec.Args', before: ['a'], after: ['a', 'b'] },
    { path: 'TaskTemplate.ContainerSpec.Env[P]', before: '(hidden)' },
    { path: 'TaskTemplate.ContainerSpec.Env[Q]', after: '(hidden)' },
    { path: 'TaskTemplate.ForceUpdate', after: 1 },
  ])
})

test('people read one line for each change', () => {
  const changes = [
    { path: 'Image', before: 'a', after: 'b' },
    { path: 'Labels[x]', after: 'y' },
    { path: 'Args', before: ['a'] },
  ]
  const text = historyText({
    serviceName: 'web',
    revisions: [
      { revision: 2, current: true, setAt: '2026-01-01T00:00:01Z', cause: 'update', changes },
      { revision: 1, current: false, setAt: '2026-01-01T00:00:00Z', cause: 'create', changes: null },
    ],
  })
  assert.deepEqual(text.split('\n'), [
    'REVISION   SINCE                  CAUSE    CHANGES',
    '2 (now)    2026-01-01T00:00:01Z   update   Image: a -> b',
    '                                           Labels[x]: + y',
    '                                           Args: - ["a"]',
    '1          2026-01-01T00:00:00Z   create',
  ])
})
