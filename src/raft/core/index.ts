export { RaftCore } from './core.js'
export type { CoreOptions, CoreState } from './options.js'
export {
  emptyMembership,
  encodeChange,
  findMember,
  findWitness,
  mayLead,
  voterIds,
  type Member,
  type MemberKind,
  type Membership,
  type MembershipChange,
} from './membership.js'
export { raftRules, type Rules } from './rules.js'
export * from './types.js'
