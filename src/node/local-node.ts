import { KeyReadWriter, parseUnlockKey } from '../ca/index.js'
import type { Env } from '../env/env.js'
import { newId } from '../env/id.js'
import { SwarmError, errorText } from '../model/errors.js'
import type { SwarmInitRequest, SwarmJoinRequest } from '../model/spec/index.js'
import type { Manager } from '../manager/manager.js'
import { defaultClusterPort, formatHostPort, parseHostPort, resolveAddresses } from './addresses.js'
import type { NetworkInterface } from './addresses.js'
import { joinCluster } from './certificates.js'
import { foundCluster } from './founding.js'
import { planInit } from './init-request.js'
import { planJoin, type JoinPlan } from './join-request.js'
import {
  alreadyInSwarmText,
  joinTimeoutText,
  leaveRefusal,
  lockedText,
  noManagerText,
  type ManagerCounts,
} from './refusals.js'
import { SwarmRun, type Host } from './swarm-run.js'
import type { SwarmDirectory } from './state-file.js'

export type LocalNodeState = 'inactive' | 'pending' | 'active' | 'error' | 'locked'

export interface LocalNodeOptions {
  readonly directory: SwarmDirectory
  readonly host: Host
  readonly interfaces: () => readonly NetworkInterface[]
  readonly defaultAdvertiseAddr: string | undefined
}

/** How long a join is waited for. Behaviour: moby daemon/cluster, swarmConnectTimeout. */
const joinTimeoutMs = 20_000

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

  constructor(env: Env, options: LocalNodeOptions) {
    this.#env = env
    this.#options = options
  }

  /** Takes up again what this node was part of when the daemon ended. Never throws: see `status`. */
  async start(): Promise<void> {
    await this.#exclusive(async () => {
      try {
        await this.#resume(undefined)
      } catch (error) {
        this.#fail(error)
      }
    })
  }

  /** An orderly end of the daemon: containers go on running. */
  async stop(): Promise<void> {
    await this.#exclusive(async () => {
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
      warnings: [],
    }
  }

  init(request: SwarmInitRequest): Promise<string> {
    return this.#exclusive(async () => {
      if (request.ForceNewCluster === true) this.#refuseNewCluster()
      this.#mustBeInactive()
      const plan = planInit(request)
      const addresses = resolveAddresses(
        {
          listenAddr: request.ListenAddr ?? '',
          advertiseAddr: request.AdvertiseAddr ?? '',
          dataPathAddr: request.DataPathAddr ?? '',
          defaultAdvertiseAddr: this.#options.defaultAdvertiseAddr,
        },
        this.#options.interfaces(),
      )
      const { directory } = this.#options
      directory.create()
      try {
        const founding = await foundCluster(this.#env, directory, plan)
        this.#run = await SwarmRun.start(this.#env, this.#options.host, directory, {
          keys: founding.keys,
          state: {
            listenAddr: formatHostPort(addresses.listen),
            advertiseAddr: formatHostPort(addresses.advertise),
            dataPathAddr: addresses.dataPath,
            localAddr: addresses.local,
            raftMemberId: newId(this.#env),
          },
          founding,
          onRemoved: (reason) => this.#onRemoved(reason),
        })
      } catch (error) {
        // A failed init leaves nothing behind.
        directory.wipe()
        throw error
      }
      this.#state = 'active'
      // As with Docker, the call ends when the node itself is a ready member of its swarm.
      await this.#within(joinTimeoutMs, this.#run.registered).catch((error: unknown) =>
        this.#env.log.warn({ err: errorText(error) }, 'this node has no session with its own manager yet'),
      )
      return this.#run.nodeId
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
      const plan = planJoin(request, defaultAdvertiseAddr, interfaces())
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
      await this.#resume(parseUnlockKey(key))
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

  #refuseNewCluster(): void {
    if (this.#state === 'inactive') return
    if (this.#run?.manager === undefined)
      throw new SwarmError('Unavailable', noManagerText('active', 'worker'))
    throw new SwarmError('Unimplemented', 'making a new cluster by force is not available in this version')
  }

  #mustBeInactive(): void {
    if (this.#state !== 'inactive') throw new SwarmError('Unavailable', alreadyInSwarmText)
  }

  async #join(plan: JoinPlan, signal: AbortSignal): Promise<void> {
    const { directory } = this.#options
    directory.create()
    const { keys, localAddress } = await joinCluster(this.#env, directory, plan, signal)
    signal.throwIfAborted()
    const { localAddr } = plan.state
    const managers = [{ nodeId: '', addr: formatHostPort(plan.address) }]
    const state = { ...plan.state, localAddr: localAddr === '' ? localAddress : localAddr, managers }
    this.#run = await this.#startRun(keys, state)
    await this.#untilReady(this.#run, signal)
  }

  async #resume(unlockKey: Buffer | undefined): Promise<void> {
    const { directory } = this.#options
    const state = directory.readState()
    if (state === undefined) return
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
