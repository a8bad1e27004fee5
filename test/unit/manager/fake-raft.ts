import { encodeMemberContext, MembershipError, type MemberStatus } from '../../../src/raft/index.js'
import type { MemberLog } from '../../../src/manager/manager-members.js'

/** What managers see of raft, with members that come, go and answer as a test says. */
export class FakeRaft implements MemberLog {
  members: MemberStatus[] = []
  removedIds: string[] = []
  isLeader = true
  leaderId: string | undefined
  /** What `promoteMember` throws for a member that is not ready. */
  readonly notReady = new Set<string>()
  transfers = 0

  get leadership() {
    return { isLeader: this.isLeader, leaderId: this.leaderId, term: 1 }
  }

  /** A voting member, as the node `nodeId` at `addr`. */
  voter(id: string, nodeId: string, fields: Partial<MemberStatus> = {}): void {
    const context = encodeMemberContext({ nodeId, addr: `${nodeId}:2377` })
    this.members.push({
      id,
      context,
      kind: 'voter',
      isWitness: false,
      matchIndex: 1,
      active: true,
      ...fields,
    })
  }

  status(): ReturnType<MemberLog['status']> {
    return {
      id: 'self',
      role: this.isLeader ? 'leader' : 'follower',
      isLeader: this.isLeader,
      leaderId: this.leaderId,
      term: 1,
      commitIndex: 1,
      appliedIndex: 1,
      lastIndex: 1,
      startIndex: 0,
      members: this.members,
      removedIds: this.removedIds,
    }
  }

  addMember(id: string, context: string, kind: MemberStatus['kind']): Promise<void> {
    this.members.push({ id, context, kind, isWitness: false, matchIndex: undefined, active: false })
    return Promise.resolve()
  }

  addWitness(id: string, context: string): Promise<void> {
    return this.addMember(id, context, 'learner')
  }

  promoteMember(id: string): Promise<void> {
    if (this.notReady.has(id)) return Promise.reject(new MembershipError(`${id} has not caught up`))
    this.#patch(id, { kind: 'voter' })
    return Promise.resolve()
  }

  updateMember(id: string, context: string): Promise<void> {
    this.#patch(id, { context })
    return Promise.resolve()
  }

  removeMember(id: string): Promise<void> {
    this.members = this.members.filter((member) => member.id !== id)
    this.removedIds.push(id)
    return Promise.resolve()
  }

  transferLeadership(): Promise<void> {
    this.transfers++
    this.isLeader = false
    return Promise.resolve()
  }

  #patch(id: string, fields: Partial<MemberStatus>): void {
    this.members = this.members.map((member) => (member.id === id ? { ...member, ...fields } : member))
  }
}
