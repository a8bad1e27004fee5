import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Task, Volume } from '../../../src/model/objects.js'
import { TaskState } from '../../../src/model/task-state.js'
import { ClusterFacts } from '../../../src/scheduler/cluster-facts.js'
import { Planner } from '../../../src/scheduler/planner.js'
import { VolumeSet } from '../../../src/scheduler/volume-set.js'
import { emptyTables } from '../../../src/store/schema.js'
import { aNode, aTask } from '../../lib/builders.js'

const running = { state: TaskState.Running, timestampMs: 0, message: 'started' }
const made = { capacityBytes: 0, volumeContext: {}, volumeId: 'x', accessibleTopology: [] }

function aVolume(id: string, spec: Partial<Volume['spec']> = {}, fields: Partial<Volume> = {}): Volume {
  return {
    id,
    version: 1,
    createdAtMs: 0,
    updatedAtMs: 0,
    spec: { Name: id, Labels: {}, Driver: { Name: 'csi', Options: {} }, Availability: 'active', ...spec },
    info: made,
    ...fields,
  }
}

function setOf(...volumes: Volume[]) {
  const tables = emptyTables()
  for (const volume of volumes) tables.volumes.set(volume.id, volume)
  return { tables, set: new VolumeSet(tables.volumes) }
}

const mount = (source: string, readOnly = false) => ({ source, target: `/${source}`, readOnly })
const user = (id: string, volumeId: string, nodeId: string, ReadOnly = false): Task => {
  const Mounts = [{ Type: 'cluster', Source: volumeId, Target: `/${volumeId}`, ReadOnly }]
  const volumes = [{ id: volumeId, source: volumeId, target: `/${volumeId}` }]
  return aTask({ id, nodeId, volumes, status: running, spec: { ContainerSpec: { Mounts } } })
}
const shared = (Scope: 'single' | 'multi', Sharing: 'none' | 'readonly' | 'onewriter' | 'all') => ({
  AccessMode: { Scope, Sharing },
})

test('9.16 volumes must be made, active and not on their way out', () => {
  const { info: _info, ...unmade } = aVolume('unmade')
  const { set } = setOf(
    aVolume('ok'),
    unmade,
    aVolume('paused', { Availability: 'pause' }),
    aVolume('going', {}, { pendingDelete: true }),
  )
  const node = aNode({ id: 'n' })
  assert.ok(set.fits([mount('ok')], node))
  const why = (source: string) => set.explain([mount(source)], node)
  assert.deepEqual(why('ok'), [])
  assert.deepEqual(why('unmade'), ['cluster volume unmade is not created yet: there is no CSI plugin csi'])
  assert.deepEqual(why('paused'), ['cluster volume paused has availability pause'])
  assert.deepEqual(why('going'), ['cluster volume going is being removed'])
  assert.deepEqual(why('none'), ['there is no cluster volume none'])
  for (const source of ['unmade', 'paused', 'going', 'none']) assert.ok(!set.fits([mount(source)], node))
})

test('9.16 scope and sharing say who may use a volume beside others', () => {
  const [a, b] = [aNode({ id: 'a' }), aNode({ id: 'b' })]
  const fitsBeside = (spec: Partial<Volume['spec']>, other: boolean, own: boolean) => {
    const { set } = setOf(aVolume('v', spec))
    set.setTask(user('t', 'v', 'a', other))
    return [a, b].map((node) => set.fits([mount('v', own)], node))
  }
  assert.deepEqual(fitsBeside(shared('single', 'all'), false, false), [true, false])
  assert.deepEqual(fitsBeside(shared('multi', 'all'), false, false), [true, true])
  assert.deepEqual(fitsBeside(shared('multi', 'none'), true, true), [false, false])
  assert.deepEqual(fitsBeside(shared('multi', 'readonly'), true, true), [true, true])
  assert.deepEqual(fitsBeside(shared('multi', 'readonly'), true, false), [false, false])
  assert.deepEqual(fitsBeside(shared('multi', 'onewriter'), false, false), [false, false])
  assert.deepEqual(fitsBeside(shared('multi', 'onewriter'), false, true), [true, true])
  assert.deepEqual(fitsBeside(shared('multi', 'onewriter'), true, false), [true, true])
})

test('9.16 who has ended uses nothing any more', () => {
  const { set } = setOf(aVolume('v', shared('single', 'none')))
  const task = user('t', 'v', 'a')
  const node = aNode({ id: 'b' })
  set.setTask(task)
  assert.ok(!set.fits([mount('v')], node))
  set.setTask({ ...task, desiredState: TaskState.Shutdown })
  assert.ok(!set.fits([mount('v')], node))
  set.setTask({ ...task, status: { ...running, state: TaskState.Shutdown } })
  assert.ok(set.fits([mount('v')], node))
})

test('9.16 the node must be able to reach the volume', () => {
  const Segments = { zone: 'a' }
  const { set } = setOf(aVolume('v', {}, { info: { ...made, accessibleTopology: [{ Segments }] } }))
  const at = (zone: string) =>
    aNode({
      id: zone,
      description: { CSIInfo: [{ PluginName: 'csi', AccessibleTopology: { Segments: { zone } } }] },
    })
  assert.deepEqual(
    [at('a'), at('b'), aNode({ id: 'c' })].map((node) => set.fits([mount('v')], node)),
    [true, false, true],
  )
})

test('9.16 a group gives one volume to each mount; all mounts must find theirs', () => {
  const { set } = setOf(aVolume('g1', { Group: 'g' }), aVolume('g2', { Group: 'g' }))
  const node = aNode({ id: 'n' })
  const mounts = [mount('group:g'), mount('group:g'), mount('group:g')]
  assert.ok(!set.fits(mounts, node))
  const task = aTask({ id: 't' })
  const claimed = set.claim(task, mounts.slice(0, 2), node)
  assert.deepEqual(
    claimed?.map(({ id }) => id),
    ['g1', 'g2'],
  )
  assert.ok(!set.fits(mounts.slice(0, 1), node))
  assert.ok(!set.fits([mount('group:g'), mount('nothing')], node))
})

test('9.16 tasks get volumes with their node, and wait with a reason until one is made', () => {
  const volume = aVolume('v', shared('single', 'all'))
  const { tables } = setOf()
  const planner = new Planner(new ClusterFacts(tables))
  planner.setNode(aNode({ id: 'a' }))
  planner.setNode(aNode({ id: 'b' }))
  const Mounts = [{ Type: 'cluster' as const, Source: 'v', Target: '/data' }]
  for (const id of ['1', '2', '3']) {
    planner.setTask(aTask({ id, serviceId: 's', spec: { ContainerSpec: { Mounts } } }))
  }
  const [why] = planner.step(0)
  assert.equal(
    why?.kind === 'explain' && why.reason,
    'no suitable node (cannot fulfill requested CSI volume mounts on 2 nodes)',
  )
  tables.volumes.set('v', volume)
  planner.noteChange({ table: 'volumes', id: 'v', before: undefined, after: volume })
  const placed = planner.step(0).flatMap((decision) => (decision.kind === 'assign' ? decision : []))
  assert.equal(placed.length, 3)
  assert.equal(new Set(placed.map(({ nodeId }) => nodeId)).size, 1, 'one node may use it')
  assert.deepEqual(placed[0]?.volumes, [{ id: 'v', source: 'v', target: '/data' }])
})
