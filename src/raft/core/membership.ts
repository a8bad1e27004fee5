import { MembershipError, type MemberId, type SnapshotMetadata } from './types.js'

/** A `voter` counts for votes and commits; a `learner` only receives the log, until it is promoted. */
export type MemberKind = 'voter' | 'learner'

export interface Member {
  readonly id: MemberId
  readonly kind: MemberKind
  /**
   * Gets the log without the state machine's payloads and can never lead. It votes for who knows what it has
   * acknowledged, and so does not let a leader come to power that lacks something.
   */
  readonly witness?: true
  /** Opaque to raft: where and what the member is. */
  readonly context: string
}

export interface Membership {
  /** Sorted by id. */
  readonly members: readonly Member[]
  /** Ids that were members once. They may not come back. Sorted. */
  readonly removedIds: readonly MemberId[]
}

export type MembershipChange =
  | { readonly type: 'add'; readonly member: Member }
  | { readonly type: 'promote'; readonly id: MemberId }
  /** Moves to a new address, for one. */
  | { readonly type: 'update'; readonly id: MemberId; readonly context: string }
  | { readonly type: 'remove'; readonly id: MemberId }

export const emptyMembership: Membership = { members: [], removedIds: [] }

/** Counts for quorums of votes and of commits. */
export function votes(member: Member): boolean {
  return member.kind === 'voter'
}

/** May become leader: it has the state. */
export function mayLead(member: Member): boolean {
  return member.kind === 'voter' && member.witness !== true
}

/** There is one at most: a commit then always has a copy with payloads on all but one of the others. */
export function findWitness(membership: Membership): Member | undefined {
  return membership.members.find((member) => member.witness === true)
}

export function findMember(membership: Membership, id: MemberId): Member | undefined {
  return membership.members.find((member) => member.id === id)
}

export function voterIds(membership: Membership): MemberId[] {
  return membership.members.filter(votes).map((member) => member.id)
}

/** How many of `voterCount` are a majority. */
export function quorumOf(voterCount: number): number {
  return Math.floor(voterCount / 2) + 1
}

/** @throws {MembershipError} if the change makes no sense, so that it never reaches the log. */
export function checkChange(membership: Membership, change: MembershipChange): void {
  const id = change.type === 'add' ? change.member.id : change.id
  const member = findMember(membership, id)
  if (change.type === 'add') {
    if (member !== undefined) throw new MembershipError(`${id} is a member already`)
    if (membership.removedIds.includes(id)) throw new MembershipError(`${id} was removed and may not return`)
    const witness = findWitness(membership)
    if (change.member.witness === true && witness !== undefined) {
      throw new MembershipError(`${witness.id} is the witness already`)
    }
    return
  }
  if (member === undefined) throw new MembershipError(`${id} is not a member`)
  if (change.type === 'promote' && member.kind !== 'learner') {
    throw new MembershipError(`${id} is no learner`)
  }
  const leaders = membership.members.filter(mayLead)
  if (change.type === 'remove' && leaders.length === 1 && leaders[0]?.id === id) {
    throw new MembershipError(`${id} is the last voter that can lead`)
  }
}

/** The members after `change`. A change that makes no sense changes nothing, the same on every member. */
export function applyChange(membership: Membership, change: MembershipChange): Membership {
  try {
    checkChange(membership, change)
  } catch (error) {
    if (error instanceof MembershipError) return membership
    throw error
  }
  switch (change.type) {
    case 'add':
      return { ...membership, members: sortById([...membership.members, change.member]) }
    case 'promote':
      return replaceMember(membership, change.id, { kind: 'voter' })
    case 'update':
      return replaceMember(membership, change.id, { context: change.context })
    case 'remove':
      return {
        members: membership.members.filter((member) => member.id !== change.id),
        removedIds: [...membership.removedIds, change.id].sort(),
      }
    default:
      return change satisfies never
  }
}

function replaceMember(membership: Membership, id: MemberId, changed: Partial<Member>): Membership {
  const members = membership.members.map((member) => (member.id === id ? { ...member, ...changed } : member))
  return { ...membership, members }
}

function sortById(members: readonly Member[]): Member[] {
  return [...members].sort((a, b) => (a.id < b.id ? -1 : 1))
}

export function encodeChange(change: MembershipChange): Uint8Array {
  return Buffer.from(JSON.stringify(change))
}

/** @throws {Error} if the bytes are not a change: the entry is damaged. */
export function decodeChange(data: Uint8Array): MembershipChange {
  const change = JSON.parse(Buffer.from(data).toString()) as MembershipChange
  if (!['add', 'promote', 'update', 'remove'].includes(change.type)) {
    throw new Error('membership entry of an unknown kind')
  }
  return change
}

/** Members as of every index that the log can still name. A change counts from its commit on. */
export class MembershipHistory {
  #versions: { readonly index: number; readonly membership: Membership }[]

  constructor(start: SnapshotMetadata) {
    this.#versions = [{ index: start.index, membership: start.membership }]
  }

  get current(): Membership {
    return this.#versions.at(-1)?.membership ?? emptyMembership
  }

  /** Members as of `index`, which must not be before the log's beginning. */
  at(index: number): Membership {
    return this.#versions.findLast((version) => version.index <= index)?.membership ?? emptyMembership
  }

  apply(index: number, change: MembershipChange): void {
    this.#versions.push({ index, membership: applyChange(this.current, change) })
  }

  compact(index: number): void {
    const membership = this.at(index)
    this.#versions = [{ index, membership }, ...this.#versions.filter((version) => version.index > index)]
  }

  reset(start: SnapshotMetadata): void {
    this.#versions = [{ index: start.index, membership: start.membership }]
  }
}
