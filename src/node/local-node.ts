import { certificateIdentity, KeyReadWriter, parseUnlockKey } from '../ca/index.js'
import type { Env } from '../env/env.js'
import { newId } from '../env/id.js'
import { SwarmError, errorText } from '../model/errors.js'
import type { SwarmInitRequest, SwarmJoinRequest } from '../model/spec/index.js'
import type { Manager } from '../manager/manager.js'
import {
  defaultClusterPort,
  formatHostPort,
  parseHostPort,
  presentAddresses,
  resolveAddresses,
  type HostNames,
} from './addresses.js'
import { lookUpNames } from './interfaces.js'
import type { NetworkInterface } from './addresses.js'
import type { Backup } from './backup/backup.js'
import type { BackupManifest } from './backup/format.js'
import { unpackBackup } from './backup/restore.js'
import { joinCluster } from './certificates.js'
import { foundCluster } from './founding.js'
import { planInit, type InitPlan } from './init-request.js'
import { planJoin, type JoinPlan } from './join-request.js'
import {
  alreadyInSwarmText,
  joinTimeoutText,
  leaveRefusal,
  lockedText,
  noManagerText,
  type ManagerCounts,
} from './refusals.js'
import {
  mergeClusterSpec,
  recovered,
  restoredAddresses,
  toNodeAddresses,
  type BackupRequest,
  type NodeAddresses,
  type Recovered,
  type RecoverRequest,
  type RestoreRequest,
} from './recovery.js'
import { SwarmRun, type Host } from './swarm-run.js'
import type { NodeState, SwarmDirectory } from './state-file.js'

export type LocalNodeState = 'inactive' | 'pending' | 'active' | 'error' | 'locked'

export interface LocalNodeOptions {
  readonly directory: SwarmDirectory
  readonly host: Host
  readonly interfaces: () => readonly NetworkInterface[]
  readonly defaultAdvertiseAddr: string | undefined
}

/** How long a join is waited for. Behaviour: moby daemon/cluster, swarmConnectTimeout. */
const joinTimeoutMs = 20_000
/** Behaviour: moby daemon/cluster/noderunner.go: the wait before a start that failed is tried again doubles. */
const firstRetryMs = 200
const maxRetryMs = 30_000

/**
 * This host's part in a swarm, from `docker swarm init` or `join` to `docker swarm leave`: in none, or in one
 * that is run by a `SwarmRun`. Behaviour and texts: moby daemon/cluster.
 */
export class LocalNode {
  readonly #env: Env
  readonly #options: LocalNodeOptions
  #run: SwarmRun | undefined
  #state: LocalNodeState = 'inactive'
  #error = ''
  /** init, join, leave and unlock exclude each other. */
  #change: Promise<unknown> = Promise.resolve()
  /** A join under way, which outlives the call. */
  #joining: { readonly abort: AbortController; readonly ended: Promise<unknown> } | undefined
  #cancelRetry: () => void = () => undefined

  constructor(env: Env, options: LocalNodeOptions) {
    this.#env = env
    this.#options = options
  }

  /** Takes up again what this node was part of when the daemon ended. Never throws: see `status`. */
  async start(): Promise<void> {
    await this.#exclusive(() => this.#tryToResume(undefined, firstRetryMs))
  }

