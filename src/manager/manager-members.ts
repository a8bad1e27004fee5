import Type from 'typebox'
import Value from 'typebox/value'
import type { NodeIdentity } from '../ca/index.js'
import type { RaftMembers } from '../control/context.js'
import { clusterError, errorText } from '../model/errors.js'
import type { Node } from '../model/objects.js'
import {
  decodeMemberContext,
  encodeMemberContext,
  MembershipError,
  type MemberStatus,
  type RaftDriver,
} from '../raft/index.js'
import type { Store } from '../store/store.js'

/** What a manager asks of raft about its members. */
export type MemberLog = Pick<
  RaftDriver,
  | 'status'
  | 'leadership'
  | 'addMember'
  | 'addWitness'
  | 'promoteMember'
  | 'updateMember'
  | 'removeMember'
  | 'transferLeadership'
>

/** A member of raft with what its context says. */
export interface ManagerMember extends MemberStatus {
  readonly nodeId: string
  readonly addr: string
}

export type Reachability = 'unknown' | 'unreachable' | 'reachable'

/** What a manager says to become a member of raft, or to be found under another address. */
export const JoinRaftSchema = Type.Object({
  memberId: Type.String({ minLength: 1, maxLength: 64 }),
  /** `0.0.0.0:2377` where the node does not know under which address others find it. */
  addr: Type.String({ minLength: 1, maxLength: 256 }),
})

export const memberRemovedText = 'raft: member was removed from the cluster'

/** The managers as members of raft: who they are, whether they answer, and how they come and go. */
export class ManagerMembers implements RaftMembers {
  readonly #raft: MemberLog
  readonly #store: Store
  /** What the leader last said of the others, where this manager does not lead. */
  #told: ReadonlyMap<string, Reachability> = new Map()

  #onJoined: () => void = () => undefined

  constructor(raft: MemberLog, store: Store) {
    this.#raft = raft
    this.#store = store
  }

  /** Calls `listener`, the only one, whenever a member was taken in here: it waits for its vote. */
  onJoined(listener: () => void): void {
    this.#onJoined = listener
  }

