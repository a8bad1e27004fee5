import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Service } from '../../../src/model/objects.js'
import { currentRevision, revisionLimit, revisionsOf } from '../../../src/store/revisions.js'
import { Fixture, aSpec, assertRpcFails } from './fixture.js'

const image = (n: number) => aSpec({}, { Image: `busybox:${n}` })

function imageOf({ spec }: Pick<Service, 'spec'>): string | undefined {
  return spec.TaskTemplate?.ContainerSpec?.Image
}

test('6.25 former specs are kept, numbered from 1, with their times and causes', async () => {
  const fixture = new Fixture()
  const { id, createdAtMs } = await fixture.addService(image(1))
  assert.deepEqual(revisionsOf(fixture.store.view, id), [])
  fixture.env.advance(1000)
  await fixture.update(fixture.service(id), image(2))
  fixture.env.advance(1000)
  await fixture.update(fixture.service(id), image(2), { rollback: 'previous' })
  const kept = revisionsOf(fixture.store.view, id)
  assert.deepEqual(
    kept.map((revision) => [revision.number, imageOf(revision), revision.setAtMs, revision.replacedBy]),
    [
      [1, 'busybox:1', createdAtMs, 'update'],
      [2, 'busybox:2', createdAtMs + 1000, 'rollback'],
    ],
  )
  assert.deepEqual(currentRevision(fixture.store.view, fixture.service(id)), {
    number: 3,
    setAtMs: createdAtMs + 2000,
  })
})

test('an update that changes nothing is no revision', async () => {
  const fixture = new Fixture()
  const { id } = await fixture.addService(image(1))
  await fixture.update(fixture.service(id), image(1))
  assert.deepEqual(revisionsOf(fixture.store.view, id), [])
})

test('6.25 the oldest specs are forgotten, and all of them with the service', async () => {
  const fixture = new Fixture()
  const { id } = await fixture.addService(image(1))
  for (let n = 2; n <= revisionLimit + 5; n++) await fixture.update(fixture.service(id), image(n))
  const numbers = revisionsOf(fixture.store.view, id).map(({ number }) => number)
  assert.deepEqual(
    numbers,
    Array.from({ length: revisionLimit }, (_, n) => n + 5),
  )
  await fixture.control.removeService({ id })
  assert.deepEqual(fixture.store.view.revisions.list(), [])
})

test('6.25 any kept spec can be gone back to; it becomes the newest', async () => {
  const fixture = new Fixture()
  const { id } = await fixture.addService(image(1))
  for (const n of [2, 3, 4]) await fixture.update(fixture.service(id), image(n))
  const before = fixture.service(id)
  const revision = revisionsOf(fixture.store.view, id)[1]
  await fixture.control.rollbackService({ id: 'web', revision: 2 })
  const after = fixture.service(id)
  assert.equal(imageOf(after), 'busybox:2')
  assert.equal(after.specVersion, revision?.specVersion)
  assert.deepEqual(after.previousSpec, before.spec)
  assert.deepEqual(after.updateStatus, {
    state: 'rollback_started',
    startedAtMs: fixture.env.nowMs(),
    message: 'manually requested rollback to revision 2',
  })
  assert.equal(currentRevision(fixture.store.view, after).number, 5)
})

test('what is not kept, and what is there already, cannot be gone back to', async () => {
  const fixture = new Fixture()
  const { id } = await fixture.addService(image(1))
  const rollback = (revision: number) => fixture.control.rollbackService({ id, revision })
  await assertRpcFails(rollback(1), 'FailedPrecondition', 'service web is at revision 1 already')
  await assertRpcFails(rollback(2), 'NotFound', 'service web has no revision 2: it never had another spec')
  await fixture.update(fixture.service(id), image(2))
  await fixture.update(fixture.service(id), image(3))
  await assertRpcFails(rollback(9), 'NotFound', 'service web has no revision 9: it has 1, 2')
})

test('13.8 a former spec whose secret is gone is refused', async () => {
  const fixture = new Fixture()
  const { id: SecretID } = await fixture.control.createSecret({ spec: { Name: 'key', Data: 'eA==' } })
  const Secrets = [{ SecretID, SecretName: 'key', File: { Name: 'key', UID: '0', GID: '0', Mode: 292 } }]
  const { id } = await fixture.addService(aSpec({}, { Secrets }))
  await fixture.update(fixture.service(id), image(2))
  await fixture.control.removeSecret({ id: SecretID })
  await assertRpcFails(
    fixture.control.rollbackService({ id, revision: 1 }),
    'InvalidArgument',
    'secret not found: key',
  )
})

test('a job runs again with a former spec', async () => {
  const fixture = new Fixture()
  const job = (n: number) => ({ ...image(n), Mode: { ReplicatedJob: {} } })
  const { id } = await fixture.addService(job(1))
  await fixture.update(fixture.service(id), job(2))
  await fixture.control.rollbackService({ id, revision: 1 })
  assert.equal(fixture.service(id).jobStatus?.iteration, 2)
})

test('the log holds a former spec once', async () => {
  const fixture = new Fixture()
  const { id } = await fixture.addService(image(1))
  const first = fixture.service(id).spec
  await fixture.update(fixture.service(id), image(2))
  assert.equal(revisionsOf(fixture.store.view, id)[0]?.spec, first)
})
