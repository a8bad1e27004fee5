import type { Service, Task } from '../../model/objects.js'
import { placementOf } from '../../model/placement.js'
import { TaskState } from '../../model/task-state.js'
import type { ClusterFacts } from '../cluster-facts.js'

/** Why no task of a service is moved. */
export interface Obstacle {
  /** `is packed on purpose`, after the service's name. */
  readonly text: string
  /** It may be over in a while. */
  readonly passes: boolean
}

const never = (text: string): Obstacle => ({ text, passes: false })
const notNow = (text: string): Obstacle => ({ text, passes: true })

/**
 * What stands against moving tasks of the service at all. Only replicated services are moved whose tasks
 * keep nothing on their nodes, and only while every replica runs and nothing else is going on.
 */
export function obstacleOf(
  service: Service,
  tasks: readonly Task[],
  facts: ClusterFacts,
): Obstacle | undefined {
  const { Mode, TaskTemplate } = service.spec
  if (Mode?.Global !== undefined) return never('runs on every node')
  if (Mode?.ReplicatedJob !== undefined || Mode?.GlobalJob !== undefined) return never('is a job')
  const { strategy = facts.defaultStrategy } = placementOf(service.spec.Labels)
  if (strategy === 'binpack') return never('is packed on purpose (binpack)')
  if (strategy === 'random') return never('is placed at random on purpose')
  const volume = keptOnNode(TaskTemplate?.ContainerSpec?.Mounts ?? [])
  if (volume !== undefined) return never(`keeps data on its nodes (${volume})`)
  const state = service.updateStatus?.state ?? 'completed'
  if (state !== 'completed' && state !== 'rollback_completed') return notNow(`is not up to date (${state})`)
  const live = tasks.filter(({ desiredState }) => desiredState <= TaskState.Running)
  const running = live.filter(({ status }) => status.state === TaskState.Running).length
  const replicas = Mode?.Replicated?.Replicas ?? 1
  if (running < replicas) return notNow(`has ${running} of ${replicas} replicas running`)
  if (live.length !== running || running !== replicas) return notNow('is in the middle of a change')
  return undefined
}

type Mounts = readonly {
  readonly Type?: string
  readonly Source?: string
  readonly Target?: string
  readonly ReadOnly?: boolean
  readonly VolumeOptions?: { readonly DriverConfig?: { readonly Name?: string } }
}[]

/** Where the first mount is whose data stay on the node when a task goes: local volumes, directories to write to. */
function keptOnNode(mounts: Mounts): string | undefined {
  const kept = mounts.find(({ Type, ReadOnly, VolumeOptions }) => {
    if (Type === 'bind') return ReadOnly !== true
    const driver = VolumeOptions?.DriverConfig?.Name ?? ''
    return Type === 'volume' && (driver === '' || driver === 'local')
  })
  return kept && `${kept.Type} ${kept.Source || kept.Target || ''}`.trim()
}
