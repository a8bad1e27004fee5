import { Agent } from '../agent/index.js'
import {
  certificateIdentity,
  clientTlsOptions,
  issuerOf,
  lenientTlsOptions,
  parseCertificates,
  peerIdentity,
  tlsInfo,
  verifyChain,
  type KeyReadWriter,
  type NodeRole,
} from '../ca/index.js'
import { sleep, type Env } from '../env/env.js'
import { newId } from '../env/id.js'
import type { Executor } from '../executor/interface.js'
import { SwarmError, errorText } from '../model/errors.js'
import type { IssuedCertificate } from '../manager/ca-server.js'
import type { Manager } from '../manager/manager.js'
import { webSocketConnection, type Connection, type SessionMessage } from '../wire/index.js'
import { formatHostPort, type HostPort } from './addresses.js'
import { createBackup, type Backup } from './backup/backup.js'
import { CertificateRenewer } from './certificate-renewer.js'
import { askForRoot, certificateCall, certificateTimeoutMs, readIssued } from './certificates.js'
import { callNode, type CallOptions } from './cluster-calls.js'
import type { Founding } from './founding.js'
import { leaveRaftCall, reachabilityCall } from './manager-calls.js'
import { ManagerSide } from './manager-side.js'
import { joinRaft } from './raft-membership.js'
import { noManagerText } from './refusals.js'
import { Remotes, type RemoteManager } from './remotes.js'
import { dialSession } from './session-dial.js'
import type { NodeState, SwarmDirectory } from './state-file.js'

/** What this host brings into a swarm. */
export interface Host {
  readonly hostname: string
  readonly executor: Executor
  /** Name of the engine's own network that is called `nameOrId`, if there is one. */
  readonly findLocalNetwork: (nameOrId: string) => Promise<string | undefined>
}

export interface RunOptions {
  readonly keys: KeyReadWriter
  readonly state: NodeState
  /** Only at the founding; later the recorded addresses are used. */
  readonly founding?: Founding
  /** The managers removed this node from the swarm: it takes part no longer. */
  readonly onRemoved: (reason: string) => void
}

/** Behaviour: moby/swarmkit node/node.go: the wait before a manager that failed starts again doubles up to this. */
const maxRestartDelayMs = 30_000
const firstRestartDelayMs = 200
const resignTimeoutMs = 12_000
/** A log that is there is read in less. */
const logReadMs = 300
/** How old a manager's knowledge of who can be reached may be. */
const reachabilityAgeMs = 1000

/**
 * One run of this node as a member of a swarm, from start to stop: the agent, the certificate that is renewed,
 * and, while the certificate says so, the manager.
 */
export class SwarmRun {
  readonly nodeId: string
  /** Resolves once a manager has this node's session. */
  readonly registered: Promise<void>
  readonly #env: Env
  readonly #host: Host
  readonly #directory: SwarmDirectory
  readonly #keys: KeyReadWriter
  readonly #remotes: Remotes
  readonly #agent: Agent
  readonly #renewer: CertificateRenewer
  readonly #stopping = new AbortController()
  readonly #onRegistered: () => void
  /** Until the manager has started once: a swarm is founded once. */
  #founding: Founding | undefined
  #state: NodeState
  #managerSide: ManagerSide | undefined
  #membership: Promise<void> = Promise.resolve()
  #isEvicted = false
  #reachabilityAtMs = -reachabilityAgeMs
  /** The manager starts and stops as roles change: one change after the other. */
  #roleChange: Promise<void> = Promise.resolve()

