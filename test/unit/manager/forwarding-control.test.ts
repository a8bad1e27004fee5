import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createControl } from '../../../src/control/index.js'
import { localNetworksIn } from '../../../src/control/services/resolve-networks.js'
import { applyForwarded, forwardingControl, serviceSpecIn } from '../../../src/manager/forwarding-control.js'
import { SimulatedEnv } from '../../lib/simulated-env.js'
import { instantStore } from '../../lib/instant-store.js'

const specWith = (...networks: readonly string[]) => ({
  Name: 'web',
  TaskTemplate: {
    ContainerSpec: { Image: 'a' },
    Networks: networks.map((Target) => ({ Target })),
  },
})

/** A follower whose engine has the network `mine`, and a leader whose engine has `theirs`. */
async function cluster() {
  const env = new SimulatedEnv(1)
  const store = instantStore(env)
  await store.update((tx) => {
    tx.create('networks', { id: 'overlay-id', spec: { Name: 'overlay', Driver: 'overlay' } })
  })
  const asked: string[] = []
  const findLocalNetwork = (name: string) => {
    asked.push(name)
    return Promise.resolve(name === 'mine' ? 'mine' : undefined)
  }
  const controlFor = (find: (name: string) => Promise<string | undefined>) =>
    createControl(env, store, { findLocalNetwork: find })
  const leader = controlFor((name) => Promise.resolve(name === 'theirs' ? 'theirs' : undefined))
  const follower = forwardingControl(
    leader,
    () => false,
    async (name, args) => {
      const localNetworks = await localNetworksIn({ store, findLocalNetwork }, serviceSpecIn(name, args))
      // As over the wire.
      return applyForwarded(controlFor, JSON.parse(JSON.stringify({ name, args, localNetworks })))
    },
  )
  return { store, follower, asked }
}

test('a write that goes through another manager is judged by the networks of the node that was asked', async () => {
  const { follower } = await cluster()
  await assert.rejects(follower.createService({ spec: specWith('mine') }), {
    code: 'PermissionDenied',
    message: /^The network mine cannot be used with services\./,
  })
  await assert.rejects(follower.createService({ spec: specWith('theirs') }), {
    code: 'Unknown',
    message: 'network theirs not found',
  })
})

test('networks of the cluster are not asked of the engine', async () => {
  const { follower, store, asked } = await cluster()
  const { id } = await follower.createService({ spec: specWith('overlay') })
  assert.equal(store.view.services.get(id)?.spec.TaskTemplate?.Networks?.[0]?.Target, 'overlay-id')
  await follower.createConfig({ spec: { Name: 'c', Data: 'eA==' } })
  assert.deepEqual(asked, [])
})

test('only writes are taken', async () => {
  const { store } = await cluster()
  const control = createControl(new SimulatedEnv(1), store)
  for (const call of [undefined, {}, { name: 'toString' }, { name: 3 }])
    assert.throws(() => applyForwarded(() => control, call), { code: 'Unimplemented' })
})
