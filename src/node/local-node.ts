import { KeyReadWriter, parseUnlockKey } from '../ca/index.js'
import type { Env } from '../env/env.js'
import { newId } from '../env/id.js'
import { SwarmError, errorText } from '../model/errors.js'
import type { SwarmInitRequest, SwarmJoinRequest } from '../model/spec/index.js'
import type { Manager } from '../manager/manager.js'
import { formatHostPort, resolveAddresses, type NetworkInterface } from './addresses.js'
import { foundCluster } from './founding.js'
import { planInit } from './init-request.js'
import { leaveRefusal, noManagerText } from './refusals.js'
import { SwarmRun, type Host } from './swarm-run.js'
import type { SwarmDirectory } from './state-file.js'

export type LocalNodeState = 'inactive' | 'pending' | 'active' | 'error' | 'locked'

export interface LocalNodeOptions {
  readonly directory: SwarmDirectory
  readonly host: Host
  readonly interfaces: () => readonly NetworkInterface[]
  readonly defaultAdvertiseAddr: string | undefined
}

/**
 * This host's part in a swarm, from `docker swarm init` to `docker swarm leave`: in none, or in one that is
 * run by a `SwarmRun`. Behaviour and texts: moby daemon/cluster.
 */
export class LocalNode {
  readonly #env: Env
  readonly #options: LocalNodeOptions
  #run: SwarmRun | undefined
  #state: LocalNodeState = 'inactive'
  #error = ''
  /** init, join, leave and unlock exclude each other. */
  #change: Promise<unknown> = Promise.resolve()

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
      await this.#run?.stop()
      this.#run = undefined
    })
  }

  status() {
    const run = this.#run
    return {
      state: this.#state,
      nodeId: run?.nodeId ?? '',
      nodeAddr: run?.state.localAddr ?? '',
      error: this.#error,
      controlAvailable: this.#state === 'active' && run?.manager !== undefined,
      remoteManagers: run?.remoteManagers() ?? [],
      warnings: [],
    }
  }

  init(request: SwarmInitRequest): Promise<string> {
    return this.#exclusive(async () => {
      if (this.#state !== 'inactive') {
        throw new SwarmError(
          'Unavailable',
          'This node is already part of a swarm. Use "docker swarm leave" to leave this swarm and join another one.',
        )
      }
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
        })
      } catch (error) {
        // A failed init leaves nothing behind.
        directory.wipe()
        throw error
      }
      this.#state = 'active'
      return this.#run.nodeId
    })
  }

  join(request: SwarmJoinRequest): Promise<void> {
    return this.#exclusive(() => {
      void request
      return Promise.reject(
        new SwarmError(
          'Unimplemented',
          'joining a swarm is not available in this version: a swarm has one node',
        ),
      )
    })
  }

  leave(force: boolean): Promise<void> {
    return this.#exclusive(async () => {
      if (this.#state === 'inactive') throw new SwarmError('Unavailable', 'This node is not part of a swarm')
      if (!force) throw new SwarmError('Unavailable', leaveRefusal(this.#state))
      await this.#run?.leave()
      this.#run = undefined
      this.#options.directory.wipe()
      this.#state = 'inactive'
      this.#error = ''
    })
  }

  unlock(key: string): Promise<void> {
    return this.#exclusive(async () => {
      if (this.#state !== 'locked') {
        if (this.#state === 'inactive') throw new SwarmError('Unavailable', noManagerText('inactive'))
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
    if (manager === undefined) throw new SwarmError('Unavailable', noManagerText(this.#state))
    await manager.ready()
    await manager.readBarrier()
    return manager
  }

  localManager(): Manager | undefined {
    return this.#run?.manager
  }

  async #resume(unlockKey: Buffer | undefined): Promise<void> {
    const { directory, host } = this.#options
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
        return
      case 'wrongKey':
        throw new SwarmError('Unauthenticated', 'swarm could not be unlocked: invalid key provided')
      case 'loaded':
        this.#state = 'pending'
        this.#run = await SwarmRun.start(this.#env, host, directory, { keys: loaded.keys, state })
        this.#state = 'active'
        this.#error = ''
        return
      default:
        return loaded satisfies never
    }
  }

  #fail(error: unknown): void {
    this.#state = 'error'
    this.#error = errorText(error)
    this.#env.log.error({ err: this.#error }, 'this node could not take part in its swarm')
  }

  #exclusive<T>(change: () => Promise<T>): Promise<T> {
    const done = this.#change.then(change)
    this.#change = done.catch(() => undefined)
    return done
  }
}