  /** An orderly end of the daemon: containers go on running. */
  async stop(): Promise<void> {
    await this.#exclusive(async () => {
      this.#cancelRetry()
      await this.#endJoining()
      await this.#run?.stop()
      this.#run = undefined
    })
  }

  status() {
    const run = this.#run
    return {
      state: this.#state,
      nodeId: run?.nodeId ?? '',
      nodeAddr: run === undefined ? '' : nodeAddr(run),
      error: this.#error,
      controlAvailable: this.#state === 'active' && run?.manager !== undefined,
      remoteManagers: run?.remoteManagers() ?? [],
      warnings: run?.manager?.warnings ?? [],
    }
  }

  init(request: SwarmInitRequest): Promise<string> {
    return this.#exclusive(async () => {
      const { directory } = this.#options
      const isForced = request.ForceNewCluster === true && directory.holdsCertificate
      if (!isForced) this.#mustBeInactive()
      const keys = isForced ? await this.#managerKeys() : undefined
      const plan = planInit(request)
      const addresses = await this.#resolveAddresses({
        listenAddr: request.ListenAddr ?? '',
        advertiseAddr: request.AdvertiseAddr ?? '',
        dataPathAddr: request.DataPathAddr ?? '',
      })
      if (keys !== undefined) {
        const run = await this.#leadAlone(keys, addresses)
        await mergeClusterSpec(run, request)
        return run.nodeId
      }
      const run = await this.#found(plan, addresses)
      await this.#isUp(run)
      return run.nodeId
    })
  }

  /**
   * Makes a cluster of its own out of what this manager has, for when the others are gone for good: CA, IDs and
   * all objects stay.
   * @throws {SwarmError} FailedPrecondition while the swarm has a leader, unless forced.
   */
  recover(request: RecoverRequest): Promise<Recovered> {
    return this.#exclusive(async () => {
      const keys = await this.#managerKeys()
      if (!request.force && (await this.#hasLeader())) {
        throw new SwarmError(
          'FailedPrecondition',
          'This swarm has a leader: there is nothing to recover from. Use `--force` to make a new cluster of this manager alone all the same.',
        )
      }
      const { listenAddr, advertiseAddr } = request
      const before = this.#run?.state ?? this.#options.directory.readState()
      const isMoved = listenAddr !== '' || advertiseAddr !== ''
      const addresses = isMoved
        ? await this.#resolveAddresses({
            listenAddr: listenAddr === '' ? (before?.listenAddr ?? '') : listenAddr,
            advertiseAddr,
            dataPathAddr: '',
          })
        : undefined
      return recovered(await this.#leadAlone(keys, addresses))
    })
  }

  /**
   * Everything that this manager has, for `restore` on this or another machine.
   * @throws {SwarmError} Unknown without a leader, unless what is stale will do; InvalidArgument for a bad key.
   */
  async backup(request: BackupRequest): Promise<Backup> {
    const key = request.unlockKey === '' ? undefined : parseUnlockKey(request.unlockKey)
    if (!request.stale) await this.manager()
    const run = this.#run
    if (run === undefined) throw this.#noManager()
    return run.backup(key)
  }

  /**
   * Takes up the state of a backup as the only manager of its swarm, once it is unlocked.
   * @throws {SwarmError} Unavailable where this node is in a swarm; InvalidArgument for a damaged backup, or one
   *   whose addresses this machine has not.
   */
  restore(archive: AsyncIterable<Uint8Array>, request: RestoreRequest): Promise<BackupManifest> {
    return this.#exclusive(async () => {
      this.#mustBeInactive()
      const { directory, interfaces } = this.#options
      directory.begin()
      try {
        const manifest = await unpackBackup(directory, archive)
        const state = directory.readState()
        if (state === undefined) throw new SwarmError('Internal', 'the backup holds no state')
        const wanted = restoredAddresses(state, request, interfaces())
        directory.writeState({ ...state, ...(await this.#resolveAddresses(wanted)) })
        directory.complete()
        await this.#resume(undefined)
        return manifest
      } catch (error) {
        directory.wipe()
        throw error
      }
    })
  }

  /**
   * Waits 20 s at most for the managers to take this node in; after that the attempt goes on by itself.
   * @throws {SwarmError} with Docker's text.
   */
  join(request: SwarmJoinRequest): Promise<void> {
    return this.#exclusive(async () => {
      this.#mustBeInactive()
      const { defaultAdvertiseAddr, interfaces } = this.#options
      const names = await this.#namesIn(request.AdvertiseAddr)
      const plan = planJoin(request, defaultAdvertiseAddr, interfaces(), names)
      this.#options.directory.begin()
      const abort = new AbortController()
      this.#state = 'pending'
      const joined = this.#join(plan, abort.signal)
      // What becomes of it after the call has ended is in `status`.
      const ended = joined.catch(() => undefined)
      this.#joining = { abort, ended }
      try {
        await this.#within(joinTimeoutMs, joined)
      } catch (error) {
        if (error !== joinTimeout) {
          await this.#forget()
          throw error
        }
        joined.catch((late: unknown) => {
          if (!abort.signal.aborted) this.#fail(late)
        })
        throw new SwarmError('Unavailable', joinTimeoutText)
      }
    })
  }

  leave(force: boolean): Promise<void> {
    return this.#exclusive(async () => {
      if (this.#state === 'inactive') throw new SwarmError('Unavailable', 'This node is not part of a swarm')
      const isManager = this.#state === 'locked' || this.#run?.role === 'manager'
      if (!force && isManager)
        throw new SwarmError('Unavailable', leaveRefusal(this.#state, await this.#managerCounts()))
      await this.#forget()
    })
  }

  unlock(key: string): Promise<void> {
    return this.#exclusive(async () => {
      if (this.#state !== 'locked') {
        if (this.#run?.manager === undefined) throw this.#noManager()
        throw new SwarmError('AlreadyExists', 'swarm is not locked')
      }
      const unlockKey = parseUnlockKey(key)
      try {
        await this.#resume(unlockKey)
      } catch (error) {
        if (error instanceof SwarmError && error.code === 'Unauthenticated') throw error
        this.#fail(error)
        this.#retryLater(unlockKey, firstRetryMs)
        throw new SwarmError('Unknown', `swarm component could not be started: ${errorText(error)}`, {
          cause: error,
        })
      }
    })
  }

  /**
   * The manager on this node, when its replica shows all that was committed before the call.
   * @throws {SwarmError} Unavailable where there is none, Unknown without a leader.
   */
  async manager(): Promise<Manager> {
    const manager = this.localManager()
    if (manager === undefined) throw this.#noManager()
    await manager.ready()
    await Promise.all([manager.readBarrier(), this.#run?.refreshReachability()])
    return manager
  }

  localManager(): Manager | undefined {
    return this.#run?.manager
  }

  async #managerCounts(): Promise<ManagerCounts | undefined> {
    const run = this.#run
    if (run?.manager === undefined || this.#state !== 'active') return undefined
    await run.refreshReachability()
    const all = run.manager.members.list().map(({ nodeId }) => run.manager?.members.statusOf(nodeId))
    const unreachable = all.filter((status) => status?.reachability === 'unreachable').length
    return { reachable: all.length - unreachable, unreachable }
  }

  #noManager(): SwarmError {
    return new SwarmError('Unavailable', noManagerText(this.#state, this.#run?.role))
  }

  async #resolveAddresses(wanted: {
    readonly listenAddr: string
    readonly advertiseAddr: string
    readonly dataPathAddr: string
  }): Promise<NodeAddresses> {
    const { defaultAdvertiseAddr, interfaces } = this.#options
    const names = await this.#namesIn(wanted.advertiseAddr)
    const resolved = resolveAddresses({ ...wanted, defaultAdvertiseAddr }, interfaces(), names)
    return toNodeAddresses(resolved, wanted.advertiseAddr)
  }

  #namesIn(advertiseAddr = ''): Promise<HostNames> {
    const { defaultAdvertiseAddr = '', interfaces } = this.#options
    return lookUpNames(this.#env, [advertiseAddr, defaultAdvertiseAddr], interfaces())
  }

  /** The keys of the manager that this node is or, where it could not be started, would be. */
  async #managerKeys(): Promise<KeyReadWriter> {
    if (this.#state === 'locked') throw new SwarmError('Unavailable', lockedText)
    const run = this.#run
    if (run !== undefined) {
      const isEmpty = run.manager === undefined || run.manager.view.clusters.size === 0
      if (isEmpty) throw new SwarmError('Unavailable', noManagerText('active', run.role))
      return run.keys
    }
    const loaded = await KeyReadWriter.load(this.#options.directory.certificates)
    switch (loaded.state) {
      case 'loaded':
        if (certificateIdentity(loaded.keys.certificate).role === 'manager') return loaded.keys
        throw new SwarmError('Unavailable', noManagerText('active', 'worker'))
      case 'missing':
        throw this.#noManager()
      case 'locked':
      case 'wrongKey':
        throw new SwarmError('Unavailable', lockedText)
      default:
        return loaded satisfies never
    }
  }

  async #hasLeader(): Promise<boolean> {
    try {
      await this.#run?.manager?.readBarrier()
      return this.#run?.manager !== undefined
    } catch (error) {
      this.#env.log.info({ err: errorText(error) }, 'the swarm has no leader')
      return false
    }
  }

  /** Makes a new swarm, whole or not at all. */
  async #found(plan: InitPlan, addresses: NodeAddresses): Promise<SwarmRun> {
    const { directory, host } = this.#options
    directory.begin()
    let run: SwarmRun | undefined
    try {
      const founding = await foundCluster(this.#env, directory, plan)
      run = await SwarmRun.start(this.#env, host, directory, {
        keys: founding.keys,
        state: { ...addresses, raftMemberId: newId(this.#env) },
        founding,
        onRemoved: (reason) => this.#onRemoved(reason),
      })
      // From here on the cluster is on disk.
      await run.manager?.ready()
    } catch (error) {
      await run?.stop()
      directory.wipe()
      throw error
    }
    directory.complete()
    this.#run = run
    return run
  }

  /**
   * Starts this manager again, as the only one. Nothing has happened when the keys or addresses were wrong; from
   * here on each start goes on with it, until it is done.
   */
  async #leadAlone(keys: KeyReadWriter, addresses: NodeAddresses | undefined): Promise<SwarmRun> {
    const { directory } = this.#options
    const before = this.#run?.state ?? directory.readState()
    const known: NodeState | undefined = before === undefined ? addresses : { ...before, ...addresses }
    if (known === undefined)
      throw new SwarmError('FailedPrecondition', `${directory.path} has no node-state.json: name addresses`)
    const { managers: _former, ...state } = { raftMemberId: newId(this.#env), ...known, newCluster: true }
    this.#cancelRetry()
    await this.#endJoining()
    await this.#run?.stop()
    this.#run = undefined
    this.#state = 'pending'
    this.#error = ''
    let run: SwarmRun
    try {
      run = await this.#startRun(keys, state)
    } catch (error) {
      this.#fail(error)
      this.#retryLater(keys.unlockKey, firstRetryMs)
      throw error
    }
    this.#run = run
    await run.manager?.ready()
    await this.#isUp(run)
    return run
  }

  /** As with Docker, a call ends when the node itself is a ready member of its swarm. */
  async #isUp(run: SwarmRun): Promise<void> {
    this.#state = 'active'
    this.#error = ''
    await this.#within(joinTimeoutMs, run.registered).catch((error: unknown) =>
      this.#env.log.warn({ err: errorText(error) }, 'this node has no session with its own manager yet'),
    )
  }

  #mustBeInactive(): void {
    if (this.#state !== 'inactive') throw new SwarmError('Unavailable', alreadyInSwarmText)
  }

  async #join(plan: JoinPlan, signal: AbortSignal): Promise<void> {
    const { directory } = this.#options
    const { keys, localAddress } = await joinCluster(this.#env, directory, plan, signal)
    signal.throwIfAborted()
    const { localAddr } = plan.state
    const managers = [{ nodeId: '', addr: formatHostPort(plan.address) }]
    const state = { ...plan.state, localAddr: localAddr === '' ? localAddress : localAddr, managers }
    // From here on a restart goes on with it.
    directory.writeState(state)
    directory.complete()
    this.#run = await this.#startRun(keys, state)
    await this.#untilReady(this.#run, signal)
  }

  /** What is in the way, a taken port or an address that is not there yet, may pass. */
  async #tryToResume(unlockKey: Buffer | undefined, retryMs: number): Promise<void> {
    try {
      await this.#resume(unlockKey)
    } catch (error) {
      this.#fail(error)
      this.#retryLater(unlockKey, retryMs)
    }
  }

  #retryLater(unlockKey: Buffer | undefined, delayMs: number): void {
    this.#cancelRetry = this.#env.after(delayMs, () => {
      void this.#exclusive(async () => {
        if (this.#state !== 'error' || this.#run !== undefined) return
        await this.#tryToResume(unlockKey, Math.min(2 * delayMs, maxRetryMs))
      })
    })
  }

  async #resume(unlockKey: Buffer | undefined): Promise<void> {
    const { directory } = this.#options
    if (directory.isIncomplete) {
      this.#env.log.warn(
        { path: directory.path },
        'an init, join or leave was broken off: nothing of it stays',
      )
      directory.wipe()
      return
    }
    directory.removeLeftovers()
    const known = directory.readState()
    if (known === undefined) return
    const { interfaces, defaultAdvertiseAddr } = this.#options
    const state = presentAddresses(known, interfaces(), defaultAdvertiseAddr)
    if (state !== known) {
      const [from, to] = [known.advertiseAddr, state.advertiseAddr]
      this.#env.log.info({ from, to }, 'this node has another address than before')
    }
    const loaded = await KeyReadWriter.load(directory.certificates, unlockKey)
    switch (loaded.state) {
      case 'missing':
        // Without a certificate the rest is worth nothing. Behaviour: moby daemon/cluster, Start.
        directory.wipe()
        return
      case 'locked':
        this.#state = 'locked'
        this.#error = lockedText
        return
      case 'wrongKey':
        throw new SwarmError('Unauthenticated', 'swarm could not be unlocked: invalid key provided')
      case 'loaded': {
        this.#state = 'pending'
        this.#error = ''
        const run = await this.#startRun(loaded.keys, state)
        this.#run = run
        // Managers may be gone for long; the daemon answers meanwhile.
        void this.#untilReady(run, undefined)
        return
      }
      default:
        return loaded satisfies never
    }
  }

  #startRun(keys: KeyReadWriter, state: SwarmRun['state']): Promise<SwarmRun> {
    const { directory, host } = this.#options
    return SwarmRun.start(this.#env, host, directory, {
      keys,
      state,
      onRemoved: (reason) => this.#onRemoved(reason),
    })
  }

  async #untilReady(run: SwarmRun, signal: AbortSignal | undefined): Promise<void> {
    const aborted = new Promise<never>((_resolve, reject) => {
      signal?.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
    })
    await Promise.race([run.registered, aborted])
    // Without a signal nobody waits: requests wait for the manager by themselves.
    if (signal !== undefined) await Promise.race([run.manager?.ready(), aborted])
    if (this.#run === run && this.#state === 'pending') this.#state = 'active'
  }

  /** Other nodes took its place: its containers go, and it stays so until somebody makes it leave. */
  #onRemoved(reason: string): void {
    const run = this.#run
    if (run === undefined || this.#state === 'error') return
    this.#fail(new SwarmError('PermissionDenied', reason))
    this.#exclusive(() => run.leave()).catch((error: unknown) => {
      this.#env.log.error({ err: errorText(error) }, 'what the swarm left on this node could not be removed')
    })
  }

  /** Leaves nothing of the swarm on this node. */
  async #forget(): Promise<void> {
    this.#cancelRetry()
    await this.#endJoining()
    await this.#run?.leave()
    this.#run = undefined
    this.#options.directory.wipe()
    this.#state = 'inactive'
    this.#error = ''
  }

  async #endJoining(): Promise<void> {
    this.#joining?.abort.abort(new Error('the node leaves'))
    await this.#joining?.ended
    this.#joining = undefined
  }

  #fail(error: unknown): void {
    this.#state = 'error'
    this.#error = errorText(error)
    this.#env.log.error({ err: this.#error }, 'this node could not take part in its swarm')
  }

  /** @throws `joinTimeout`, or what `work` throws. */
  #within(timeoutMs: number, work: Promise<void>): Promise<void> {
    return new Promise((resolve, reject) => {
      const cancel = this.#env.after(timeoutMs, () => reject(joinTimeout))
      work.then(resolve, reject).finally(cancel)
    })
  }

  #exclusive<T>(change: () => Promise<T>): Promise<T> {
    const done = this.#change.then(change)
    this.#change = done.catch(() => undefined)
    return done
  }
}

const joinTimeout = new Error(joinTimeoutText)

/** What it announces; else how it sees itself. */
function nodeAddr({ state, role }: SwarmRun): string {
  const advertised = parseHostPort(state.advertiseAddr, defaultClusterPort)?.host ?? ''
  return role === 'manager' && advertised !== '' && advertised !== '0.0.0.0' ? advertised : state.localAddr
}
