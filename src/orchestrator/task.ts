import type { Env } from '../env/env.js'
import { newId } from '../env/id.js'
import type { Cluster, Service, Task, TaskRestart } from '../model/objects.js'
import type { NewObject } from '../store/action.js'
import { TaskState } from '../model/task-state.js'

/** Which replica of a service a task is: a slot number, or a node. */
export type Place = { readonly slot: number } | { readonly nodeId: string }

export interface NewTaskOptions {
  readonly desiredState: TaskState
  readonly jobIteration?: number
  readonly restart?: TaskRestart
  readonly notBeforeMs?: number
  /** A node that was chosen already. */
  readonly nodeId?: string
}

export type NewTask = Omit<NewObject<Task>, 'createdAtMs' | 'updatedAtMs'>

/**
 * A task that has yet to be given addresses and a node. Its spec is the service's own object, so that
 * the log and the memory hold it once.
 * Behaviour: moby/swarmkit manager/orchestrator/task.go.
 */
export function newTask(
  env: Env,
  cluster: Pick<Cluster, 'spec'> | undefined,
  service: Service,
  place: Place,
  options: NewTaskOptions,
): NewTask {
  const { spec } = service
  const template = spec.TaskTemplate ?? {}
  const logDriver = template.LogDriver ?? cluster?.spec.TaskDefaults?.LogDriver
  return {
    id: newId(env),
    serviceId: service.id,
    spec: template,
    specVersion: service.specVersion,
    ...('slot' in place ? { slot: place.slot } : { slot: 0, nodeId: place.nodeId }),
    serviceAnnotations: { name: spec.Name ?? '', labels: spec.Labels ?? {} },
    status: { state: TaskState.New, timestampMs: env.nowMs(), message: 'created' },
    networks: [],
    endpoint: { spec: spec.EndpointSpec ?? {}, ports: [], virtualIPs: [] },
    ...(logDriver === undefined ? {} : { logDriver }),
    ...(service.registryAuth === undefined ? {} : { registryAuth: service.registryAuth }),
    ...options,
  }
}
