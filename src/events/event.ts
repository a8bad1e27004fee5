import { taskName, type Node, type Service, type Task } from '../model/objects.js'
import { taskStateName } from '../model/task-state.js'
import { formatTime } from '../model/time.js'
import type { Change } from '../store/store.js'

/** Something that happened to an object of the cluster, as `docker events` tells it. */
export interface SwarmEvent {
  readonly type: 'node' | 'service' | 'network' | 'secret' | 'config' | 'task'
  /** `state` and `health` are of tasks only. */
  readonly action: 'create' | 'update' | 'remove' | 'state' | 'health'
  readonly id: string
  readonly attributes: Readonly<Record<string, string>>
  /** Unix nanoseconds. */
  readonly timeNs: bigint
}

/**
 * What users hear of a change; undefined for changes that they cannot see. Tasks tell their states, which
 * Docker does not have; for the rest, behaviour: moby daemon/cluster/events in daemon/events.go.
 */
export function toEvent(change: Change, nowMs: number): SwarmEvent | undefined {
  const object = change.after ?? change.before
  if (object === undefined) return undefined
  const made = (type: SwarmEvent['type'], attributes: Readonly<Record<string, string>>): SwarmEvent => ({
    type,
    action: actionOf(change),
    id: change.id,
    attributes: Object.fromEntries(Object.entries(attributes).sort(([a], [b]) => (a < b ? -1 : 1))),
    timeNs: BigInt(Math.round(timeMs(change, nowMs))) * 1_000_000n,
  })
  switch (change.table) {
    case 'nodes': {
      const node = change.after ?? change.before
      return made('node', { name: nodeName(node), ...nodeChanges(change.before, change.after) })
    }
    case 'services': {
      const service = change.after ?? change.before
      return made('service', {
        name: service?.spec.Name ?? '',
        ...serviceChanges(change.before, change.after),
      })
    }
    case 'networks':
      return made('network', { name: nameOf(change.after ?? change.before) })
    case 'secrets':
      return made('secret', { name: nameOf(change.after ?? change.before) })
    case 'configs':
      return made('config', { name: nameOf(change.after ?? change.before) })
    case 'tasks':
      return toTaskEvent(change.before, change.after, nowMs)
    case 'clusters':
    case 'volumes':
    case 'revisions':
      return undefined
    default:
      return change satisfies never
  }
}

function actionOf({ before, after }: Change): SwarmEvent['action'] {
  if (after === undefined) return 'remove'
  return before === undefined ? 'create' : 'update'
}

/** When it happened: what is gone has no time of its own. */
function timeMs({ before, after }: Change, nowMs: number): number {
  if (after === undefined) return nowMs
  return before === undefined ? after.createdAtMs : after.updatedAtMs
}

function nameOf(object: { readonly spec: { readonly Name?: string } } | undefined): string {
  return object?.spec.Name ?? ''
}

function nodeName(node: Node | undefined): string {
  const name = node?.spec.Name ?? ''
  return name === '' ? (node?.description?.Hostname ?? '') : name
}

type Attributes = Record<string, string>

function toTaskEvent(
  before: Task | undefined,
  after: Task | undefined,
  nowMs: number,
): SwarmEvent | undefined {
  const task = after ?? before
  if (task === undefined) return undefined
  const changes =
    before === undefined || after === undefined
      ? {}
      : {
          ...changed('state', taskStateName(before.status.state), taskStateName(after.status.state)),
          ...changed('desiredstate', taskStateName(before.desiredState), taskStateName(after.desiredState)),
        }
  const isChange = before !== undefined && after !== undefined
  if (isChange && Object.keys(changes).length === 0) return undefined
  const { status } = task
  const exitCode = status.container?.exitCode ?? 0
  const timeMs = after === undefined ? nowMs : isChange ? after.updatedAtMs : after.createdAtMs
  return {
    type: 'task',
    action: before === undefined ? 'create' : after === undefined ? 'remove' : 'state',
    id: task.id,
    attributes: {
      ...changes,
      ...(status.err !== undefined && status.err !== '' && { error: status.err }),
      ...(exitCode !== 0 && { exitCode: String(exitCode) }),
      name: taskName(task),
      ...(task.nodeId !== undefined && { node: task.nodeId }),
      ...(task.serviceId !== undefined && { service: task.serviceId }),
      'service.name': task.serviceAnnotations.name,
      ...(task.slot !== 0 && { slot: String(task.slot) }),
    },
    timeNs: BigInt(Math.round(timeMs)) * 1_000_000n,
  }
}

function changed(name: string, before: string | undefined, after: string | undefined): Attributes {
  if (before === after) return {}
  return {
    ...(before !== undefined && { [`${name}.old`]: before }),
    ...(after !== undefined && { [`${name}.new`]: after }),
  }
}

function nodeChanges(before: Node | undefined, after: Node | undefined): Attributes {
  if (before === undefined || after === undefined) return {}
  return {
    ...changed('availability', before.spec.Availability, after.spec.Availability),
    ...changed('role', before.role, after.role),
    ...changed('state', before.status.state, after.status.state),
    ...brakeChanges(before, after),
  }
}

/** The tasks of a node that vanished together with many others stay for now, or move after all. */
function brakeChanges(before: Node, after: Node): Attributes {
  const [untilMs, earlierMs] = [after.status.tasksHeldUntilMs, before.status.tasksHeldUntilMs]
  if (untilMs === earlierMs) return {}
  return untilMs === undefined
    ? { 'skep.brake': 'released' }
    : { 'skep.brake': 'held', 'skep.brake.until': formatTime(untilMs) }
}

function serviceChanges(before: Service | undefined, after: Service | undefined): Attributes {
  if (before === undefined || after === undefined) return {}
  const image = ({ spec }: Service) => spec.TaskTemplate?.ContainerSpec?.Image
  const replicas = ({ spec }: Service) => spec.Mode?.Replicated?.Replicas?.toString()
  const newState = after.updateStatus?.state
  return {
    ...changed('image', image(before), image(after)),
    ...changed('replicas', replicas(before), replicas(after)),
    ...(newState !== undefined && changed('updatestate', before.updateStatus?.state, newState)),
  }
}

/** The event as a line of JSON, without line end. `timeNano` is larger than a number can hold. */
export function encodeEvent({ type, action, id, attributes, timeNs }: SwarmEvent): string {
  const actor = JSON.stringify({ ID: id, Attributes: attributes })
  const seconds = timeNs / 1_000_000_000n
  return `{"Type":"${type}","Action":"${action}","Actor":${actor},"scope":"swarm","time":${seconds},"timeNano":${timeNs}}`
}
