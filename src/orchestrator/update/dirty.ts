import { nodeMatches, tryParseConstraints } from '../../model/constraint.js'
import type { Node, Service, Task } from '../../model/objects.js'
import type { EndpointSpec, TaskSpec } from '../../model/spec/index.js'
import { TaskState } from '../../model/task-state.js'
import { sameValue } from '../equal.js'

type DirtyTask = Pick<
  Task,
  'spec' | 'specVersion' | 'endpoint' | 'status' | 'desiredState' | 'registryAuth' | 'nodeId'
>
type DirtyService = Pick<Service, 'spec' | 'specVersion' | 'registryAuth'>

/**
 * Whether a task must be replaced so that its service is as its spec says.
 * `node` is the task's node; undefined where it has none or it is gone.
 *
 * One difference from Docker: there a change of the placement that the task's node satisfies hides a
 * change of the endpoint made with it.
 * Behaviour: moby/swarmkit manager/orchestrator/task.go.
 */
export function isTaskDirty(service: DirtyService, task: DirtyTask, node: Node | undefined): boolean {
  if (task.specVersion === service.specVersion) return false
  if (task.endpoint !== undefined && !sameEndpoint(service.spec.EndpointSpec, task.endpoint.spec)) return true
  const wanted: TaskSpec = service.spec.TaskTemplate ?? {}
  if (task.spec === wanted) return authDiffers(service, task)
  if (sameButPlacement(wanted, task.spec)) {
    if (authDiffers(service, task)) return true
    return !sameValue(wanted.Placement, task.spec.Placement) && !satisfiesConstraints(wanted, node)
  }
  return true
}

/** Credentials alone are no reason to stop a task whose image is there already. */
function authDiffers(service: DirtyService, task: DirtyTask): boolean {
  if (service.registryAuth === task.registryAuth) return false
  const { state } = task.status
  const hasImage = state >= TaskState.Ready && state <= TaskState.Running
  return !(task.desiredState <= TaskState.Running && hasImage)
}

/** Same spec objects are compared again and again, one task after the other: the answer is kept. */
const compared = new WeakMap<TaskSpec, WeakMap<TaskSpec, boolean>>()

function sameButPlacement(a: TaskSpec, b: TaskSpec): boolean {
  let answers = compared.get(a)
  if (answers === undefined) compared.set(a, (answers = new WeakMap()))
  let same = answers.get(b)
  if (same === undefined) {
    same = sameValue({ ...a, Placement: undefined }, { ...b, Placement: undefined })
    answers.set(b, same)
  }
  return same
}

function satisfiesConstraints(spec: TaskSpec, node: Node | undefined): boolean {
  if (node === undefined) return false
  return nodeMatches(tryParseConstraints(spec.Placement?.Constraints) ?? [], node)
}

/** Mode and ports with their defaults filled in. */
function sameEndpoint(wanted: EndpointSpec | undefined, actual: EndpointSpec): boolean {
  return sameValue(withDefaults(wanted ?? {}), withDefaults(actual))
}

function withDefaults({ Mode, Ports }: EndpointSpec): EndpointSpec {
  return {
    Mode: Mode ? Mode : 'vip',
    Ports: (Ports ?? []).map((port) => ({
      Name: port.Name ?? '',
      Protocol: port.Protocol ? port.Protocol : 'tcp',
      TargetPort: port.TargetPort ?? 0,
      PublishedPort: port.PublishedPort ?? 0,
      PublishMode: port.PublishMode ? port.PublishMode : 'ingress',
    })),
  }
}
