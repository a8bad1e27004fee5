import type { Node, Task, TaskVolume, Volume } from '../model/objects.js'
import type { Topology } from '../model/spec/index.js'
import { TaskState } from '../model/task-state.js'

/** A mount of a volume of the cluster. */
export interface ClusterMount {
  /** Name of a volume, or `group:NAME` for any of a group. */
  readonly source: string
  readonly target: string
  readonly readOnly: boolean
}

interface Use {
  readonly nodeId: string
  readonly readOnly: boolean
}

/** What the set reads of the store. */
export interface VolumeView {
  get(id: string): Volume | undefined
  list(): readonly Volume[]
  by(index: 'name', key: string): readonly Volume[]
}

const nobody: ReadonlyMap<string, Use> = new Map()

/** The mounts of a task whose volumes are the cluster's. */
export function clusterMountsOf({ spec }: Pick<Task, 'spec'>): readonly ClusterMount[] {
  return (spec.ContainerSpec?.Mounts ?? [])
    .filter(({ Type }) => Type === 'cluster')
    .map(({ Source = '', Target = '', ReadOnly = false }) => ({
      source: Source,
      target: Target,
      readOnly: ReadOnly,
    }))
}

/**
 * Which volumes of the cluster tasks may use, and who uses them. What a task is given counts at once.
 * Behaviour: moby/swarmkit manager/scheduler/volumes.go. Different from there: all mounts of a task must
 * find a volume, not any of them.
 */
export class VolumeSet {
  readonly #volumes: VolumeView
  /** By volume and task. */
  readonly #uses = new Map<string, Map<string, Use>>()
  readonly #volumesOfTask = new Map<string, readonly string[]>()

  constructor(volumes: VolumeView) {
    this.#volumes = volumes
  }

  /** Takes note of a task as it is. */
  setTask(task: Task): void {
    const { volumes, nodeId } = task
    const isThere = task.status.state <= TaskState.Running && nodeId !== undefined
    if (isThere && volumes !== undefined) this.#use(task, volumes, nodeId)
    else this.removeTask(task.id)
  }

  removeTask(taskId: string): void {
    // Few clusters have such volumes at all.
    if (this.#volumesOfTask.size === 0) return
    for (const volumeId of this.#volumesOfTask.get(taskId) ?? []) this.#uses.get(volumeId)?.delete(taskId)
    this.#volumesOfTask.delete(taskId)
  }

  /** Whether every mount finds a volume that can be used on the node. */
  fits(mounts: readonly ClusterMount[], node: Node): boolean {
    return this.#choose(mounts, node) !== undefined
  }

  /** Chooses volumes for a task's mounts and counts them as used. @returns undefined where one finds none. */
  claim(task: Task, mounts: readonly ClusterMount[], node: Node): readonly TaskVolume[] | undefined {
    const chosen = this.#choose(mounts, node)
    if (chosen !== undefined) this.#use(task, chosen, node.id)
    return chosen
  }

  /** For people: what keeps the mounts from being fulfilled on the node. */
  explain(mounts: readonly ClusterMount[], node: Node): readonly string[] {
    return mounts.flatMap((mount) => {
      const candidates = this.#candidates(mount.source)
      if (candidates.length === 0) return [`there is no cluster volume ${mount.source}`]
      const reasons = candidates.map((volume) => this.#obstacle(volume, mount, node, []))
      if (reasons.includes(undefined)) return []
      return candidates.map(({ spec }, at) => `cluster volume ${spec.Name} ${reasons[at] ?? ''}`)
    })
  }

  #use({ id, spec }: Pick<Task, 'id' | 'spec'>, volumes: readonly TaskVolume[], nodeId: string): void {
    this.removeTask(id)
    const readOnlyTargets = new Set(
      clusterMountsOf({ spec })
        .filter(({ readOnly }) => readOnly)
        .map(({ target }) => target),
    )
    for (const { id: volumeId, target } of volumes) {
      let uses = this.#uses.get(volumeId)
      if (uses === undefined) this.#uses.set(volumeId, (uses = new Map<string, Use>()))
      uses.set(id, { nodeId, readOnly: readOnlyTargets.has(target) })
    }
    this.#volumesOfTask.set(
      id,
      volumes.map((volume) => volume.id),
    )
  }

  #choose(mounts: readonly ClusterMount[], node: Node): readonly TaskVolume[] | undefined {
    const chosen: TaskVolume[] = []
    for (const mount of mounts) {
      const taken = chosen.map(({ id }) => id)
      const volume = this.#candidates(mount.source).find(
        (candidate) => this.#obstacle(candidate, mount, node, taken) === undefined,
      )
      if (volume === undefined) return undefined
      chosen.push({ id: volume.id, source: mount.source, target: mount.target })
    }
    return chosen
  }

  #candidates(source: string): readonly Volume[] {
    if (!source.startsWith(groupPrefix)) {
      return this.#volumes.by('name', source.toLowerCase()).filter(({ spec }) => spec.Name === source)
    }
    const group = source.slice(groupPrefix.length)
    return this.#volumes.list().filter(({ spec }) => spec.Group === group)
  }

  /** @param taken volumes that other mounts of the same task have got. */
  #obstacle(volume: Volume, mount: ClusterMount, node: Node, taken: readonly string[]): string | undefined {
    const { spec, info } = volume
    if (volume.pendingDelete === true) return 'is being removed'
    if (spec.Availability !== undefined && spec.Availability !== 'active')
      return `has availability ${spec.Availability}`
    if (info === undefined) return notMade(volume)
    const uses = [...(this.#uses.get(volume.id) ?? nobody).values()]
    const { Scope, Sharing } = spec.AccessMode ?? {}
    if (Scope !== 'multi' && uses.some(({ nodeId }) => nodeId !== node.id)) return 'is in use on another node'
    if (Sharing === undefined || Sharing === 'none') {
      if (uses.length > 0 || taken.includes(volume.id)) return 'is in use, and not to be shared'
    }
    if (Sharing === 'readonly' && !mount.readOnly) return 'may only be mounted read-only'
    if (Sharing === 'onewriter' && !mount.readOnly && uses.some(({ readOnly }) => !readOnly)) {
      return 'has its one writer already'
    }
    const own = node.description?.CSIInfo?.find(({ PluginName }) => PluginName === spec.Driver.Name)
    return isReachable(own?.AccessibleTopology, info.accessibleTopology)
      ? undefined
      : 'cannot be reached from the node'
  }
}

const groupPrefix = 'group:'

/** Why a volume is not there yet. CSI plugins are not supported, so that nobody will make it. */
export function notMade({ spec }: Volume): string {
  return `is not created yet: there is no CSI plugin ${spec.Driver.Name || '""'}`
}

/** Whoever says nothing of a topology is everywhere. */
function isReachable(own: Topology | undefined, accessible: readonly Topology[]): boolean {
  if (own === undefined || accessible.length === 0) return true
  return accessible.some(({ Segments = {} }) =>
    Object.entries(Segments).every(([name, segment]) => own.Segments?.[name] === segment),
  )
}
