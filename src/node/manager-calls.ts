import { nodeTlsOptions, type KeyReadWriter, type NodeIdentity } from '../ca/index.js'
import type { Env } from '../env/env.js'
import { clusterError } from '../model/errors.js'
import { applyForwarded } from '../manager/forwarding-control.js'
import { defaultClusterPort, parseHostPort } from './addresses.js'
import { certificateCall, rootCaCall } from './certificates.js'
import { callNode, type Caller } from './cluster-calls.js'
import type { CallHandler } from './cluster-server.js'
import type { LeaderCalls } from './leader-calls.js'
import type { ManagerRun } from './manager-run.js'
import { joinRaftCall, probeCall } from './raft-membership.js'

/** A manager that leaves the swarm asks to be a worker from now on, out of raft. */
export const leaveRaftCall = 'leave-raft'
/** Who can be reached, as the leader sees it. */
export const reachabilityCall = 'reachability'

/** A write of the API that another manager got. */
export const writeCall = 'write'

interface ManagerCallOptions {
  readonly keys: KeyReadWriter
  readonly identity: NodeIdentity
  /** Undefined until the manager has started. */
  readonly run: () => ManagerRun | undefined
  readonly leader: LeaderCalls
}

type LeaderAnswer = (args: unknown, caller: Caller, run: ManagerRun) => Promise<unknown>

/** The calls that managers answer. */
export function managerCalls(env: Env, options: ManagerCallOptions): ReadonlyMap<string, CallHandler> {
  const { keys, identity } = options
  const onLeader = (name: string, answer: LeaderAnswer): [string, CallHandler] => [
    name,
    leaderOnly(options, name, answer),
  ]
  return new Map<string, CallHandler>([
    [probeCall, () => Promise.resolve({ nodeId: identity.nodeId })],
    onLeader(rootCaCall, (_args, _caller, { manager }) =>
      Promise.resolve({ rootPem: manager.caServer.rootPem() }),
    ),
    onLeader(certificateCall, (args, caller, { manager }) => manager.caServer.issue(args, caller.identity)),
    onLeader(joinRaftCall, (args, caller, { manager }) =>
      manager.members.join(args, voterOf(caller), (addr, nodeId) => probe(env, keys, addr, nodeId)),
    ),
    onLeader(leaveRaftCall, (_args, caller, { manager }) =>
      manager.resign(managerOf(caller).identity.nodeId),
    ),
    onLeader(writeCall, (args, caller, { manager }) => {
      managerOf(caller)
      return applyForwarded(manager.controlFor, args)
    }),
    onLeader(reachabilityCall, (_args, caller, { manager }) => {
      managerOf(caller)
      return Promise.resolve(manager.members.reachabilities())
    }),
  ])
}

/** Answers a call on the leader; any other manager passes it on, once. */
function leaderOnly({ run, leader }: ManagerCallOptions, name: string, answer: LeaderAnswer): CallHandler {
  return async (args, caller) => {
    const here = run()
    if (here?.leads === true) return answer(args, caller, here)
    if (caller.isForwarded) {
      throw clusterError('Unavailable', `more than one redirect to leader from: ${caller.remoteAddress}`)
    }
    const { identity, remoteAddress } = caller
    return leader.call(name, args, { identity, remoteAddress })
  }
}

/** Who may be a member of raft. */
function voterOf(caller: Caller): { readonly identity: NodeIdentity; readonly remoteAddress: string } {
  const { identity, remoteAddress } = caller
  return identity?.role === 'witness' ? { identity, remoteAddress } : managerOf(caller)
}

function managerOf(caller: Caller): { readonly identity: NodeIdentity; readonly remoteAddress: string } {
  const { identity, remoteAddress } = caller
  if (identity?.role !== 'manager') {
    throw clusterError('PermissionDenied', 'Permission denied: only managers may do that')
  }
  return { identity, remoteAddress }
}

/** Rejects unless the node's manager answers at `addr`. */
async function probe(env: Env, keys: KeyReadWriter, addr: string, nodeId: string): Promise<void> {
  const address = parseHostPort(addr, defaultClusterPort)
  if (address === undefined) throw clusterError('InvalidArgument', `malformed address ${addr}`)
  const tls = nodeTlsOptions(keys.credentials, nodeId)
  const { result } = await callNode(env, address, probeCall, {}, { tls })
  const answers = typeof result === 'object' && result !== null && 'nodeId' in result ? result.nodeId : ''
  if (answers !== nodeId) throw clusterError('FailedPrecondition', `another node answers at ${addr}`)
}
