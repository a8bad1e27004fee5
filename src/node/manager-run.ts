import type { KeyReadWriter, NodeIdentity } from '../ca/index.js'
import { copyDatabase, DatabaseThread, type Sealer } from '../db/index.js'
import type { Env } from '../env/env.js'
import { EventLog, eventSchema } from '../events/event-log.js'
import { SwarmError, clusterError, errorText } from '../model/errors.js'
import type { Cluster } from '../model/objects.js'
import type { Forward } from '../manager/forwarding-control.js'
import { Manager, noLeaderText, type LeaderRelay } from '../manager/manager.js'
import {
  NotLeaderError,
  RaftDriver,
  SqliteLog,
  decodeMemberContext,
  encodeMemberContext,
  formNewCluster,
  raftLogSchema,
  type StateMachine,
} from '../raft/index.js'
import { PeerTransport } from '../raft/transport/index.js'
import { ObjectPersistence, encodeSnapshot, loadObjects, objectSchema } from '../store/persistence.js'
import { Store } from '../store/store.js'
import { DataKeyRotation, dataSealer } from './data-key-rotation.js'
import { databaseFailure } from './damaged-database.js'
import type { Founding } from './founding.js'
import { dialMember } from './raft-dial.js'
import type { NodeState, SwarmDirectory } from './state-file.js'

/**
 * The manager's half of a node: database, log, store and what works on them, joined here because raft and
 * store know nothing of each other.
 */
export class ManagerRun {
  readonly manager: Manager
  readonly transport: PeerTransport
  readonly #env: Env
  readonly #db: DatabaseThread
  readonly #raft: RaftDriver
  readonly #persistence: ObjectPersistence
  readonly #keyRotation: DataKeyRotation

  private constructor(
    env: Env,
    manager: Manager,
    db: DatabaseThread,
    raft: RaftDriver,
    persistence: ObjectPersistence,
    transport: PeerTransport,
    keyRotation: DataKeyRotation,
  ) {
    this.#env = env
    this.manager = manager
    this.#db = db
    this.#raft = raft
    this.#persistence = persistence
    this.#keyRotation = keyRotation
    this.transport = transport
  }

  /** Leads, and does what only leaders do. */
  get leads(): boolean {
    return this.manager.isLeading
  }

  /** Whether the log shows this manager as a member under `addr`. */
  isMemberAt(addr: string): boolean {
    return this.manager.members
      .list()
      .some((member) => member.id === this.#raft.status().id && member.addr === addr)
  }

  get hasLog(): boolean {
    return this.#raft.status().lastIndex > 0
  }

  /** Where the leader listens, as far as this member knows. */
  get leaderAddr(): string | undefined {
    return leaderAddr(this.#raft, this.transport)
  }

  /** @throws {SwarmError} Internal when the database is damaged or does not fit the key. */
  static async start(
    env: Env,
    host: ManagerHost,
    directory: SwarmDirectory,
    start: ManagerStart,
  ): Promise<ManagerRun> {
    const { dataKey } = start.keys
    if (dataKey === undefined)
      throw new SwarmError('Internal', 'the key file of this manager holds no data key')
    const sealer = dataSealer(dataKey, start.keys.pendingDataKey)
    const path = directory.managerDatabase
    try {
      const schema = [...raftLogSchema, ...objectSchema, ...eventSchema]
      const db = await DatabaseThread.open(path, { schema, log: env.log })
      try {
        return await ManagerRun.#startOn(env, host, db, sealer, start)
      } catch (error) {
        await db.close()
        throw error
      }
    } catch (error) {
      throw databaseFailure(path, error)
    }
  }

  static async #startOn(
    env: Env,
    host: ManagerHost,
    db: DatabaseThread,
    sealer: Sealer,
    { state, identity, keys, founding }: ManagerStart,
  ): Promise<ManagerRun> {
    const stored = await loadObjects(db, sealer)
    // The store proposes to the log and the log applies to the store: the log comes second.
    const log: { raft?: RaftDriver } = {}
    const store = new Store(env, {
      propose: (data) => {
        if (log.raft === undefined) throw new SwarmError('Unavailable', noLeaderText)
        return propose(log.raft, data)
      },
    })
    if (stored.appliedIndex > 0) store.restore(stored.appliedIndex, stored.objects)
    const id = memberId(state)
    const transport = new PeerTransport(env, {
      id,
      context: () => ownContext(identity, state),
      dial: dialMember(env, keys),
      nodeIdOf: (context) => decodeMemberContext(context)?.nodeId,
      onRemoved: host.onRemoved,
    })
    const events = await EventLog.open(env, db, sealer)
    store.watch((commit) => events.onCommit(commit))
    const onPersisted = (index: number) => {
      log.raft?.compactTo(index).catch((error: unknown) => {
        env.log.warn({ err: errorText(error) }, 'could not cut the log off; it is tried again later')
      })
    }
    const persistence = new ObjectPersistence(env, db, sealer, store, onPersisted, events)
    const storage = new SqliteLog(db, sealer)
    if (state.newCluster === true)
      await formNewCluster(storage, store.appliedIndex, id, ownContext(identity, state))
    const raft = await RaftDriver.start(env, {
      id,
      storage,
      stateMachine: stateMachineOf(store, persistence),
      transport,
      ...(founding === undefined ? {} : { bootstrap: { context: ownContext(identity, state) } }),
      onFatal: (error) => stopProcess(env, error),
    })
    log.raft = raft
    const manager = new Manager(env, store, {
      raft,
      node: {
        id: identity.nodeId,
        availability: founding?.availability ?? 'active',
        managerAddr: state.advertiseAddr,
        certificate: { role: 'manager', status: 'issued', certificatePem: keys.credentials.certificatePem },
      },
      newCluster: founding?.newCluster,
      findLocalNetwork: host.findLocalNetwork,
      events,
      forward: host.forward,
      leader: host.leader,
      credentials: () => keys.credentials,
    })
    const keyRotation = new DataKeyRotation(env, keys, sealer, [storage, persistence])
    followUnlockKey(env, store, keys)
    transport.attach(raft)
    raft.onLeadershipChange(({ isLeader }) => manager.onLeadership(isLeader))
    if (raft.leadership.isLeader) manager.onLeadership(true)
    return new ManagerRun(env, manager, db, raft, persistence, transport, keyRotation)
  }

  /** Copies the database as of one moment after the call: all that is applied here by now, at least. */
  async copyDatabase(path: string): Promise<void> {
    // What a majority has may be applied before it is on this disk.
    await this.#db.write([])
    await copyDatabase(this.#db.path, path)
  }

  /** A leader hands over first, so that nobody waits for an election. */
  async stop(): Promise<void> {
    if (this.#raft.leadership.isLeader && this.manager.members.list().length > 1) {
      await this.#raft.transferLeadership().catch((error: unknown) => {
        this.#env.log.warn({ err: errorText(error) }, 'nobody took over the leadership')
      })
    }
    await this.#keyRotation.stop()
    await this.manager.stop()
    await this.#raft.stop()
    this.transport.stop()
    await this.#persistence.stop()
    await this.#db.close()
  }
}

