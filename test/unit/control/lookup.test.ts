import assert from 'node:assert/strict'
import { test } from 'node:test'
import { findNode, findSecret, findService, findTask } from '../../../src/control/index.js'
import { SwarmError } from '../../../src/model/errors.js'
import { TaskState } from '../../../src/model/task-state.js'
import { Fixture, aSpec } from './fixture.js'

const failure = (run: () => unknown): string => {
  try {
    run()
  } catch (error) {
    assert.ok(error instanceof SwarmError)
    return `${error.code}: ${error.message}`
  }
  return 'found'
}

test('13.1 whole ID before whole name before ID prefix', async () => {
  const f = new Fixture()
  for (const [id, Name] of [
    ['abc1', 'one'],
    ['abc2', 'abc'],
    ['xyz1', 'abc1'],
  ] as const) {
    await f.write((tx) => tx.create('services', { id, spec: { Name }, specVersion: 0 }))
  }
  const { view } = f.store
  assert.equal(findService(view, 'abc1').id, 'abc1')
  assert.equal(findService(view, 'abc').id, 'abc2')
  assert.equal(findService(view, 'xyz').id, 'xyz1')
  assert.equal(
    failure(() => findService(view, 'ab')),
    'InvalidArgument: service ab is ambiguous (2 matches found)',
  )
  assert.equal(
    failure(() => findService(view, 'ABC')),
    'NotFound: service ABC not found',
  )
  assert.equal(
    failure(() => findService(view, '')),
    'NotFound: service  not found',
  )
})

test('nodes may share a hostname', async () => {
  const f = new Fixture()
  await f.addNode('n1', { description: { Hostname: 'box' } })
  await f.addNode('n2', { description: { Hostname: 'box' } })
  assert.equal(
    failure(() => findNode(f.store.view, 'box')),
    'InvalidArgument: node box is ambiguous (2 matches found)',
  )
  assert.equal(
    failure(() => findNode(f.store.view, 'self')),
    'NotFound: node self not found',
  )
})

test('2.8 secrets ignore case, tasks are found by the name that clients compose', async () => {
  const f = new Fixture()
  const { id } = await f.control.createSecret({ spec: { Name: 'Key', Data: 'YQ==' } })
  assert.equal(findSecret(f.store.view, 'kEY').id, id)
  const service = await f.addService(aSpec())
  await f.write((tx) =>
    tx.create('tasks', {
      id: 'task1',
      spec: {},
      slot: 3,
      serviceId: service.id,
      serviceAnnotations: { name: 'web', labels: {} },
      status: { state: TaskState.New, timestampMs: 0, message: '' },
      desiredState: TaskState.Running,
      networks: [],
    }),
  )
  assert.equal(findTask(f.store.view, 'web.3.task1').id, 'task1')
  assert.equal(findTask(f.store.view, 'tas').id, 'task1')
  assert.equal(
    failure(() => findTask(f.store.view, 'web.2.task1')),
    'NotFound: task web.2.task1 not found',
  )
})
