import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TaskState } from '../../../src/model/task-state.js'
import {
  closeReason,
  decodeAgentMessage,
  decodeManagerMessage,
  encodeMessage,
  maxStatusTextLength,
  type AgentMessage,
  type ManagerMessage,
} from '../../../src/wire/index.js'

const status = { state: TaskState.Running, timestampMs: 5.5, message: 'started' }

test('what one side encodes the other decodes', () => {
  const toManager: AgentMessage[] = [
    { type: 'hello', protocol: 1, description: { Hostname: 'h', Resources: { NanoCPUs: 1e9 } } },
    { type: 'heartbeat' },
    { type: 'resync' },
    { type: 'leave' },
    {
      type: 'status',
      report: 3,
      updates: [
        { taskId: 't', status: { ...status, container: { containerId: 'c', pid: 1, exitCode: 0 } } },
        { taskId: 'u', status: { ...status, err: 'no', ports: [{ PublishedPort: 80 }] } },
      ],
    },
    { type: 'log-end', subscriptionId: 's', errors: [] },
  ]
  for (const message of toManager) assert.deepEqual(decodeAgentMessage(encodeMessage(message)), message)
  const toAgent: ManagerMessage[] = [
    { type: 'heartbeat', periodMs: 5000 },
    { type: 'status-ack', report: 3, refused: [{ taskId: 't', reason: 'no' }] },
    {
      type: 'assignments',
      kind: 'complete',
      appliesTo: 0,
      resultsIn: 1,
      changes: [
        { op: 'update', kind: 'secret', file: { id: 's', name: 'n', data: 'AA==' } },
        {
          op: 'update',
          kind: 'task',
          task: {
            id: 't',
            version: 4,
            spec: { ContainerSpec: { Image: 'i' } },
            slot: 1,
            serviceAnnotations: { name: 'web', labels: {} },
            status: { state: TaskState.Assigned, timestampMs: 0, message: '' },
            desiredState: TaskState.Running,
            networks: [],
          },
        },
        { op: 'remove', kind: 'config', id: 'c' },
      ],
    },
    {
      type: 'log-subscribe',
      subscriptionId: 's',
      serviceIds: ['a'],
      taskIds: [],
      options: { follow: true, stdout: true, stderr: false, tail: 3 },
    },
  ]
  for (const message of toAgent) assert.deepEqual(decodeManagerMessage(encodeMessage(message)), message)
})

test('a newer peer may say what this version does not know', () => {
  assert.equal(decodeAgentMessage('{"type":"exec-output","data":1}'), undefined)
  assert.equal(decodeManagerMessage('{"type":"endpoints","tables":[]}'), undefined)
  assert.deepEqual(decodeAgentMessage('{"type":"heartbeat","load":3}'), { type: 'heartbeat', load: 3 })
})

test('what is malformed is refused, and the refusal quotes nothing', () => {
  const secret = 'c3VwZXJzZWNyZXQ='
  const bad: readonly string[] = [
    secret,
    '',
    'null',
    '[]',
    '"heartbeat"',
    '{"type":7}',
    `{"type":"hello","protocol":"${secret}","description":{}}`,
    '{"type":"hello","protocol":1}',
    '{"type":"hello","protocol":1,"description":{"Resources":{"NanoCPUs":"many"}}}',
    `{"type":"status","report":1,"updates":[{"taskId":"t","status":{"state":513,"timestampMs":0,"message":"${secret}"}}]}`,
    '{"type":"status","report":1,"updates":[{"taskId":"t"}]}',
    '{"type":"status","report":1,"updates":{}}',
  ]
  for (const text of bad) {
    assert.throws(
      () => decodeAgentMessage(text),
      (error: Error) => error.message.startsWith('malformed ') && !error.message.includes(secret),
      text,
    )
  }
  const long = { ...status, message: 'x'.repeat(maxStatusTextLength + 1) }
  const report = encodeMessage({ type: 'status', report: 1, updates: [{ taskId: 't', status: long }] })
  assert.throws(() => decodeAgentMessage(report), /malformed status message/)
})

test('a reason for closing is cut at a character border', () => {
  assert.equal(closeReason('short'), 'short')
  const cut = closeReason('ü'.repeat(100))
  assert.ok(Buffer.byteLength(cut) <= 123)
  assert.equal(cut, 'ü'.repeat(61))
})
