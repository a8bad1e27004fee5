import type { Network, Node, Service, Task } from '../../src/model/objects.js'
import { TaskState } from '../../src/model/task-state.js'

/** Objects for tests: whole and plain, with what the test is about given. */

const meta = { version: 1, createdAtMs: 0, updatedAtMs: 0 }

export function aNode(fields: Partial<Node> & { readonly id: string }): Node {
  return {
    ...meta,
    spec: { Labels: {}, Role: 'worker', Availability: 'active' },
    role: 'worker',
    description: {
      Hostname: fields.id,
      Platform: { Architecture: 'x86_64', OS: 'linux' },
      Resources: { NanoCPUs: 4e9, MemoryBytes: 8 * 2 ** 30 },
      Engine: { EngineVersion: '28.0.0', Labels: {}, Plugins: [{ Type: 'Log', Name: 'json-file' }] },
    },
    status: { state: 'ready', message: '', addr: '10.99.0.2' },
    ...fields,
  }
}

export function aService(fields: Partial<Service> & { readonly id: string }): Service {
  return {
    ...meta,
    spec: {
      Name: fields.id,
      Labels: {},
      TaskTemplate: { ContainerSpec: { Image: 'busybox' } },
      Mode: { Replicated: { Replicas: 1 } },
    },
    specVersion: 0,
    ...fields,
  }
}

export function aTask(fields: Partial<Task> & { readonly id: string }): Task {
  return {
    ...meta,
    spec: { ContainerSpec: { Image: 'busybox' } },
    specVersion: 0,
    slot: 1,
    serviceAnnotations: { name: fields.serviceId ?? '', labels: {} },
    status: { state: TaskState.Pending, timestampMs: 0, message: 'pending task scheduling' },
    desiredState: TaskState.Running,
    networks: [],
    ...fields,
  }
}

export function aNetwork(fields: Partial<Network> & { readonly id: string }): Network {
  return { ...meta, spec: { Name: fields.id, Driver: 'overlay' }, ...fields }
}

/** Without what the store itself fills in. */
export function newObject<T extends { version: number; createdAtMs: number; updatedAtMs: number }>(
  object: T,
): Omit<T, 'version' | 'createdAtMs' | 'updatedAtMs'> {
  const { version: _version, createdAtMs: _created, updatedAtMs: _updated, ...fields } = object
  return fields
}
