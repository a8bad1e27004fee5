import { arch, platform } from 'node:os'
import { SessionClient } from '../../agent/session-client.js'
import {
  certificateIdentity,
  clientTlsOptions,
  issuerOf,
  parseCertificates,
  tlsInfo,
  verifyChain,
  type KeyReadWriter,
} from '../../ca/index.js'
import type { Env } from '../../env/env.js'
import { errorText } from '../../model/errors.js'
import type { NodeDescription } from '../../model/spec/index.js'
import { bind } from '../../node/bind.js'
import { CertificateRenewer } from '../../node/certificate-renewer.js'
import { certificateCall, readIssued } from '../../node/certificates.js'
import { callNode } from '../../node/cluster-calls.js'
import { ClusterServer } from '../../node/cluster-server.js'
import { peerConnection } from '../../node/peer-socket.js'
import { raftPath } from '../../node/raft-dial.js'
import { joinRaft, probeCall } from '../../node/raft-membership.js'
import { Remotes } from '../../node/remotes.js'
import { dialSession } from '../../node/session-dial.js'
import { PeerClose } from '../../raft/transport/index.js'
import { webSocketConnection, type Connection, type SessionMessage } from '../../wire/index.js'
import type { Admission } from './admission.js'
import type { WitnessDirectory, WitnessState } from './witness-directory.js'
import { WitnessMember } from './witness-member.js'

export interface WitnessHost {
  readonly hostname: string
  /** Some manager has its session. Again after each break. */
  readonly onSession: () => void
  /** It votes no more, and will not: it was removed, or could not write. */
  readonly onEnded: (error: Error) => void
}

/** Machine types as the kernel names them, which engines report. */
const machines: Readonly<Record<string, string>> = { x64: 'x86_64', arm64: 'aarch64', arm: 'armv7l' }

/**
 * A running witness: a member of raft without payloads, behind the cluster port; and, as every node has, a
 * session with some manager, by which the swarm sees that it lives and tells it of managers and roots.
 */
export class Witness {
  readonly nodeId: string
  readonly #env: Env
  readonly #host: WitnessHost
  readonly #directory: WitnessDirectory
  readonly #keys: KeyReadWriter
  readonly #remotes: Remotes
  readonly #server: ClusterServer
  readonly #session: SessionClient
  readonly #renewer: CertificateRenewer
  readonly #stopping = new AbortController()
  #state: WitnessState
  #member: WitnessMember | undefined
  /** It tells the members of itself, or becomes another one: one after the other. */
  #membership: Promise<void> = Promise.resolve()
  #isAnnouncing = false

