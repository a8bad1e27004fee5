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
import { newId } from '../../env/id.js'
import { clusterError, errorText, SwarmError } from '../../model/errors.js'
import type { NodeDescription } from '../../model/spec/index.js'
import { formatHostPort } from '../../node/addresses.js'
import { bind } from '../../node/bind.js'
import { CertificateRenewer } from '../../node/certificate-renewer.js'
import { certificateCall, readIssued } from '../../node/certificates.js'
import { callNode } from '../../node/cluster-calls.js'
import { ClusterServer } from '../../node/cluster-server.js'
import { peerConnection } from '../../node/peer-socket.js'
import { dialMember, raftPath } from '../../node/raft-dial.js'
import { joinRaft, probeCall } from '../../node/raft-membership.js'
import { Remotes } from '../../node/remotes.js'
import { dialSession } from '../../node/session-dial.js'
import {
  decodeMemberContext,
  encodeMemberContext,
  startWitness,
  WitnessLog,
  type RaftDriver,
} from '../../raft/index.js'
import { PeerTransport } from '../../raft/transport/index.js'
import { webSocketConnection, type SessionMessage } from '../../wire/index.js'
import type { Admission } from './admission.js'
import type { WitnessDirectory, WitnessState } from './witness-directory.js'

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
  readonly #transport: PeerTransport
  readonly #session: SessionClient
  readonly #renewer: CertificateRenewer
  readonly #stopping = new AbortController()
  readonly #memberId: string
  #state: WitnessState
  #raft: RaftDriver | undefined
  #joining: Promise<void> = Promise.resolve()

  private constructor(
    env: Env,
    host: WitnessHost,
    directory: WitnessDirectory,
    { keys, state }: Admission,
    memberId: string,
  ) {
    this.#env = env
    this.#host = host
    this.#directory = directory
    this.#keys = keys
    this.#state = state
    this.#memberId = memberId
    const { nodeId, clusterId } = certificateIdentity(keys.certificate)
    this.nodeId = nodeId
    this.#remotes = new Remotes(env, state.managers)
    this.#transport = new PeerTransport(env, {
      id: memberId,
      context: () => encodeMemberContext({ nodeId, addr: this.#state.advertiseAddr }),
      dial: dialMember(env, keys),
      nodeIdOf: (context) => decodeMemberContext(context)?.nodeId,
      onRemoved: () => this.#removed(),
    })
    this.#server = new ClusterServer(env, clusterId, keys.credentials, {
      sockets: new Map([
        [
          raftPath,
          {
            roles: ['manager'],
            takesExpired: true,
            accept: (socket, peer) => this.#transport.accept(peerConnection(socket), peer.nodeId),
          },
        ],
      ]),
      calls: new Map([[probeCall, () => Promise.resolve({ nodeId })]]),
      expiredMayCall: new Set(),
      // Who is no member any more is refused by the transport.
      isRemoved: () => false,
    })
    this.#session = new SessionClient(env, () => this.#dial(), this.#describe(), {
      onSession: (session) => this.#onSession(session),
      onOpen: () => host.onSession(),
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
    const log = await openLog(env, directory)
    const witness = new Witness(env, host, directory, admission, log.memberId)
    await witness.#start(log)
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
    await this.#joining
    await this.#raft?.stop()
    this.#transport.stop()
    await this.#server.close()
  }

  async #start(log: WitnessLog): Promise<void> {
    const { state } = await bind(this.#server, this.#state)
    try {
      await this.#saveState(state)
      this.#raft = await startWitness(this.#env, {
        id: this.#memberId,
        storage: log,
        transport: this.#transport,
        onFatal: (error) => this.#host.onEnded(error),
      })
    } catch (error) {
      await this.#server.close()
      throw error
    }
    this.#transport.attach(this.#raft)
    this.#session.start()
    this.#renewer.start()
    this.#joining = this.#join(this.#raft)
  }

  /** The members learn of this one, or of its new address. */
  async #join(raft: RaftDriver): Promise<void> {
    const { advertiseAddr } = this.#state
    const isMember = () =>
      raft.membership.members.some(
        ({ id, context }) =>
          id === this.#memberId && decodeMemberContext(context)?.addr === this.#state.advertiseAddr,
      )
    const answer = await joinRaft(
      this.#env,
      {
        memberId: this.#memberId,
        addr: advertiseAddr,
        isMember,
        firstDelayMs: 0,
        callManagers: (name, args) => this.#callManagers(name, args),
      },
      this.#stopping.signal,
    )
    if (answer === 'removed') this.#removed()
    else if (answer !== 'stopped' && answer.addr !== advertiseAddr) {
      await this.#saveState({ ...this.#state, advertiseAddr: answer.addr })
    }
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

  async #dial() {
    const address = this.#remotes.pick()
    if (address === undefined) throw new Error('no manager is known')
    return webSocketConnection(await dialSession(this.#remotes, this.#keys.credentials, address))
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
    let last: SwarmError | undefined
    for (let left = Math.max(1, this.#remotes.managers.length); left > 0; left--) {
      const address = this.#remotes.pick()
      if (address === undefined) break
      try {
        const tls = clientTlsOptions(this.#keys.credentials)
        const { result } = await callNode(this.#env, address, name, args, { tls })
        return result
      } catch (error) {
        if (!(error instanceof SwarmError) || !['Unavailable', 'DeadlineExceeded'].includes(error.code))
          throw error
        this.#remotes.failed(formatHostPort(address))
        last = error
      }
    }
    throw last ?? clusterError('Unavailable', 'no manager is known')
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

async function openLog(env: Env, directory: WitnessDirectory): Promise<WitnessLog> {
  try {
    return await WitnessLog.open(directory.vote, () => newId(env))
  } catch (error) {
    const way =
      'Remove this witness from the swarm with `docker node rm`, empty the folder, and let it join anew'
    throw new Error(`cannot read the vote in ${directory.path}: ${errorText(error)}. ${way}`, {
      cause: error,
    })
  }
}