interface ManagerHost {
  /** Hands a write to the leader. */
  readonly forward: Forward
  readonly leader: LeaderRelay
  /** Another member says that this one was removed. May be called again. */
  readonly onRemoved: () => void
  readonly findLocalNetwork: (nameOrId: string) => Promise<string | undefined>
}

interface ManagerStart {
  readonly keys: KeyReadWriter
  readonly state: NodeState
  readonly identity: NodeIdentity
  readonly founding?: Founding
}

/** What the leader said itself is newer than the log. */
function leaderAddr(raft: RaftDriver, transport: PeerTransport): string | undefined {
  const { leaderId } = raft.leadership
  if (leaderId === undefined) return undefined
  const listed = raft.membership.members.find(({ id }) => id === leaderId)?.context
  return decodeMemberContext(transport.contextOf(leaderId) ?? listed ?? '')?.addr
}

function memberId({ raftMemberId }: NodeState): string {
  if (raftMemberId === undefined) throw new SwarmError('Internal', 'the node state names no raft member')
  return raftMemberId
}

function ownContext({ nodeId }: NodeIdentity, { advertiseAddr }: NodeState): string {
  return encodeMemberContext({ nodeId, addr: advertiseAddr })
}

function propose(raft: RaftDriver, data: Uint8Array): number {
  try {
    return raft.propose(data)
  } catch (error) {
    if (error instanceof NotLeaderError) throw clusterError('Unknown', noLeaderText, { cause: error })
    throw error
  }
}

/** The store as what the log drives. Who lags too far behind is sent all objects. */
function stateMachineOf(store: Store, persistence: ObjectPersistence): StateMachine {
  return {
    appliedIndex: store.appliedIndex,
    apply: (index, _term, data) => store.apply(index, data),
    snapshot: () => encodeSnapshot(store.view),
    restore: ({ index }, content) => persistence.stage(index, content),
  }
}

/** The key file is locked with what the cluster says, now and after each change. */
function followUnlockKey(env: Env, store: Store, keys: KeyReadWriter): void {
  const follow = ({ unlockKey, version }: Cluster) => {
    keys
      .setUnlockKey(unlockKey === undefined ? undefined : Buffer.from(unlockKey, 'base64'), version)
      .catch((error: unknown) => {
        env.log.error({ err: errorText(error) }, 'the key file could not be locked with the new unlock key')
      })
  }
  for (const cluster of store.view.clusters.list()) follow(cluster)
  store.watch(({ changes }) => {
    for (const change of changes) {
      if (change.table === 'clusters' && change.after !== undefined) follow(change.after)
    }
  })
}

/** Going on could acknowledge what is not on disk, or make members differ. */
function stopProcess(env: Env, error: Error): void {
  env.log.error({ err: error.message }, 'this manager cannot go on')
  throw error
}
