import type {
  ClusterVolumeSpec,
  ConfigSpec,
  Driver,
  EndpointSpec,
  GenericResource,
  NetworkSpec,
  NodeDescription,
  NodeSpec,
  PortConfig,
  SecretSpec,
  ServiceSpec,
  SwarmSpec,
  TaskSpec,
  Topology,
} from './spec/index.js'
import type { TaskState } from './task-state.js'

/**
 * The objects of a cluster as the store holds them.
 *
 * They are immutable: a change makes a new object and shares every part that stays. What users wrote
 * (`spec`) keeps Docker's spelling, our own fields are camelCase, and `routes/convert` is the one place
 * that turns an object into Docker's JSON. Times are Unix milliseconds.
 */
export interface Meta {
  readonly id: string
  /** Index of the log entry that wrote this version. Users see it as `Version.Index`. */
  readonly version: number
  /**
   * Nodes, services and the cluster: the newest versions before this one that have the same spec. Who read
   * one of them may still replace the spec: what the managers themselves write makes no user's update stale.
   */
  readonly sameSpecVersions?: readonly number[]
  readonly createdAtMs: number
  readonly updatedAtMs: number
}

export interface Service extends Meta {
  readonly spec: ServiceSpec
  /** Which version of the spec this is; tasks carry the one they were made from. */
  readonly specVersion: number
  readonly previousSpec?: ServiceSpec
  readonly previousSpecVersion?: number
  readonly endpoint?: Endpoint
  readonly updateStatus?: UpdateStatus
  readonly jobStatus?: JobStatus
  /** `X-Registry-Auth` for the nodes' pulls. Never shown. */
  readonly registryAuth?: string
  readonly previousRegistryAuth?: string
  /** When somebody asked for its tasks to be spread anew; absent once that is done. Never shown. */
  readonly rebalanceRequestedMs?: number
}

export interface Endpoint {
  readonly spec: EndpointSpec
  /** With the published port that the allocator chose where the spec has none. */
  readonly ports: readonly PortConfig[]
  readonly virtualIPs: readonly VirtualIP[]
}

export interface VirtualIP {
  readonly networkId: string
  /** CIDR: `10.0.1.5/24`. Empty on networks without addresses, such as `host`. */
  readonly addr: string
}

export type UpdateState =
  'updating' | 'paused' | 'completed' | 'rollback_started' | 'rollback_paused' | 'rollback_completed'

export interface UpdateStatus {
  readonly state: UpdateState
  readonly startedAtMs?: number
  readonly completedAtMs?: number
  readonly message: string
  /** How many slots had to be updated, and how many of them failed. Never shown. */
  readonly rollout?: { readonly slots: number; readonly failures: number }
}

export interface JobStatus {
  readonly iteration: number
  readonly lastExecutionMs: number
}

export interface Task extends Meta {
  readonly spec: TaskSpec
  readonly specVersion?: number
  /** Absent for a container that attached itself to a network. */
  readonly serviceId?: string
  /** From 1 for replicated services, from 0 for replicated jobs, 0 for global ones. */
  readonly slot: number
  readonly nodeId?: string
  /** Name and labels of the service when the task was made. */
  readonly serviceAnnotations: { readonly name: string; readonly labels: Readonly<Record<string, string>> }
  readonly status: TaskStatus
  readonly desiredState: TaskState
  readonly networks: readonly TaskNetwork[]
  readonly endpoint?: Endpoint
  readonly logDriver?: Driver
  readonly jobIteration?: number
  /** Present where the task took the place of one that ended. Never shown. */
  readonly restart?: TaskRestart
  /** With desired state READY: the end of the restart delay. Never shown. */
  readonly notBeforeMs?: number
  readonly assignedGenericResources?: readonly GenericResource[]
  /** The volumes of the cluster that the scheduler chose for its mounts. */
  readonly volumes?: readonly TaskVolume[]
  readonly registryAuth?: string
  /**
   * The node that the rebalancer wants the slot on, and since when: a successor is to start there, and then
   * this task is to stop. Never shown.
   */
  readonly moveTo?: { readonly nodeId: string; readonly sinceMs: number }
  /** Why the cluster told the task to stop, for users: no later report of its node hides it. */
  readonly stopReason?: string
}

/** What became of the tasks that had the same slot and spec before. */
export interface TaskRestart {
  /** Restarts so far, this one included. */
  readonly attempts: number
  /** When they were, oldest first: only with a restart window, and only as far back as it reaches. */
  readonly timesMs?: readonly number[]
  /** How many in a row ended soon after their start. */
  readonly quickFailures: number
  /** One of them has been counted as a failure of the update under way. */
  readonly failedUpdate?: boolean
}

export interface TaskStatus {
  readonly state: TaskState
  readonly timestampMs: number
  readonly message: string
  readonly err?: string
  readonly container?: ContainerStatus
  /** Host-mode ports with the numbers the engine gave. */
  readonly ports?: readonly PortConfig[]
  /** When, and by which manager, the status was taken. */
  readonly appliedAtMs?: number
  readonly appliedBy?: string
}

export interface ContainerStatus {
  readonly containerId: string
  readonly pid: number
  readonly exitCode: number
}

export interface TaskNetwork {
  readonly networkId: string
  /** CIDRs: `10.0.1.6/24`. */
  readonly addresses: readonly string[]
  readonly aliases: readonly string[]
}

export type Role = 'worker' | 'manager'
export type NodeState = 'unknown' | 'down' | 'ready' | 'disconnected'

