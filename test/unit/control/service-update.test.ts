import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Fixture, aSpec, assertFails, assertRpcFails } from './fixture.js'

const v2 = aSpec({}, { Image: 'busybox:2' })

test('1.7 an update replaces the spec and keeps the one before', async () => {
  const fixture = new Fixture()
  const before = await fixture.addService(aSpec({ Labels: { a: '1' } }), 'auth1')
  await fixture.write((tx) =>
    tx.update('services', before.id, { updateStatus: { state: 'paused', message: 'x' } }),
  )
  const { version } = fixture.service(before.id)
  await fixture.update(before, v2)
  const after = fixture.service(before.id)
  assert.deepEqual(after.spec.Labels, {})
  assert.equal(after.spec.TaskTemplate?.ContainerSpec?.Image, 'busybox:2')
  assert.deepEqual(after.previousSpec, before.spec)
  assert.equal(after.specVersion, version)
  assert.equal(after.previousSpecVersion, 0)
  assert.equal(after.updateStatus, undefined)
  assert.ok(after.version > version)
})

test('6.20 a rollback swaps the specs, again and again', async () => {
  const fixture = new Fixture()
  const { id } = await fixture.addService(aSpec())
  await fixture.update(fixture.service(id), v2)
  const updated = fixture.service(id)
  await fixture.update(updated, v2, { rollback: 'previous' })
  const back = fixture.service(id)
  assert.deepEqual(back.spec, updated.previousSpec)
  assert.deepEqual(back.previousSpec, updated.spec)
  assert.equal(back.specVersion, 0)
  assert.equal(back.previousSpecVersion, updated.specVersion)
  assert.deepEqual(back.updateStatus, {
    state: 'rollback_started',
    startedAtMs: fixture.env.nowMs(),
    message: 'manually requested rollback',
  })
  await fixture.update(back, v2, { rollback: 'previous' })
  assert.deepEqual(fixture.service(id).spec, updated.spec)
})

test('6.20 there must be a spec to go back to', async () => {
  const fixture = new Fixture()
  const service = await fixture.addService(aSpec())
  await assertRpcFails(
    fixture.update(service, v2, { rollback: 'previous', version: 0 }),
    'FailedPrecondition',
    `service ${service.id} does not have a previous spec`,
  )
  await assertFails(
    fixture.update(service, v2, { registryAuthFrom: 'previous-spec', version: 0 }),
    'Unknown',
    'service does not have a previous spec',
  )
})

test('13.8 a rollback to a spec whose secret is gone is refused', async () => {
  const fixture = new Fixture()
  const { id: secretId } = await fixture.control.createSecret({ spec: { Name: 's', Data: 'YQ==' } })
  const withSecret = aSpec({}, { Secrets: [{ SecretID: secretId, SecretName: 's', File: { Name: 's' } }] })
  const service = await fixture.addService(withSecret)
  await fixture.update(service, v2)
  await fixture.control.removeSecret({ id: 's' })
  await assertRpcFails(
    fixture.update(service, v2, { rollback: 'previous' }),
    'InvalidArgument',
    'secret not found: s',
  )
})

test('12.6 credentials are kept from where the user says', async () => {
  const fixture = new Fixture()
  const service = await fixture.addService(aSpec(), 'first')
  const auth = () => fixture.service(service.id).registryAuth
  await fixture.update(service, v2)
  assert.equal(auth(), 'first')
  await fixture.update(service, v2, { registryAuth: 'second' })
  assert.equal(auth(), 'second')
  await fixture.update(service, v2, { registryAuthFrom: 'previous-spec' })
  assert.equal(auth(), 'first')
})

test('1.3 a stale version is found last', async () => {
  const fixture = new Fixture()
  const service = await fixture.addService(aSpec())
  const stale = { version: service.version + 100 }
  await assertRpcFails(
    fixture.update(service, aSpec({ Name: 'web2' }), stale),
    'Unimplemented',
    'renaming services is not supported',
  )
  await assertRpcFails(
    fixture.update(service, aSpec({ Mode: { Global: {} } }), stale),
    'Unimplemented',
    'service mode change is not allowed',
  )
  await assertRpcFails(
    fixture.update(service, aSpec({ Name: '' }), stale),
    'Unimplemented',
    'renaming services is not supported',
  )
  await assertRpcFails(fixture.update(service, v2, stale), 'Unknown', 'update out of sequence')
  assert.deepEqual(fixture.service(service.id), service)
})

test('12.4 checks come in Docker’s order: form, then existence, then the rules', async () => {
  const fixture = new Fixture()
  const call = (spec: object) =>
    fixture.control.updateService({
      id: 'nosuch',
      version: 1,
      spec,
      registryAuthFrom: 'spec',
      rollback: 'none',
    })
  await assertFails(call({}), 'InvalidArgument', 'mismatched Runtime and *Spec fields')
  await assertFails(call(aSpec({ Name: 'a b' })), 'NotFound', 'service nosuch not found')
})

test('a service may keep its own ports, and not take another’s', async () => {
  const fixture = new Fixture()
  await fixture.addIngress()
  const withPort = (Name: string, PublishedPort: number) =>
    aSpec({ Name, EndpointSpec: { Ports: [{ TargetPort: 80, PublishedPort }] } })
  const one = await fixture.addService(withPort('one', 8081))
  const two = await fixture.addService(withPort('two', 8082))
  await fixture.update(one, { ...withPort('one', 8081), Labels: { a: 'b' } })
  await assertRpcFails(
    fixture.update(two, withPort('two', 8081)),
    'InvalidArgument',
    `port '8081' is already in use by service 'one' (${one.id}) as an ingress port`,
  )
})

test('13.2 networks in the old place move only together with the new', async () => {
  const fixture = new Fixture()
  const { id: a } = await fixture.control.createNetwork({ spec: { Name: 'a' } })
  await fixture.control.createNetwork({ spec: { Name: 'b' } })
  const service = await fixture.addService(aSpec({ Networks: [{ Target: 'a' }] }))
  await assertRpcFails(
    fixture.update(service, aSpec({ Networks: [{ Target: 'b' }] })),
    'Unimplemented',
    'networks must be migrated to TaskSpec before being changed',
  )
  await fixture.update(service, aSpec({}, {}, { Networks: [{ Target: 'a' }] }))
  assert.deepEqual(fixture.service(service.id).spec.TaskTemplate?.Networks, [{ Target: a }])
})

test('5.1 each update of a job is a new iteration', async () => {
  const fixture = new Fixture()
  const job = aSpec({ Mode: { ReplicatedJob: {} } })
  const service = await fixture.addService(job)
  fixture.env.advance(1000)
  await fixture.update(service, job)
  assert.deepEqual(fixture.service(service.id).jobStatus, {
    iteration: 1,
    lastExecutionMs: fixture.env.nowMs(),
  })
})

test('1.3 of two updates from one version only the first succeeds', async () => {
  const fixture = new Fixture()
  const service = await fixture.addService(aSpec())
  const results = await Promise.allSettled([fixture.update(service, v2), fixture.update(service, v2)])
  assert.deepEqual(results.map(({ status }) => status).sort(), ['fulfilled', 'rejected'])
})

test('13.3 a service is removed by name, prefix or ID', async () => {
  const fixture = new Fixture()
  const { id } = await fixture.addService(aSpec())
  await assertFails(fixture.control.removeService({ id: 'WEB' }), 'NotFound', 'service WEB not found')
  await fixture.control.removeService({ id: id.slice(0, 10) })
  await assertFails(fixture.control.removeService({ id }), 'NotFound', `service ${id} not found`)
})
