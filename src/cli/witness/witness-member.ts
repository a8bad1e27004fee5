import type { KeyReadWriter } from '../../ca/index.js'
import type { Env } from '../../env/env.js'
import { newId } from '../../env/id.js'
import { errorText } from '../../model/errors.js'
import { dialMember } from '../../node/raft-dial.js'
import {
  decodeMemberContext,
  encodeMemberContext,
  startWitness,
  WitnessLog,
  type MemberId,
  type RaftDriver,
} from '../../raft/index.js'
import { PeerTransport, type PeerConnection } from '../../raft/transport/index.js'
import type { WitnessDirectory } from './witness-directory.js'

export interface MemberOptions {
  readonly directory: WitnessDirectory
  readonly keys: KeyReadWriter
  readonly nodeId: string
  /** Where the managers find it. */
  readonly addr: () => string
  /** The other members took it out. May be called again. */
  readonly onRemoved: () => void
  /** It could not go on: a write failed. */
  readonly onFatal: (error: Error) => void
}

/** The witness as a member of raft: its vote on disk, and its connections to the other members. */
export class WitnessMember {
  readonly id: MemberId
  readonly #raft: RaftDriver
  readonly #transport: PeerTransport

  private constructor(id: MemberId, raft: RaftDriver, transport: PeerTransport) {
    this.id = id
    this.#raft = raft
    this.#transport = transport
  }

  /** @throws {Error} when the file with the vote is damaged or cannot be written. */
  static async start(env: Env, options: MemberOptions): Promise<WitnessMember> {
    const { keys, nodeId, addr, onRemoved, onFatal } = options
    const log = await openLog(env, options.directory)
    const id = log.memberId
    const transport = new PeerTransport(env, {
      id,
      context: () => encodeMemberContext({ nodeId, addr: addr() }),
      dial: dialMember(env, keys),
      nodeIdOf: (context) => decodeMemberContext(context)?.nodeId,
      onRemoved,
    })
    const raft = await startWitness(env, { id, storage: log, transport, onFatal })
    transport.attach(raft)
    return new WitnessMember(id, raft, transport)
  }

  accept(connection: PeerConnection, nodeId: string): void {
    this.#transport.accept(connection, nodeId)
  }

  async stop(): Promise<void> {
    await this.#raft.stop()
    this.#transport.stop()
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
