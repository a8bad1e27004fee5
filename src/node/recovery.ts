import { isDeepStrictEqual } from 'node:util'
import { SwarmError } from '../model/errors.js'
import { mergedSwarmSpec } from '../model/cluster-defaults.js'
import { predefinedNetworkLabel } from '../model/objects.js'
import type { SwarmInitRequest } from '../model/spec/index.js'
import type { Manager } from '../manager/manager.js'
import {
  defaultClusterPort,
  formatHostPort,
  parseHostPort,
  type NetworkInterface,
  type ResolvedAddresses,
} from './addresses.js'
import type { NodeState } from './state-file.js'
import type { SwarmRun } from './swarm-run.js'

const anyHost = '0.0.0.0'

/** Where a node is found, as its state remembers it. */
export type NodeAddresses = Pick<
  NodeState,
  'listenAddr' | 'advertiseAddr' | 'dataPathAddr' | 'localAddr' | 'advertiseFrom'
>

export interface RecoverRequest {
  /** Also while the swarm has a leader. */
  readonly force: boolean
  /** Empty: the ones that it has. */
  readonly listenAddr: string
  readonly advertiseAddr: string
}

export interface BackupRequest {
  /** `SWMKEY-1-…`: locks the backup where the swarm has no unlock key. Empty: none. */
  readonly unlockKey: string
  /** Without asking the others for what this manager may not have yet. */
  readonly stale: boolean
}

/** Empty: as in the backup. */
export type RestoreRequest = Pick<RecoverRequest, 'listenAddr' | 'advertiseAddr'>

/** What a cluster that was formed anew consists of. */
export interface Recovered {
  readonly nodeId: string
  readonly advertiseAddr: string
  /** Nodes that were managers beside this one, by name. They are none any more until they come back. */
  readonly formerManagers: readonly { readonly nodeId: string; readonly hostname: string }[]
  readonly nodes: number
  readonly services: number
  readonly secrets: number
  readonly configs: number
  readonly networks: number
}

/**
 * The addresses of a restored manager: what is said, else what the backup says, as far as this machine has it.
 * @throws {SwarmError} InvalidArgument when it has not the address that others would look for.
 */
export function restoredAddresses(
  state: NodeAddresses,
  { listenAddr, advertiseAddr }: RestoreRequest,
  interfaces: readonly NetworkInterface[],
) {
  const isHere = (addr: string) => {
    const { host = '' } = parseHostPort(addr, defaultClusterPort) ?? {}
    return (
      host === anyHost ||
      host.startsWith('127.') ||
      interfaces.some(({ addresses }) => addresses.includes(host))
    )
  }
  if (advertiseAddr === '' && !isHere(state.advertiseAddr)) {
    throw new SwarmError(
      'InvalidArgument',
      `the backup is of a manager at ${state.advertiseAddr}, which is no address of this machine: name one with --advertise-addr`,
    )
  }
  const port = parseHostPort(state.listenAddr, defaultClusterPort)?.port ?? defaultClusterPort
  const listenHere = isHere(state.listenAddr) ? state.listenAddr : formatHostPort({ host: anyHost, port })
  return {
    listenAddr: listenAddr === '' ? listenHere : listenAddr,
    advertiseAddr: advertiseAddr === '' ? state.advertiseAddr : advertiseAddr,
    dataPathAddr: advertiseAddr === '' && isHere(state.dataPathAddr) ? state.dataPathAddr : '',
  }
}

export function toNodeAddresses(
  { listen, advertise, dataPath, local }: ResolvedAddresses,
  advertiseFrom: string,
): NodeAddresses {
  return {
    advertiseFrom,
    listenAddr: formatHostPort(listen),
    advertiseAddr: formatHostPort(advertise),
    dataPathAddr: dataPath,
    localAddr: local,
  }
}

/** What `docker swarm init --force-new-cluster` says of the swarm's settings, beside those that it has. */
export async function mergeClusterSpec(run: SwarmRun, request: SwarmInitRequest): Promise<void> {
  const { control, view } = managerOf(run)
  const [cluster] = view.clusters.list()
  if (cluster === undefined) throw new SwarmError('Internal', 'the new cluster has no cluster object')
  const spec = mergedSwarmSpec(cluster.spec, request.Spec, request.AutoLockManagers ?? false)
  if (isDeepStrictEqual(spec, cluster.spec)) return
  await control.updateSwarm({
    version: cluster.version,
    spec,
    rotateWorkerToken: false,
    rotateManagerToken: false,
    rotateManagerUnlockKey: false,
  })
}

export function recovered(run: SwarmRun): Recovered {
  const { view } = managerOf(run)
  const managers = view.nodes.list().filter(({ id, role }) => role === 'manager' && id !== run.nodeId)
  return {
    nodeId: run.nodeId,
    advertiseAddr: run.state.advertiseAddr,
    formerManagers: managers.map(({ id, description }) => ({
      nodeId: id,
      hostname: description?.Hostname ?? '',
    })),
    nodes: view.nodes.size,
    services: view.services.size,
    secrets: view.secrets.size,
    configs: view.configs.size,
    networks: view.networks.list().filter(({ spec }) => spec.Labels?.[predefinedNetworkLabel] !== 'true')
      .length,
  }
}

function managerOf({ manager }: SwarmRun): Manager {
  if (manager === undefined) throw new SwarmError('Internal', 'this node runs no manager')
  return manager
}
