import assert from 'node:assert/strict'
import { test } from 'node:test'
import { chooseTasks } from '../../../src/cli/explain/command.js'
import { explanationText } from '../../../src/cli/explain/text.js'

const task = (ID: string, State: string, Err = '', DesiredState = 'running') => ({
  ID,
  CreatedAt: `2026-01-01T00:00:0${ID}Z`,
  DesiredState,
  Status: { State, Err },
})

test('of a service the tasks that wait are explained, one for each reason', () => {
  const tasks = [
    task('1', 'running'),
    task('2', 'pending', 'x'),
    task('3', 'pending', 'x'),
    task('4', 'new', 'y'),
  ]
  assert.deepEqual(chooseTasks(tasks).toSorted(), ['2', '4'])
  assert.deepEqual(chooseTasks([task('1', 'running'), task('2', 'failed', 'x', 'shutdown')]), ['1'])
  assert.deepEqual(chooseTasks([task('1', 'failed', 'x', 'shutdown')]), ['1'])
  assert.deepEqual(chooseTasks([]), [])
})

test('an explanation for people has a line for each node', () => {
  const use = { total: 4e9, reserved: 1.5e9, free: 2.5e9 }
  const memory = { total: 8 * 2 ** 30, reserved: 2 ** 30, free: 7 * 2 ** 30 }
  const verdict = {
    nanoCpus: use,
    memoryBytes: memory,
    genericResources: [],
    activeTasks: 3,
    activeTasksOfService: 1,
  }
  const text = explanationText({
    taskId: 't',
    taskName: 'web.1.t',
    state: 'pending',
    desiredState: 'running',
    message: '',
    err: '',
    summary: 'waits for a node',
    strategy: 'swarm',
    nodes: [
      { ...verdict, nodeId: '1', hostname: 'a', fits: true, reasons: [] },
      { ...verdict, nodeId: '2', hostname: '', fits: false, reasons: [{ filter: 'ready', text: 'is down' }] },
    ],
  })
  assert.equal(
    text,
    [
      'web.1.t waits for a node.',
      'Nodes are ranked by: swarm.',
      '',
      'NODE   VERDICT   CPUS RESERVED   MEMORY RESERVED   TASKS (OF SERVICE)   WHY NOT',
      'a      fits      1.5 of 4        1 GiB of 8 GiB    3 (1)',
      '2      no        1.5 of 4        1 GiB of 8 GiB    3 (1)                is down',
    ].join('\n'),
  )
})