  private constructor(env: Env, host: WitnessHost, directory: WitnessDirectory, { keys, state }: Admission) {
    this.#env = env
    this.#host = host
    this.#directory = directory
    this.#keys = keys
    this.#state = state
    const { nodeId, clusterId } = certificateIdentity(keys.certificate)
    this.nodeId = nodeId
    this.#remotes = new Remotes(env, state.managers)
    this.#server = new ClusterServer(env, clusterId, keys.credentials, {
      sockets: new Map([
        [
          raftPath,
          {
            roles: ['manager'],
            takesExpired: true,
            accept: (socket, peer) => {
              if (this.#member === undefined) socket.close(PeerClose.NotReady, 'the witness is starting')
              else this.#member.accept(peerConnection(socket), peer.nodeId)
            },
          },
        ],
      ]),
      calls: new Map([[probeCall, () => Promise.resolve({ nodeId })]]),
      expiredMayCall: new Set(),
      // Who is no member any more is refused by raft's transport.
      isRemoved: () => false,
    })
    this.#session = new SessionClient(env, (timeoutMs) => this.#dial(timeoutMs), this.#describe(), {
      onSession: (session) => this.#onSession(session),
      onOpen: () => {
        host.onSession()
        this.#announce()
      },
      onAssignments: () => undefined,
      onMessage: () => undefined,
      onLost: () => undefined,
      onRemoved: () => this.#removed(),
    })
    this.#renewer = new CertificateRenewer(env, {
      keys,
      request: async (csrPem) => readIssued(await this.#callManagers(certificateCall, { csrPem })),
      onRenewed: () => this.#useCredentials(),
    })
  }

  /** @throws {Error} when the port is taken, or the file with the vote is damaged. */
  static async start(
    env: Env,
    host: WitnessHost,
    directory: WitnessDirectory,
    admission: Admission,
  ): Promise<Witness> {
    const witness = new Witness(env, host, directory, admission)
    await witness.#start()
    return witness
  }

  get state(): WitnessState {
    return this.#state
  }

  async stop(): Promise<void> {
    if (this.#stopping.signal.aborted) return
    this.#stopping.abort(new Error('the witness stops'))
    await this.#renewer.stop()
    await this.#session.stop()
    await this.#membership
    await this.#member?.stop()
    await this.#server.close()
  }

  async #start(): Promise<void> {
    const { state } = await bind(this.#server, this.#state)
    try {
      await this.#saveState(state)
      await this.#becomeMember()
    } catch (error) {
      await this.#server.close()
      throw error
    }
    this.#session.start()
    this.#renewer.start()
  }

  // ---- Raft

  async #becomeMember(): Promise<void> {
    const member = await WitnessMember.start(this.#env, {
      directory: this.#directory,
      keys: this.#keys,
      nodeId: this.nodeId,
      addr: () => this.#state.advertiseAddr,
      onRemoved: () => this.#evicted(member),
      onFatal: (error) => this.#host.onEnded(error),
    })
    this.#member = member
    this.#announce()
  }

  /**
   * The members learn of this one, or of its new address, or say that it is none any more: a witness that they
   * have forgotten hears nothing of them. In the background, since it may take long.
   */
  #announce(): void {
    const member = this.#member
    if (member === undefined || this.#isAnnouncing) return
    this.#isAnnouncing = true
    this.#membership = this.#membership
      .then(() => this.#join(member))
      .catch((error: unknown) => this.#failed(error))
      .finally(() => (this.#isAnnouncing = false))
  }

  async #join(member: WitnessMember): Promise<void> {
    const { advertiseAddr } = this.#state
    const answer = await joinRaft(
      this.#env,
      {
        memberId: member.id,
        addr: advertiseAddr,
        isMember: () => false,
        firstDelayMs: 0,
        callManagers: (name, args) => this.#callManagers(name, args),
      },
      this.#stopping.signal,
    )
    if (answer === 'removed') this.#evicted(member)
    else if (answer !== 'stopped' && answer.addr !== advertiseAddr) {
      await this.#saveState({ ...this.#state, advertiseAddr: answer.addr })
    }
  }

  /**
   * Raft has this member no more: after a recovery of the swarm, for one. Unless the node was removed too,
   * which the session tells, it joins anew as another member: what it had promised is of no use any more.
   */
  #evicted(member: WitnessMember): void {
    if (this.#member !== member || this.#stopping.signal.aborted) return
    this.#member = undefined
    this.#env.log.warn({ node: this.nodeId }, 'this witness is no member of raft any more; it joins anew')
    this.#membership = this.#membership
      .then(() => member.stop())
      .then(() => this.#directory.forgetVote())
      .then(() => (this.#stopping.signal.aborted ? undefined : this.#becomeMember()))
      .catch((error: unknown) => this.#failed(error))
  }

  #failed(error: unknown): void {
    this.#host.onEnded(error instanceof Error ? error : new Error(String(error)))
  }

  #removed(): void {
    if (this.#stopping.signal.aborted) return
    this.#host.onEnded(
      new Error(`this witness was removed from the swarm; to join again, empty ${this.#directory.path}`),
    )
  }

  // ---- The session

  #onSession({ managers, rootCaPem, node }: SessionMessage): void {
    if (this.#remotes.learn(managers)) {
      const known = this.#remotes.managers.map(({ nodeId, addr }) => ({ nodeId, addr }))
      this.#logged('its managers', this.#saveState({ ...this.#state, managers: known }))
    }
    if (rootCaPem !== '' && rootCaPem !== this.#keys.credentials.rootPem) {
      this.#logged('the new root', this.#trust(rootCaPem))
    }
    if (node.certificateStatus === 'rotate') this.#renewer.renewNow()
  }

  async #dial(timeoutMs: number): Promise<Connection> {
    const address = this.#remotes.pick()
    if (address === undefined) throw new Error('no manager is known')
    const { credentials } = this.#keys
    return webSocketConnection(await dialSession(this.#remotes, credentials, address, { timeoutMs }))
  }

  #describe(): NodeDescription {
    const { certificatePem, rootPem } = this.#keys.credentials
    return {
      Hostname: this.#host.hostname,
      Platform: { Architecture: machines[arch()] ?? arch(), OS: platform() },
      Resources: {},
      Engine: { EngineVersion: 'witness' },
      TLSInfo: tlsInfo(rootPem, issuerOf(certificatePem, rootPem)),
    }
  }

  // ---- Certificates

  /** Another root is trusted only if it also vouches for the certificate that this node has. */
  async #trust(rootPem: string): Promise<void> {
    const [leaf, ...intermediates] = parseCertificates(this.#keys.credentials.certificatePem)
    verifyChain(leaf, { roots: parseCertificates(rootPem), intermediates, nowMs: this.#env.nowMs() })
    await this.#keys.saveRoot(rootPem)
    await this.#useCredentials()
  }

  #useCredentials(): Promise<void> {
    this.#server.setCredentials(this.#keys.credentials)
    this.#session.describe(this.#describe())
    return Promise.resolve()
  }

  /**
   * Asks the managers one after another until one answers.
   * @throws {SwarmError} what the answer was; Unavailable when there was none.
   */
  async #callManagers(name: string, args: unknown): Promise<unknown> {
    return this.#remotes.ask(async (address) => {
      const tls = clientTlsOptions(this.#keys.credentials)
      const { result } = await callNode(this.#env, address, name, args, { tls })
      return result
    })
  }

  // ---- Files

  #saveState(state: WitnessState): Promise<void> {
    this.#state = state
    return this.#directory.writeState(state)
  }

  #logged(what: string, step: Promise<void>): void {
    step.catch((error: unknown) =>
      this.#env.log.error({ err: errorText(error) }, `the witness could not keep ${what}`),
    )
  }
}
