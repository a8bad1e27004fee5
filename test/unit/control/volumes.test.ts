import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assertFails, assertRpcFails, Fixture } from './fixture.js'

const block = { AccessMode: { BlockVolume: {} } }

test('13.10 what cannot be created', async () => {
  const f = new Fixture()
  const refused = (ClusterVolumeSpec: object, description: string, Name = 'v') =>
    assertRpcFails(
      f.control.createVolume({ options: { Name, ClusterVolumeSpec } }),
      'InvalidArgument',
      description,
    )
  await refused(block, 'meta: name must be provided', '')
  await refused({}, 'AccessMode must not be nil')
  await refused(
    { AccessMode: { Scope: 'multi' } },
    'Volume AccessMode must specify either Mount or Block access type',
  )
  const Secrets = [
    { Key: 'k', Secret: 'a' },
    { Key: 'l', Secret: 'b' },
  ]
  const withSecrets = { Name: 'v', ClusterVolumeSpec: { ...block, Secrets } }
  await assertRpcFails(
    f.control.createVolume({ options: withSecrets }),
    'NotFound',
    'secrets not found: [a b]',
  )
  await f.control.createVolume({ options: { Name: 'Data', ClusterVolumeSpec: block } })
  await assertRpcFails(
    f.control.createVolume({ options: { Name: 'data', ClusterVolumeSpec: block } }),
    'AlreadyExists',
    'name conflicts with an existing object: volume data already exists',
  )
})

test('13.10 what is absent has a default', async () => {
  const f = new Fixture()
  const { id } = await f.control.createVolume({
    options: {
      Name: 'v',
      Driver: 'csi',
      DriverOpts: { a: 'b' },
      ClusterVolumeSpec: { ...block, Group: 'g' },
    },
  })
  assert.deepEqual(f.get('volumes', id).spec, {
    Name: 'v',
    Labels: {},
    Driver: { Name: 'csi', Options: { a: 'b' } },
    Group: 'g',
    AccessMode: { Scope: 'single', Sharing: 'none', BlockVolume: {} },
    Availability: 'active',
  })
})

test('13.11 only the availability changes, and only from the present version', async () => {
  const f = new Fixture()
  const { id } = await f.control.createVolume({ options: { Name: 'v', ClusterVolumeSpec: block } })
  const { version } = f.get('volumes', id)
  const update = (availability?: string, from = version) =>
    f.control.updateVolume({ id: 'v', version: from, ...(availability !== undefined && { availability }) })
  await assertRpcFails(update('drain', version + 1), 'Unknown', 'update out of sequence')
  await assertFails(
    update('gone'),
    'InvalidArgument',
    'invalid availability "gone": must be active, pause or drain',
  )
  await update()
  assert.equal(f.get('volumes', id).version, version)
  await update('drain')
  assert.equal(f.get('volumes', id).spec.Availability, 'drain')
})

test('13.11 a volume goes when no node uses it; one that was made waits for its plugin', async () => {
  const f = new Fixture()
  const make = async (Name: string) =>
    (await f.control.createVolume({ options: { Name, ClusterVolumeSpec: block } })).id
  const [fresh, made, used] = [await make('fresh'), await make('made'), await make('used')]
  const info = { capacityBytes: 0, volumeContext: {}, volumeId: 'x', accessibleTopology: [] }
  const publishStatus = [{ nodeId: 'n', state: 'published', publishContext: {} }] as const
  await f.write((tx) => {
    tx.update('volumes', made, { info })
    tx.update('volumes', used, { info, publishStatus })
  })
  await f.control.removeVolume({ id: 'fresh', force: false })
  assert.equal(f.store.view.volumes.get(fresh), undefined)
  await f.control.removeVolume({ id: 'made', force: false })
  assert.equal(f.get('volumes', made).pendingDelete, true)
  const refused = f.control.removeVolume({ id: 'used', force: false })
  await assertRpcFails(refused, 'FailedPrecondition', 'volume is still in use')
  await f.control.removeVolume({ id: 'used', force: true })
  assert.equal(f.store.view.volumes.get(used), undefined)
  await assertFails(f.control.removeVolume({ id: 'gone', force: false }), 'NotFound', 'volume gone not found')
  await f.control.removeVolume({ id: 'gone', force: true })
})