export interface Node extends Meta {
  readonly spec: NodeSpec
  /** The observed role; the wanted one is `spec.Role`. */
  readonly role: Role
  readonly description?: NodeDescription
  readonly status: {
    readonly state: NodeState
    readonly message: string
    readonly addr: string
    /** Since when the node is in that state. */
    readonly sinceMs?: number
    /** It went down together with many others: until then its tasks are not moved. */
    readonly tasksHeldUntilMs?: number
  }
  readonly certificate?: NodeCertificate
  /** One address per overlay network that the node takes part in. */
  readonly attachments?: readonly NodeAttachment[]
  /** Where the node's manager listens for the cluster: `10.0.0.1:2377`. Managers only. */
  readonly managerAddr?: string
  /** A manager that only votes: it has no state, serves nobody and runs nothing. */
  readonly witness?: true
}

export interface NodeCertificate {
  readonly role: Role
  readonly status: 'pending' | 'issued' | 'renew' | 'rotate' | 'failed'
  readonly csrPem?: string
  readonly certificatePem?: string
  readonly err?: string
}

export interface NodeAttachment {
  readonly networkId: string
  readonly addresses: readonly string[]
}

export interface Network extends Meta {
  readonly spec: NetworkSpec
  /** Set by the allocator; `vxlanIds` stand in `options` under Docker's key, as users see them. */
  readonly driverState?: { readonly name: string; readonly options: Readonly<Record<string, string>> }
  readonly ipam?: NetworkIpam
}

export interface NetworkIpam {
  readonly driver: string
  readonly configs: readonly { readonly subnet: string; readonly range?: string; readonly gateway: string }[]
}

export interface Secret extends Meta {
  readonly spec: SecretSpec
}

export interface Config extends Meta {
  readonly spec: ConfigSpec
}

/** A volume of the cluster, made by a CSI plugin. */
export interface Volume extends Meta {
  readonly spec: ClusterVolumeSpec & {
    readonly Name: string
    readonly Labels: Readonly<Record<string, string>>
    readonly Driver: { readonly Name: string; readonly Options: Readonly<Record<string, string>> }
  }
  /** What the plugin said of it. Absent until the plugin has made it: no task can use it before. */
  readonly info?: VolumeInfo
  /** The nodes that it is wanted on, and how far that is. */
  readonly publishStatus?: readonly VolumePublishStatus[]
  readonly pendingDelete?: boolean
}

export interface VolumeInfo {
  readonly capacityBytes: number
  readonly volumeContext: Readonly<Record<string, string>>
  /** What the plugin calls it. */
  readonly volumeId: string
  /** Where it can be reached from; empty: from everywhere. */
  readonly accessibleTopology: readonly Topology[]
}

export interface VolumePublishStatus {
  readonly nodeId: string
  readonly state: 'pending-publish' | 'published' | 'pending-node-unpublish' | 'pending-controller-unpublish'
  readonly publishContext: Readonly<Record<string, string>>
}

/** A volume of the cluster that a task was given. */
export interface TaskVolume {
  readonly id: string
  /** What the mount asked for: a name, or `group:NAME`. */
  readonly source: string
  readonly target: string
}

/** The one cluster object; its ID is the cluster's. */
export interface Cluster extends Meta {
  readonly spec: SwarmSpec
  readonly rootCa: RootCa
  readonly joinTokens: { readonly worker: string; readonly manager: string }
  /** base64 of the 32-byte key that locks the managers' keys at rest. Absent without autolock. */
  readonly unlockKey?: string
  /** Null where the user asked for an empty list. */
  readonly defaultAddressPools: readonly string[] | null
  readonly subnetSize: number
  readonly dataPathPort: number
  /** Node ID to the Unix ms at which the certificate runs out: removed nodes. */
  readonly blacklistedCertificates: Readonly<Record<string, number>>
}

export interface RootCa {
  readonly certPem: string
  /** Absent with an external CA. */
  readonly keyPem?: string
  readonly lastForcedRotation: number
  /** Present while nodes are on their way to another root. */
  readonly rotation?: RootRotation
}

/** The root that is to replace the present one. */
export interface RootRotation {
  readonly certPem: string
  /** Absent with an external CA. */
  readonly keyPem?: string
  /** The same root as an intermediate below the present one: what it signs is valid under both. */
  readonly crossSignedPem: string
}

/** Why a service got another spec: a user's update, a rollback by a user, or one after a failed update. */
export type RevisionCause = 'update' | 'rollback' | 'failure'

/** A spec that a service had before. What it has now stands in the service itself. */
export interface Revision extends Meta {
  readonly serviceId: string
  /** From 1, in the order in which the service had them. */
  readonly number: number
  readonly spec: ServiceSpec
  readonly specVersion: number
  /** When the service got it. */
  readonly setAtMs: number
  /** Why the service got the next one. */
  readonly replacedBy: RevisionCause
}

/** Every table of the store with what it holds. */
export interface Tables {
  readonly services: Service
  readonly revisions: Revision
  readonly tasks: Task
  readonly nodes: Node
  readonly networks: Network
  readonly secrets: Secret
  readonly configs: Config
  readonly volumes: Volume
  readonly clusters: Cluster
}

export type TableName = keyof Tables

export const tableNames = [
  'clusters',
  'nodes',
  'networks',
  'secrets',
  'configs',
  'volumes',
  'services',
  'revisions',
  'tasks',
] as const satisfies readonly TableName[]

/** Label of the swarm twins of the engine's `bridge` and `host` networks; hidden from lists. */
export const predefinedNetworkLabel = 'com.docker.swarm.predefined'

/** What a task is called, as clients compose it: `<service>.<slot or node ID>.<task ID>`. */
export function taskName(task: Pick<Task, 'id' | 'slot' | 'nodeId' | 'serviceAnnotations'>): string {
  const place = task.slot === 0 ? (task.nodeId ?? '') : String(task.slot)
  return `${task.serviceAnnotations.name}.${place}.${task.id}`
}
