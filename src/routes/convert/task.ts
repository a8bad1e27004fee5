import type { Network, Task, TaskNetwork, TaskStatus } from '../../model/objects.js'
import type { TaskSpec } from '../../model/spec/index.js'
import { taskStateName } from '../../model/task-state.js'
import { formatTime } from '../../model/time.js'
import { cached } from './cache.js'
import { toPorts } from './endpoint.js'
import { stringifyExact } from './json.js'
import { head, membersOf, unlessEmpty, versionObject } from './meta.js'
import { encodeAttachedNetwork } from './network.js'

/** Finds a network by its ID: a task's JSON repeats its networks. */
export type FindNetwork = (id: string) => Network | undefined

interface Encoded {
  readonly buffer: Buffer
  /** The network versions in it. */
  readonly networks: readonly (Network | undefined)[]
}

const encodings = new WeakMap<Task, Encoded>()

/** Docker's JSON of a task. Shape: moby api/types/swarm/task.go. */
export function encodeTask(task: Task, findNetwork: FindNetwork): Buffer {
  const known = encodings.get(task)
  const isFresh = known?.networks.every((network, at) => {
    const id = task.networks[at]?.networkId
    return id !== undefined && findNetwork(id) === network
  })
  if (known !== undefined && isFresh === true) return known.buffer
  const networks = task.networks.map(({ networkId }) => findNetwork(networkId))
  const buffer = Buffer.from(encode(task, networks))
  encodings.set(task, { buffer, networks })
  return buffer
}

function encode(task: Task, networks: readonly (Network | undefined)[]): string {
  const start = { ...head(task), Labels: {} }
  const middle = {
    ...unlessEmpty('ServiceID', task.serviceId),
    ...unlessEmpty('Slot', task.slot),
    ...unlessEmpty('NodeID', task.nodeId),
    Status: toTaskStatus(task.status),
    DesiredState: taskStateName(task.desiredState),
  }
  const end = {
    ...unlessEmpty('GenericResources', task.assignedGenericResources),
    ...(task.jobIteration !== undefined && { JobIteration: versionObject(task.jobIteration) }),
    Volumes:
      task.volumes?.map(({ id, source, target }) => ({ ID: id, Source: source, Target: target })) ?? null,
  }
  const attachments = task.networks.map((attachment, at) => encodeAttachment(attachment, networks[at]))
  return [
    `{${membersOf(stringifyExact(start))}`,
    `"Spec":${encodeTaskSpec(task.spec)}`,
    membersOf(stringifyExact(middle)),
    ...(attachments.length === 0 ? [] : [`"NetworksAttachments":[${attachments.join(',')}]`]),
    `${membersOf(stringifyExact(end))}}`,
  ].join(',')
}

/** Tasks of a service share one spec object, and so its encoded form. Docker shows no `container` here. */
const encodeTaskSpec = cached((spec: TaskSpec) => {
  const { Runtime: runtime, ...rest } = spec
  return stringifyExact(
    runtime === undefined || runtime === 'container' ? rest : { ...rest, Runtime: runtime },
  )
})

function toTaskStatus(status: TaskStatus): object {
  const { container } = status
  return {
    Timestamp: formatTime(status.timestampMs),
    State: taskStateName(status.state),
    ...unlessEmpty('Message', status.message),
    ...unlessEmpty('Err', status.err),
    ...(container !== undefined && {
      ContainerStatus: {
        ContainerID: container.containerId,
        PID: container.pid,
        ExitCode: container.exitCode,
      },
    }),
    PortStatus: { ...unlessEmpty('Ports', toPorts(status.ports)) },
  }
}

function encodeAttachment({ networkId, addresses }: TaskNetwork, network: Network | undefined): string {
  const object =
    network === undefined ? `{"ID":${JSON.stringify(networkId)}}` : encodeAttachedNetwork(network)
  const rest = addresses.length === 0 ? '' : `,"Addresses":${JSON.stringify(addresses)}`
  return `{"Network":${object}${rest}}`
}