  private constructor(env: Env, host: Host, directory: SwarmDirectory, options: RunOptions) {
    this.#env = env
    this.#host = host
    this.#directory = directory
    this.#keys = options.keys
    this.#state = options.state
    this.nodeId = certificateIdentity(options.keys.certificate).nodeId
    this.#remotes = new Remotes(env, options.state.managers ?? [])
    let onRegistered: () => void = () => undefined
    this.registered = new Promise((resolve) => (onRegistered = resolve))
    this.#onRegistered = onRegistered
    this.#founding = options.founding
    this.#agent = new Agent(env, {
      nodeId: this.nodeId,
      hostname: host.hostname,
      executor: host.executor,
      dbPath: directory.workerDatabase,
      dial: (timeoutMs) => this.#dial(timeoutMs),
      describe: (description) => ({ ...description, TLSInfo: tlsInfoOf(this.#keys) }),
      onSession: (session) => this.#onSession(session),
      onRemoved: (reason) => options.onRemoved(reason),
    })
    this.#renewer = new CertificateRenewer(env, {
      keys: this.#keys,
      request: (csrPem) => this.#requestCertificate(csrPem),
      onRenewed: () => this.#onRenewed(),
    })
    // The key that stood there in clear is not to be relied on any more.
    this.#keys.onLocked(() => {
      if (this.#managerSide !== undefined) this.#renewer.renewNow()
    })
  }

  /**
   * Brings all parts up. When one of them fails, those before it are stopped again.
   * @throws {SwarmError} when the cluster port is taken or the state is damaged.
   */
  static async start(
    env: Env,
    host: Host,
    directory: SwarmDirectory,
    options: RunOptions,
  ): Promise<SwarmRun> {
    const run = new SwarmRun(env, host, directory, options)
    directory.create()
    directory.writeState(run.#state)
    try {
      if (run.role === 'manager') await run.#startManager()
      await run.#agent.start()
    } catch (error) {
      await run.#stopManager()
      throw error
    }
    run.#renewer.start()
    return run
  }

  /** What the certificate says. */
  get role(): NodeRole {
    return certificateIdentity(this.#keys.certificate).role
  }

  get state(): NodeState {
    return this.#state
  }

  get keys(): KeyReadWriter {
    return this.#keys
  }

  get manager(): Manager | undefined {
    return this.#managerSide?.run.manager
  }

  /**
   * What another manager can be made of.
   * @throws {SwarmError} InvalidArgument without a key where one is needed.
   */
  backup(key: Buffer | undefined): Promise<Backup> {
    const run = this.#managerSide?.run
    if (run === undefined) throw new SwarmError('Unavailable', noManagerText('active', this.role))
    const source = {
      directory: this.#directory,
      keys: this.#keys,
      state: this.#state,
      hostname: this.#host.hostname,
      copyDatabase: (path: string) => run.copyDatabase(path),
    }
    return createBackup(this.#env, source, key)
  }

  remoteManagers(): readonly RemoteManager[] {
    return this.#remotes.managers
  }

  /** Lets this manager know which others can be reached: only the leader sees that. */
  async refreshReachability(): Promise<void> {
    const side = this.#managerSide
    const nowMs = this.#env.monotonicMs()
    if (side === undefined || side.run.leads || nowMs - this.#reachabilityAtMs < reachabilityAgeMs) return
    this.#reachabilityAtMs = nowMs
    try {
      side.run.manager.members.learnReachabilities(
        await this.callManagers(reachabilityCall, {}, { othersOnly: true }),
      )
    } catch (error) {
      this.#env.log.debug({ err: errorText(error) }, 'the leader does not say which managers can be reached')
    }
  }

  /**
   * Asks the managers one after another until one answers; they find the leader by themselves.
   * @throws {SwarmError} what the answer was; Unavailable when there was none.
   */
  async callManagers(
    name: string,
    args: unknown,
    options: { readonly timeoutMs?: number; readonly othersOnly?: boolean } = {},
  ): Promise<unknown> {
    const { timeoutMs } = options
    return this.#remotes.ask(
      async (address) => {
        const { result } = await callNode(this.#env, this.#reachable(address), name, args, {
          ...this.#callOptions(name),
          ...(timeoutMs !== undefined && { timeoutMs }),
        })
        return result
      },
      () => (options.othersOnly === true ? this.#remotes.pick(this.nodeId) : this.#pick()),
    )
  }

  /** A leader asks itself, and needs no valid certificate for that. */
  async #requestCertificate(csrPem: string): Promise<IssuedCertificate> {
    const run = this.#managerSide?.run
    if (run?.leads === true) {
      return run.manager.caServer.issue({ csrPem }, certificateIdentity(this.#keys.certificate))
    }
    return readIssued(
      await this.callManagers(certificateCall, { csrPem }, { timeoutMs: certificateTimeoutMs }),
    )
  }

  /** Who asks for a certificate takes the answer of a manager that is waiting for one itself. */
  #callOptions(name: string): Pick<CallOptions, 'tls' | 'verify'> {
    const { credentials } = this.#keys
    if (name !== certificateCall) return { tls: clientTlsOptions(credentials) }
    const isKnown = (nodeId: string) => this.#remotes.managers.some((manager) => manager.nodeId === nodeId)
    return {
      tls: lenientTlsOptions(clientTlsOptions(credentials)),
      verify: (socket) => {
        if (socket.authorized) return
        const lenient = { rootPem: credentials.rootPem, nowMs: this.#env.nowMs() }
        const { nodeId = '', role } = peerIdentity(socket, lenient) ?? {}
        if (role !== 'manager' || !isKnown(nodeId)) throw new Error('it is no manager that this node knows')
      },
    }
  }

  /** Ends the run; containers go on. */
  async stop(): Promise<void> {
    this.#stopping.abort(new Error('this node stops'))
    await this.#renewer.stop()
    await this.#agent.stop()
    await this.#roleChange
    await this.#stopManager()
  }

  /** Ends the run for good: the containers of the swarm's tasks go with it. A manager leaves raft first. */
  async leave(): Promise<void> {
    this.#stopping.abort(new Error('this node leaves'))
    await this.#renewer.stop()
    await this.#resign()
    await this.#agent.leave()
    await this.#roleChange
    await this.#stopManager()
  }

  /** The others go on without it, if they can; who leaves by force leaves in any case. */
  async #resign(): Promise<void> {
    const members = this.#managerSide?.run.manager.members
    if (members === undefined || members.list().every(({ nodeId }) => nodeId === this.nodeId)) return
    try {
      if (members.leads) await members.transferLeadership()
      await this.callManagers(leaveRaftCall, {}, { timeoutMs: resignTimeoutMs, othersOnly: true })
    } catch (error) {
      this.#env.log.warn({ err: errorText(error) }, 'this manager leaves without the consent of the others')
    }
  }

  // ---- The session

  #onSession({ node, managers, rootCaPem }: SessionMessage): void {
    if (this.#remotes.learn(managers))
      this.#saveState({ managers: this.#remotes.managers.map((m) => ({ ...m })) })
    this.#onRegistered()
    if (rootCaPem !== '' && rootCaPem !== this.#keys.credentials.rootPem) this.#trust(rootCaPem)
    this.#renewer.roleIs(node.role)
    if (node.certificateStatus === 'rotate') this.#renewer.renewNow()
  }

  /** Another root is trusted only if it also vouches for the certificate that this node has. */
  #trust(rootPem: string): void {
    const [leaf, ...intermediates] = parseCertificates(this.#keys.credentials.certificatePem)
    try {
      verifyChain(leaf, { roots: parseCertificates(rootPem), intermediates, nowMs: this.#env.nowMs() })
    } catch (error) {
      this.#env.log.warn({ err: errorText(error) }, 'the managers name a root that this node does not trust')
      return
    }
    this.#keys
      .saveRoot(rootPem)
      .then(() => {
        this.#managerSide?.useCredentials(this.#keys)
        this.#agent.redescribe()
      })
      .catch((error: unknown) =>
        this.#env.log.error({ err: errorText(error) }, 'the new root could not be saved'),
      )
  }

  async #dial(timeoutMs: number): Promise<Connection> {
    const address = this.#pick()
    if (address === undefined) throw new Error('no manager is known')
    const { credentials } = this.#keys
    try {
      return webSocketConnection(
        await dialSession(this.#remotes, credentials, address, {
          timeoutMs,
          reachable: this.#reachable(address),
        }),
      )
    } catch (error) {
      // The root may have been replaced while this node was away.
      if (foreignRootCodes.includes(codeOf(error))) {
        this.#trust(await askForRoot(this.#env, this.#reachable(address)))
      }
      throw error
    }
  }

  /** A manager asks itself first: it knows the leader, and lives and dies with this node. */
  #pick(): HostPort | undefined {
    const own = this.#managerSide
    if (own === undefined) return this.#remotes.pick(this.nodeId)
    return this.#remotes.hasFailed(formatHostPort(own.ownAddress))
      ? (this.#remotes.pick(this.nodeId) ?? own.ownAddress)
      : own.ownAddress
  }

  /** This node may not reach itself under the address that it announces. */
  #reachable(address: HostPort): HostPort {
    const own = this.#managerSide
    return own !== undefined && formatHostPort(address) === this.#state.advertiseAddr
      ? own.ownAddress
      : address
  }

  // ---- Role and certificate

  async #onRenewed(): Promise<void> {
    this.#managerSide?.useCredentials(this.#keys)
    this.#agent.redescribe()
    const isRunning = this.#managerSide !== undefined
    if ((this.role === 'manager') === isRunning && !this.#isEvicted) return
    const change =
      this.role === 'worker'
        ? () => this.#becomeWorker()
        : isRunning
          ? () => this.#startAnew()
          : () => this.#becomeManager()
    this.#roleChange = this.#roleChange.then(change)
    await this.#roleChange
  }

  /** What keeps the manager from starting, a taken port for one, may pass. */
  async #becomeManager(): Promise<void> {
    for (let delayMs = firstRestartDelayMs; this.role === 'manager' && this.#managerSide === undefined;) {
      try {
        await this.#startManager()
        return
      } catch (error) {
        this.#env.log.error(
          { err: errorText(error), delayMs },
          'the manager could not start; it is tried again',
        )
      }
      const isStopped = await sleep(this.#env, delayMs, this.#stopping.signal).then(
        () => false,
        () => true,
      )
      if (isStopped) return
      delayMs = Math.min(2 * delayMs, maxRestartDelayMs)
    }
  }

  async #becomeWorker(): Promise<void> {
    await this.#stopManager()
    this.#directory.removeManagerFiles()
    const { raftMemberId: _gone, ...state } = this.#state
    this.#state = state
    this.#isEvicted = false
    this.#directory.writeState(state)
    await this.#keys.dropDataKeys()
    this.#env.log.info({ node: this.nodeId }, 'this node is a worker now')
  }

  async #startManager(): Promise<void> {
    this.#directory.create()
    if (this.#keys.dataKey === undefined) await this.#keys.createDataKey(this.#env)
    if (this.#state.raftMemberId === undefined) this.#saveState({ raftMemberId: newId(this.#env) })
    const { raftMemberId } = this.#state
    const founding = this.#founding
    this.#managerSide = await ManagerSide.start(this.#env, this.#directory, {
      keys: this.#keys,
      identity: certificateIdentity(this.#keys.certificate),
      state: this.#state,
      findLocalNetwork: this.#host.findLocalNetwork,
      onRemoved: () => this.#onEvicted(raftMemberId),
      ...(founding !== undefined && { founding }),
    })
    this.#founding = undefined
    const { newCluster, ...state } = this.#managerSide.state
    this.#state = state
    // It is one by now, and must not be made one again: others may join.
    if (newCluster === true) this.#directory.writeState(state)
    const self = { nodeId: this.nodeId, addr: this.#state.advertiseAddr }
    const others = this.#remotes.managers.filter(({ nodeId }) => nodeId !== this.nodeId)
    this.#remotes.learn([...others, self])
    this.#membership = founding === undefined ? this.#becomeMember(this.#managerSide) : Promise.resolve()
  }

  /** The others learn of this manager, or of its new address; in the background, since it may take long. */
  async #becomeMember(side: ManagerSide): Promise<void> {
    const { raftMemberId, advertiseAddr } = this.#state
    const ended = AbortSignal.any([this.#stopping.signal, side.stopped])
    const answer = await joinRaft(
      this.#env,
      {
        memberId: raftMemberId ?? '',
        addr: advertiseAddr,
        isMember: () => side.run.isMemberAt(advertiseAddr),
        firstDelayMs: side.run.hasLog ? logReadMs : 0,
        callManagers: (name, args) => this.callManagers(name, args, { othersOnly: !side.run.leads }),
      },
      ended,
    )
    if (answer === 'removed') this.#onEvicted(raftMemberId)
    else if (answer !== 'stopped' && answer.addr !== advertiseAddr)
      this.#saveState({ advertiseAddr: answer.addr })
  }

  /**
   * Raft has this node's member no more. Either the node is to be a worker, which its next certificate says;
   * or its log is of no use, and it joins anew as another member.
   */
  #onEvicted(raftMemberId: string | undefined): void {
    // What is still said of a former member must not end the one that took its place.
    if (raftMemberId !== this.#state.raftMemberId) return
    if (this.#isEvicted || this.#stopping.signal.aborted) return
    this.#isEvicted = true
    this.#env.log.warn({ node: this.nodeId }, 'this manager is no member of raft any more')
    this.#renewer.renewNow()
  }

  async #startAnew(): Promise<void> {
    await this.#stopManager()
    this.#directory.removeManagerFiles()
    this.#saveState({ raftMemberId: newId(this.#env) })
    this.#isEvicted = false
    await this.#becomeManager()
  }

  async #stopManager(): Promise<void> {
    const side = this.#managerSide
    this.#managerSide = undefined
    await side?.stop()
    await this.#membership
  }

  #saveState(patch: Partial<NodeState>): void {
    this.#state = { ...this.#state, ...patch }
    this.#directory.writeState(this.#state)
  }
}

/** OpenSSL's words for a manager whose certificate comes from no root that this node knows. */
const foreignRootCodes: readonly string[] = [
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'CERT_SIGNATURE_FAILURE',
]

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : ''
}

/** What the node shows of the root that it trusts, and of the one that signed its certificate. */
function tlsInfoOf({ credentials: { certificatePem, rootPem } }: KeyReadWriter) {
  return tlsInfo(rootPem, issuerOf(certificatePem, rootPem))
}
