import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { EndpointSpec, ServiceSpec, TaskSpec } from '../../../src/model/spec/index.js'
import { TaskState } from '../../../src/model/task-state.js'
import { isTaskDirty } from '../../../src/orchestrator/index.js'
import { aNode, aService, aTask } from './builders.js'

const template: TaskSpec = {
  ContainerSpec: { Image: 'app:1', Env: ['A=1'] },
  Resources: { Limits: { NanoCPUs: 1 } },
  Placement: { Constraints: ['node.role==worker'] },
}

function isDirtyAfter(change: ServiceSpec, from: ServiceSpec = {}): boolean {
  const before = aService({ TaskTemplate: template, ...from })
  const endpoint = { spec: before.spec.EndpointSpec ?? {}, ports: [], virtualIPs: [] }
  const task = aTask(before, { endpoint })
  const after = aService({ TaskTemplate: template, ...from, ...change }, { specVersion: 7 })
  return isTaskDirty(after, task, aNode())
}

test('6.1 the same spec version is clean whatever the specs say', () => {
  const service = aService({}, { specVersion: 3 })
  const task = aTask(service, { spec: { ContainerSpec: { Image: 'other' } } })
  assert.equal(isTaskDirty(service, task, aNode()), false)
})

test('6.2 a placement that the node satisfies is no reason, one that it fails is', () => {
  const placed = (Constraints: string[]) => ({ TaskTemplate: { ...template, Placement: { Constraints } } })
  assert.equal(isDirtyAfter(placed(['node.id==node1'])), false)
  assert.equal(isDirtyAfter(placed(['node.id==node2'])), true)
  const Placement = { ...template.Placement, MaxReplicas: 1 }
  assert.equal(isDirtyAfter({ TaskTemplate: { ...template, Placement } }), false)
})

test('6.2 a task without a node is dirty after any change of the placement', () => {
  const before = aService({ TaskTemplate: template })
  const after = aService({ TaskTemplate: { ...template, Placement: {} } }, { specVersion: 7 })
  assert.equal(isTaskDirty(after, aTask(before), undefined), true)
})

test('6.3 any other change of the task spec is a reason', () => {
  const changes: TaskSpec[] = [
    { ContainerSpec: { Image: 'app:2', Env: ['A=1'] } },
    { ContainerSpec: { Image: 'app:1', Env: ['A=2'] } },
    { ForceUpdate: 1 },
    { Networks: [{ Target: 'net' }] },
    { Resources: { Limits: { NanoCPUs: 2 } } },
    { LogDriver: { Name: 'syslog' } },
    { RestartPolicy: { Condition: 'none' } },
  ]
  for (const change of changes) {
    const dirty = isDirtyAfter({ TaskTemplate: { ...template, ...change } })
    assert.equal(dirty, true, JSON.stringify(change))
  }
})

test('6.3 replicas, labels and update settings are none', () => {
  const change: ServiceSpec = {
    Labels: { a: 'b' },
    Mode: { Replicated: { Replicas: 9 } },
    UpdateConfig: { Parallelism: 4 },
    RollbackConfig: {},
  }
  assert.equal(isDirtyAfter(change), false)
})

test('6.3 members that are absent, null or empty lists are the same', () => {
  const sent = JSON.parse('{"Image":"app:1","Env":["A=1"],"Args":[],"Mounts":null}') as object
  assert.equal(isDirtyAfter({ TaskTemplate: { ...template, ContainerSpec: sent } }), false)
})

test('6.4 credentials are a reason only where the image may be missing', () => {
  const service = aService({ TaskTemplate: template }, { specVersion: 7, registryAuth: 'new' })
  const of = (state: TaskState, desiredState: TaskState = TaskState.Running) =>
    isTaskDirty(service, aTask(service, { specVersion: 0, state, desiredState }), aNode())
  assert.equal(of(TaskState.Running), false)
  assert.equal(of(TaskState.Ready), false)
  assert.equal(of(TaskState.Preparing), true)
  assert.equal(of(TaskState.Failed), true)
  assert.equal(of(TaskState.Running, TaskState.Shutdown), true)
})

test('6.5 ports and endpoint mode are a reason', () => {
  const ports = (...Ports: number[]): EndpointSpec => ({
    Ports: Ports.map((TargetPort) => ({ TargetPort, PublishedPort: 0 })),
  })
  assert.equal(isDirtyAfter({ EndpointSpec: ports(80) }), true)
  assert.equal(isDirtyAfter({ EndpointSpec: ports(80, 81) }, { EndpointSpec: ports(80) }), true)
  assert.equal(isDirtyAfter({ EndpointSpec: { Mode: 'dnsrr' } }), true)
  // Defaults written out change nothing.
  const full: EndpointSpec = {
    Mode: 'vip',
    Ports: [{ TargetPort: 80, Protocol: 'tcp', PublishMode: 'ingress' }],
  }
  assert.equal(isDirtyAfter({ EndpointSpec: full }, { EndpointSpec: ports(80) }), false)
})

test('6.5 a placement that the node satisfies does not hide new ports', () => {
  const TaskTemplate = { ...template, Placement: { Constraints: ['node.id==node1'] } }
  const EndpointSpec = { Ports: [{ TargetPort: 80 }] }
  assert.equal(isDirtyAfter({ TaskTemplate, EndpointSpec }), true)
})
