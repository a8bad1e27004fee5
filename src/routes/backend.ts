import type { Control } from '../control/interface.js'
import type { HostEngine } from '../engine/interface.js'
import type { EventLog } from '../events/event-log.js'
import type { LogOptions, LogSelector, TaskLogMessage } from '../model/logs.js'
import type { Node } from '../model/objects.js'
import type { SwarmInitRequest, SwarmJoinRequest } from '../model/spec/index.js'
import type { Backup } from '../node/backup/backup.js'
import type { BackupManifest } from '../node/backup/format.js'
import type { BackupRequest, Recovered, RecoverRequest, RestoreRequest } from '../node/recovery.js'
import type { View } from '../store/store.js'

/** What the HTTP routes need of the rest. `src/node` provides it; route tests fake it. */
export interface Backend {
  readonly swarm: SwarmBackend
  readonly engine: HostEngine
  readonly daemon: DaemonFacts
}

export type LocalNodeState = 'inactive' | 'pending' | 'active' | 'error' | 'locked'

/** This node's part in a cluster. Behaviour: moby daemon/cluster. */
export interface SwarmBackend {
  /** What `/info` and the ping's header say of this node. Never throws. */
  status(): SwarmStatus
  /** @returns the node ID. */
  init(request: SwarmInitRequest): Promise<string>
  join(request: SwarmJoinRequest): Promise<void>
  leave(force: boolean): Promise<void>
  unlock(key: string): Promise<void>
  /** Makes a new cluster out of what this manager has. @throws {SwarmError} FailedPrecondition with a leader. */
  recover(request: RecoverRequest): Promise<Recovered>
  /** @throws {SwarmError} Unknown without a leader, unless `stale`; InvalidArgument where a key is missing. */
  backup(request: BackupRequest): Promise<Backup>
  /** @throws {SwarmError} InvalidArgument when the archive is no whole backup, or of another address. */
  restore(archive: AsyncIterable<Uint8Array>, request: RestoreRequest): Promise<BackupManifest>
  /**
   * The manager on this node, ready to be read: all that was committed before the call is in its `view`.
   * @throws {SwarmError} Unavailable with Docker's text when this node is no manager or is locked;
   *   Unknown when there is no leader.
   */
  manager(): Promise<ManagerBackend>
  /**
   * The local replica without waiting for anything, if this node is a manager: for events and `/info`,
   * which answer without a leader too.
   */
  localManager(): ManagerBackend | undefined
}

export interface SwarmStatus {
  readonly state: LocalNodeState
  readonly nodeId: string
  readonly nodeAddr: string
  readonly error: string
  /** A manager's control API answers here. */
  readonly controlAvailable: boolean
  readonly remoteManagers: readonly { readonly nodeId: string; readonly addr: string }[]
  readonly warnings: readonly string[]
}

export interface ManagerBackend {
  readonly view: View
  readonly events: EventSource
  /** Leadership and reachability of a manager's node; undefined for workers. */
  managerStatus(node: Node): ManagerStatus | undefined
  readonly rootRotationInProgress: boolean
  /** What `GET /swarm` shows: the root's PEM, and base64 of its subject's and public key's DER. */
  readonly tlsInfo: {
    readonly TrustRoot: string
    readonly CertIssuerSubject: string
    readonly CertIssuerPublicKey: string
  }
  readonly control: Control
  /**
   * Log messages of all matching tasks, wherever they run or ran. Ends when the logs do or, when
   * following, with `signal`. May reject in the middle with what is missing:
   * `warning: incomplete log stream. …`.
   */
  logs(selector: LogSelector, options: LogOptions, signal: AbortSignal): AsyncIterable<TaskLogMessage>
}

/** What happens to the objects of the cluster, and what happened. */
export type EventSource = Pick<EventLog, 'listen' | 'range'>

export interface ManagerStatus {
  readonly leader: boolean
  readonly reachability: 'unknown' | 'unreachable' | 'reachable'
  readonly addr: string
}

export interface DaemonFacts {
  /** Skep's own version: `0.1.0`. */
  readonly version: string
  readonly gitCommit: string
  /** Node name as in `docker info`. */
  readonly hostname: string
  readonly dataRoot: string
  readonly debug: boolean
  readonly labels: readonly string[]
}