  list(): readonly ManagerMember[] {
    return this.#raft.status().members.flatMap((member) => {
      const context = decodeMemberContext(member.context)
      return context === undefined ? [] : [{ ...member, ...context }]
    })
  }

  find(nodeId: string): ManagerMember | undefined {
    return this.list().find((member) => member.nodeId === nodeId)
  }

  has(nodeId: string): boolean {
    return this.find(nodeId) !== undefined
  }

  /** Whether a manager besides `nodeId` votes and answers. A witness is none: it serves nobody. */
  hasOtherManagers(nodeId: string): boolean {
    return this.list().some(
      (member) =>
        member.nodeId !== nodeId && member.kind === 'voter' && !member.isWitness && member.active === true,
    )
  }

  /**
   * Whether a majority of the others would be reachable.
   * Behaviour: moby/swarmkit manager/state/raft/raft.go, CanRemoveMember.
   */
  canRemove(nodeId: string): boolean {
    const member = this.find(nodeId)
    if (member === undefined || member.kind === 'learner') return true
    const others = this.list().filter((other) => other.kind !== 'learner' && other.nodeId !== nodeId)
    const reachable = others.filter(({ active }) => active === true)
    return others.length > 0 && reachable.length >= Math.floor(others.length / 2) + 1
  }

  /** What `docker node ls` shows of a manager; undefined for a node that is no member. */
  statusOf(nodeId: string) {
    const member = this.find(nodeId)
    if (member === undefined) return undefined
    const leader = member.id === this.#raft.leadership.leaderId
    return { leader, reachability: this.#reachability(member, leader), addr: member.addr }
  }

  /** The leader's word on who can be reached, by node. */
  reachabilities(): Readonly<Record<string, Reachability>> {
    return Object.fromEntries(
      this.list().map(({ nodeId, active }) => [nodeId, active === false ? 'unreachable' : 'reachable']),
    )
  }

  learnReachabilities(told: unknown): void {
    if (!Value.Check(Type.Record(Type.String(), Type.String()), told)) return
    const known = (word: string): Reachability =>
      word === 'reachable' || word === 'unreachable' ? word : 'unknown'
    this.#told = new Map(Object.entries(told).map(([nodeId, word]) => [nodeId, known(word)]))
  }

  /**
   * Takes a manager in as a learner, which `RoleManager` promotes when it has the log; or notes its new address.
   * @param probe rejects unless a manager with the node's certificate answers at the address.
   * @throws {SwarmError} NotFound; FailedPrecondition when it cannot be reached, or was removed before.
   */
  async join(
    args: unknown,
    caller: { readonly identity: NodeIdentity; readonly remoteAddress: string },
    probe: (addr: string, nodeId: string) => Promise<void>,
  ): Promise<{ readonly addr: string }> {
    if (!Value.Check(JoinRaftSchema, args))
      throw clusterError('InvalidArgument', 'malformed request to join raft')
    const { nodeId } = caller.identity
    const node = this.#store.view.nodes.get(nodeId)
    if (node === undefined) throw clusterError('NotFound', `node ${nodeId} not found`)
    if (node.role !== 'manager') throw clusterError('FailedPrecondition', `node ${nodeId} is no manager`)
    const addr = knownHost(args.addr, caller.remoteAddress)
    const context = encodeMemberContext({ nodeId, addr })
    const { members, removedIds } = this.#raft.status()
    if (removedIds.includes(args.memberId)) throw clusterError('FailedPrecondition', memberRemovedText)
    const known = members.find(({ id }) => id === args.memberId)
    if (known !== undefined) {
      if (decodeMemberContext(known.context)?.nodeId !== nodeId) {
        throw clusterError('AlreadyExists', `${args.memberId} is another node's member`)
      }
      if (known.context !== context) await this.#changing(this.#raft.updateMember(args.memberId, context))
    } else {
      try {
        await probe(addr, nodeId)
      } catch (error) {
        const text = 'could not connect to prospective new cluster member using its advertised address'
        throw clusterError('FailedPrecondition', `${text}: ${errorText(error)}`, { cause: error })
      }
      await this.#forgetFormer(nodeId, args.memberId)
      const added =
        node.witness === true
          ? this.#raft.addWitness(args.memberId, context)
          : this.#raft.addMember(args.memberId, context, 'learner')
      await this.#changing(added)
      this.#onJoined()
    }
    // Nobody is to ask a witness for anything.
    if (node.witness !== true) await this.#noteAddress(node, addr)
    return { addr }
  }

  /** Takes a member out, if that leaves a majority that can be reached. @throws {SwarmError} FailedPrecondition. */
  async remove(nodeId: string): Promise<void> {
    const member = this.find(nodeId)
    if (member === undefined) return
    if (!this.canRemove(nodeId)) {
      throw clusterError(
        'FailedPrecondition',
        'raft: member cannot be removed, because removing it may result in loss of quorum',
      )
    }
    await this.#changing(this.#raft.removeMember(member.id))
  }

  promote(member: ManagerMember): Promise<void> {
    return this.#changing(this.#raft.promoteMember(member.id))
  }

  get leads(): boolean {
    return this.#raft.leadership.isLeader
  }

  transferLeadership(): Promise<void> {
    return this.#raft.transferLeadership()
  }

  /** A node that lost its log comes as another member: the former one will never answer again. */
  async #forgetFormer(nodeId: string, memberId: string): Promise<void> {
    for (const former of this.list()) {
      if (former.nodeId === nodeId && former.id !== memberId) {
        await this.#changing(this.#raft.removeMember(former.id))
      }
    }
  }

  async #noteAddress(node: Node, addr: string): Promise<void> {
    await this.#store.update((tx) => {
      if (tx.nodes.get(node.id) !== undefined && tx.nodes.get(node.id)?.managerAddr !== addr) {
        tx.update('nodes', node.id, { managerAddr: addr })
      }
    })
  }

  #reachability(member: ManagerMember, isLeader: boolean): Reachability {
    // It counts for nothing yet.
    if (member.kind === 'learner') return 'unknown'
    if (this.#raft.leadership.isLeader) return member.active === false ? 'unreachable' : 'reachable'
    if (isLeader) return 'reachable'
    return this.#told.get(member.nodeId) ?? 'unknown'
  }

  /** One change at a time is raft's rule; whoever comes in between tries again. */
  async #changing(change: Promise<void>): Promise<void> {
    try {
      await change
    } catch (error) {
      if (!(error instanceof MembershipError)) throw error
      throw clusterError('Unavailable', `raft: ${error.message}`, { cause: error })
    }
  }
}

/** Behaviour: moby/swarmkit manager/state/raft/raft.go, Join: the wildcard becomes the address of the caller. */
function knownHost(addr: string, remoteAddress: string): string {
  const match = /^(?:0\.0\.0\.0|\[::\]):(\d+)$/.exec(addr)
  if (match === null) return addr
  const host = remoteAddress.replace(/^::ffff:/, '')
  return host.includes(':') ? `[${host}]:${match[1] ?? ''}` : `${host}:${match[1] ?? ''}`
}
