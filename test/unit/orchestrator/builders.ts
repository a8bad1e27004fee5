import type { Node, Service, Task } from '../../../src/model/objects.js'
import type { ServiceSpec } from '../../../src/model/spec/index.js'
import { TaskState } from '../../../src/model/task-state.js'

/** Sorts numbers, texts and lists of them as texts, for comparisons that ignore the order. */
export function inOrder(a: unknown, b: unknown): number {
  return String(a) < String(b) ? -1 : 1
}

let ids = 0

export function aService(spec: ServiceSpec = {}, more: Partial<Service> = {}): Service {
  const full = { Name: 'web', TaskTemplate: { ContainerSpec: { Image: 'app:1' } }, ...spec }
  return { id: 'service', version: 1, createdAtMs: 0, updatedAtMs: 0, spec: full, specVersion: 0, ...more }
}

interface TaskOptions extends Partial<Omit<Task, 'status'>> {
  readonly state?: TaskState
  /** When the status was taken. */
  readonly atMs?: number
}

/** A running task of `service` in slot 1 unless told otherwise. */
export function aTask(service: Service, { state, atMs, ...more }: TaskOptions = {}): Task {
  const id = `task${String(++ids).padStart(4, '0')}`
  const timestampMs = atMs ?? 0
  return {
    id,
    version: 1,
    createdAtMs: 0,
    updatedAtMs: 0,
    serviceId: service.id,
    slot: 1,
    nodeId: 'node1',
    spec: service.spec.TaskTemplate ?? {},
    specVersion: service.specVersion,
    serviceAnnotations: { name: service.spec.Name ?? '', labels: {} },
    status: { state: state ?? TaskState.Running, timestampMs, appliedAtMs: timestampMs, message: '' },
    desiredState: TaskState.Running,
    networks: [],
    ...more,
  }
}

export function aNode(id = 'node1', more: Partial<Node> = {}): Node {
  return {
    id,
    version: 1,
    createdAtMs: 0,
    updatedAtMs: 0,
    spec: { Availability: 'active' },
    role: 'worker',
    status: { state: 'ready', message: '', addr: '10.0.0.1' },
    ...more,
  }
}
