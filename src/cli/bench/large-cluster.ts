import type { Node, Service, Task } from '../../model/objects.js'
import type { TaskSpec } from '../../model/spec/index.js'
import { TaskState } from '../../model/task-state.js'
import type { Env } from '../../env/env.js'
import { Store } from '../../store/store.js'

/** The objects of a cluster that no machine here could run, as its store would hold them. */

export const nodeCount = 10_000
export const taskCount = 100_000
const serviceCount = 100
const tasksPerService = taskCount / serviceCount
const zones = 10

const meta = { version: 1, createdAtMs: 0, updatedAtMs: 0 }
const numbered = (prefix: string, index: number) => `${prefix}${String(index).padStart(6, '0')}`

export function nodes(): readonly Node[] {
  return Array.from({ length: nodeCount }, (_, index) => ({
    ...meta,
    id: numbered('node', index),
    spec: {
      Labels: { zone: `z${index % zones}`, disk: index % 3 === 0 ? 'hdd' : 'ssd' },
      Role: 'worker',
      Availability: 'active',
    },
    role: 'worker',
    description: {
      Hostname: numbered('host', index),
      Platform: { Architecture: 'x86_64', OS: 'linux' },
      Resources: { NanoCPUs: 16e9, MemoryBytes: 64 * 2 ** 30 },
      Engine: { EngineVersion: '28.0.0', Labels: {}, Plugins: [] },
    },
    status: { state: 'ready', message: '', addr: '10.0.0.1' },
  }))
}

/** Services with constraints and a spread preference. */
export function services(count = serviceCount, replicas = tasksPerService): readonly Service[] {
  return Array.from({ length: count }, (_, index) => ({
    ...meta,
    id: numbered('service', index),
    spec: {
      Name: numbered('service', index),
      Labels: {},
      TaskTemplate: taskSpec(index, 'busybox:1'),
      Mode: { Replicated: { Replicas: replicas } },
      UpdateConfig: { Parallelism: 0 },
    },
    specVersion: 1,
  }))
}

export function taskSpec(service: number, image: string): TaskSpec {
  return {
    Runtime: 'container',
    ContainerSpec: { Image: image, Env: [`SERVICE=${service}`] },
    Resources: { Reservations: { NanoCPUs: 1e8, MemoryBytes: 64 * 2 ** 20 } },
    Placement: {
      Constraints: ['node.labels.disk==ssd', 'node.platform.os==linux'],
      Preferences: [{ Spread: { SpreadDescriptor: 'node.labels.zone' } }],
    },
  }
}

/** Their tasks: pending, or running and spread over all nodes. */
export function tasks(of: readonly Service[], state: 'pending' | 'running'): readonly Task[] {
  return of.flatMap((service, at) =>
    Array.from({ length: service.spec.Mode?.Replicated?.Replicas ?? 0 }, (_, index) => ({
      ...meta,
      id: numbered(`task${at}.`, index),
      serviceId: service.id,
      spec: service.spec.TaskTemplate ?? {},
      specVersion: service.specVersion,
      slot: index + 1,
      serviceAnnotations: { name: service.spec.Name ?? '', labels: {} },
      status: {
        state: state === 'running' ? TaskState.Running : TaskState.Pending,
        timestampMs: 0,
        message: '',
      },
      desiredState: TaskState.Running,
      networks: [],
      endpoint: { spec: {}, ports: [], virtualIPs: [] },
      ...(state === 'running' && { nodeId: fittingNode(at * tasksPerService + index) }),
    })),
  )
}

/** Nodes whose disk is none that the constraint wants are left out. */
function fittingNode(index: number): string {
  const fitting = Math.floor((nodeCount * 2) / 3)
  const at = index % fitting
  return numbered('node', Math.floor(at / 2) * 3 + 1 + (at % 2))
}

/** A store that holds them; its log takes everything in the next turn. */
export function storeOf(
  env: Env,
  objects: {
    readonly nodes: readonly Node[]
    readonly services: readonly Service[]
    readonly tasks: readonly Task[]
  },
): Store {
  let index = 1
  const store: Store = new Store(env, {
    propose(data) {
      const at = ++index
      setImmediate(() => store.apply(at, data))
      return at
    },
  })
  store.restore(1, [
    ...objects.nodes.map((object) => ({ table: 'nodes' as const, object })),
    ...objects.services.map((object) => ({ table: 'services' as const, object })),
    ...objects.tasks.map((object) => ({ table: 'tasks' as const, object })),
  ])
  return store
}
