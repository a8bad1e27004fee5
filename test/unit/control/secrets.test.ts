import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Fixture, aSpec, assertFails, assertRpcFails } from './fixture.js'

const base64 = (size: number) => Buffer.alloc(size, 'a').toString('base64')
const badName =
  'invalid name, only 64 [a-zA-Z0-9-_.] characters allowed, and the start and end character must be [a-zA-Z0-9]'

/** Both kinds behave alike, but for their size. */
const kinds = [
  {
    kind: 'secret',
    limit: 512_000,
    create: (f: Fixture, spec: object) => f.control.createSecret({ spec }),
    update: (f: Fixture, id: string, version: number, spec: object) =>
      f.control.updateSecret({ id, version, spec }),
    remove: (f: Fixture, id: string) => f.control.removeSecret({ id }),
    get: (f: Fixture, id: string) => f.get('secrets', id),
    reference: (id: string, name: string) => ({
      Secrets: [{ SecretID: id, SecretName: name, File: { Name: name } }],
    }),
  },
  {
    kind: 'config',
    limit: 1_024_000,
    create: (f: Fixture, spec: object) => f.control.createConfig({ spec }),
    update: (f: Fixture, id: string, version: number, spec: object) =>
      f.control.updateConfig({ id, version, spec }),
    remove: (f: Fixture, id: string) => f.control.removeConfig({ id }),
    get: (f: Fixture, id: string) => f.get('configs', id),
    reference: (id: string, name: string) => ({
      Configs: [{ ConfigID: id, ConfigName: name, File: { Name: name } }],
    }),
  },
] as const

for (const { kind, limit, create, update, remove, get, reference } of kinds) {
  const tooLarge = `${kind} data must be larger than 0 and less than ${limit} bytes`

  test(`${kind}: what cannot be created`, async () => {
    const f = new Fixture()
    const cases: readonly (readonly [object, string])[] = [
      [{}, 'name must be provided'],
      [{ Data: 'YQ==' }, 'name must be provided'],
      [{ Name: 'x' }, tooLarge],
      [{ Name: 'x', Data: base64(limit) }, tooLarge],
      [{ Name: '-h3', Data: 'YQ==' }, badName],
      [{ Name: 'a'.repeat(65), Data: 'YQ==' }, badName],
      [{ Name: 'a.', Data: 'YQ==' }, badName],
    ]
    for (const [spec, text] of cases) await assertRpcFails(create(f, spec), 'InvalidArgument', text)
    assert.equal(f.store.view.secrets.size + f.store.view.configs.size, 0)
    await create(f, { Name: 'x', Data: base64(limit - 1) })
  })

  test(`${kind}: names are unique whatever their case`, async () => {
    const f = new Fixture()
    await create(f, { Name: 'demo-A', Data: 'YQ==' })
    await assertRpcFails(
      create(f, { Name: 'Demo-a', Data: 'YQ==' }),
      'AlreadyExists',
      `${kind} Demo-a already exists`,
    )
  })

  test(`13.7 ${kind}: only labels change`, async () => {
    const f = new Fixture()
    const { id } = await create(f, { Name: 'demo-A', Data: 'YQ==', Labels: { x: '1' } })
    const text = 'only updates to Labels are allowed'
    await assertRpcFails(update(f, id, 0, { Name: 'demo-B' }), 'InvalidArgument', text)
    await assertRpcFails(update(f, id, 0, { Name: 'demo-A', Data: 'Yg==' }), 'InvalidArgument', text)
    await assertRpcFails(update(f, id, 99, { Name: 'demo-A' }), 'Unknown', 'update out of sequence')
    await assertFails(update(f, 'nosuch', 0, { Name: 'demo-A' }), 'NotFound', `${kind} nosuch not found`)
    const { version } = get(f, id)
    await update(f, 'DEMO-a', version, { Name: 'demo-A', Data: 'YQ==', Labels: { z: '1' } })
    assert.deepEqual(get(f, id).spec, { Name: 'demo-A', Labels: { z: '1' }, Data: 'YQ==' })
    await update(f, id, get(f, id).version, { Name: 'demo-A' })
    assert.deepEqual(get(f, id).spec, { Name: 'demo-A', Labels: {}, Data: 'YQ==' })
  })

  test(`13.7 ${kind}: cannot be removed while a service refers to it`, async () => {
    const f = new Fixture()
    const { id } = await create(f, { Name: 'a', Data: 'YQ==' })
    const one = await f.addService(aSpec({ Name: 'x' }, reference(id, 'a')))
    await assertRpcFails(
      remove(f, 'a'),
      'InvalidArgument',
      `${kind} 'a' is in use by the following service: x`,
    )
    const two = await f.addService(aSpec({ Name: 'y' }, reference(id, 'a')))
    const names = [one, two].sort((a, b) => (a.id < b.id ? -1 : 1)).map(({ spec }) => spec.Name)
    await assertRpcFails(
      remove(f, 'a'),
      'InvalidArgument',
      `${kind} 'a' is in use by the following services: ${names.join(', ')}`,
    )
    await f.control.removeService({ id: 'x' })
    await f.update(two, aSpec({ Name: 'y' }))
    await remove(f, 'a')
    await assertFails(remove(f, 'a'), 'NotFound', `${kind} a not found`)
  })
}

test('a secret’s driver needs a name, and a plugin that is there', async () => {
  const f = new Fixture()
  await assertRpcFails(
    f.control.createSecret({ spec: { Name: 'x', Driver: {} } }),
    'InvalidArgument',
    'secret driver must have a name',
  )
  await assertRpcFails(
    f.control.createSecret({ spec: { Name: 'x', Driver: { Name: 'nosuch' } } }),
    'Unknown',
    'plugin "nosuch" not found',
  )
})
