import type { Node, Service } from '../../model/objects.js'
import { formatTime } from '../../model/time.js'
import type { Change } from '../../store/store.js'

/** Something that happened to an object of the cluster, as `docker events` tells it. */
export interface SwarmEvent {
  readonly type: 'node' | 'service' | 'network' | 'secret' | 'config'
  readonly action: 'create' | 'update' | 'remove'
  readonly id: string
  readonly attributes: Readonly<Record<string, string>>
  /** Unix nanoseconds. */
  readonly timeNs: bigint
}

/**
 * What users hear of a change; undefined for changes of tasks and of what they cannot see.
 * Behaviour: moby daemon/cluster/events in daemon/events.go.
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
