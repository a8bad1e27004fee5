import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Node } from '../../../src/model/objects.js'
import type { Strategy } from '../../../src/model/placement.js'
import { TaskState } from '../../../src/model/task-state.js'
import { planReplicated } from '../../../src/orchestrator/replicated/plan.js'
import { aNode, aService, aTask } from './builders.js'

interface Place {
  readonly node: string
  readonly labels?: Readonly<Record<string, string>>
  readonly more?: Partial<Node>
}

/** The slots that stay of one task on each of the places, in their order from slot 1. */
function kept(
  replicas: number,
  places: readonly Place[],
  spreadOver: readonly string[],
  strategy?: Strategy,
) {
  const Preferences = spreadOver.map((label) => ({ Spread: { SpreadDescriptor: `node.labels.${label}` } }))
  const TaskTemplate = { ContainerSpec: { Image: 'app:1' }, Placement: { Preferences } }
  const service = aService({ Mode: { Replicated: { Replicas: replicas } }, TaskTemplate })
  const tasks = places.map(({ node }, at) => aTask(service, { slot: at + 1, nodeId: node }))
  const nodes = new Map(
    places.map(({ node, labels = {}, more }) => [
      node,
      aNode(node, { spec: { Availability: 'active', Labels: labels }, ...more }),
    ]),
  )
  const plan = planReplicated(service, tasks, { nodeOf: (id) => nodes.get(id), strategy })
  return plan.slots.map(({ slot }) => slot)
}

const on = (node: string, zone: string, rack = ''): Place => ({ node, labels: { zone, rack } })

test('3.5 branches of a label to spread over give up tasks in turn, the fuller first', () => {
  const places = [on('a1', 'a'), on('a2', 'a'), on('a3', 'a'), on('a4', 'a'), on('b1', 'b'), on('b2', 'b')]
  assert.deepEqual(kept(4, places, ['zone']), [1, 2, 5, 6])
  assert.deepEqual(kept(3, places, ['zone']), [1, 2, 5])
  assert.deepEqual(kept(2, places, ['zone']), [1, 5])
  assert.deepEqual(kept(4, places, []), [1, 2, 3, 4], 'without the preference slots count alone')
})

test('3.5 the next label, and the nodes, even out what a branch keeps', () => {
  const places = [
    on('a1', 'a', 'r1'),
    on('a1', 'a', 'r1'),
    on('a2', 'a', 'r2'),
    on('b1', 'b', 'r1'),
    on('b1', 'b', 'r1'),
    on('b2', 'b', 'r1'),
  ]
  assert.deepEqual(kept(4, places, ['zone', 'rack']), [1, 3, 4, 6])
})

test('3.5 slots on nodes that take no tasks go before those on ready ones', () => {
  const down: Partial<Node> = { status: { state: 'unknown', message: '', addr: '' } }
  const places: Place[] = [{ node: 'n1', more: down }, { node: 'n2' }, { node: 'n3' }]
  assert.deepEqual(kept(2, places, []), [2, 3])
})

test('3.5 packed tasks go from the nodes that have the fewest of them', () => {
  const places = [
    { node: 'n1' },
    { node: 'n2' },
    { node: 'n2' },
    { node: 'n2' },
    { node: 'n3' },
    { node: 'n3' },
  ]
  assert.deepEqual(kept(3, places, [], 'binpack'), [2, 3, 4])
  assert.deepEqual(kept(5, places, [], 'binpack'), [2, 3, 4, 5, 6])
  assert.deepEqual(kept(3, places, []), [1, 2, 5])
})

test('3.5 a slot that does not run goes first within its branch, one without a node first of all', () => {
  const service = aService({ Mode: { Replicated: { Replicas: 2 } } })
  const tasks = [
    aTask(service, { slot: 1, nodeId: 'n1', state: TaskState.Preparing }),
    aTask(service, { slot: 2, nodeId: 'n1' }),
    aTask(service, { slot: 3, nodeId: 'n2' }),
  ]
  const view = { nodeOf: (id: string) => aNode(id), strategy: undefined }
  assert.deepEqual(
    planReplicated(service, tasks, view).slots.map(({ slot }) => slot),
    [2, 3],
  )
  const { nodeId: _nodeId, ...unplaced } = aTask(service, { slot: 1, state: TaskState.Pending })
  const slots = planReplicated(service, [unplaced, ...tasks.slice(1)], view).slots
  assert.deepEqual(
    slots.map(({ slot }) => slot),
    [2, 3],
  )
})
