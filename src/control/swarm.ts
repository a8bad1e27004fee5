import { isDeepStrictEqual } from 'node:util'
import { createJoinToken, createUnlockKey } from '../ca/index.js'
import { formatDuration } from '../model/duration.js'
import { checkSwarmLabels } from '../model/skep-labels.js'
import { SwarmError, clusterError } from '../model/errors.js'
import type { Cluster, RootCa } from '../model/objects.js'
import { canonical, SwarmSpecSchema, type SwarmSpec } from '../model/spec/index.js'
import type { Patch } from '../store/action.js'
import type { Tx, View } from '../store/store.js'
import { checkVersion, type ControlContext } from './context.js'
import type { Control } from './interface.js'
import { nextRootCa } from './root-ca.js'

const hourNanos = 3600e9
/** A node renews long before its certificate runs out, and must get the chance to. */
const leastCertificateExpiry = hourNanos

type Args = Parameters<Control['updateSwarm']>[0]

/**
 * Replaces the cluster's spec. What is absent becomes zero, as with Docker. Turning autolock on makes an
 * unlock key, turning it off drops it.
 * @throws {SwarmError} InvalidArgument; Internal as `nextRootCa`; Unknown when stale.
 * Behaviour: moby daemon/cluster/swarm.go; moby/swarmkit manager/controlapi/cluster.go, UpdateCluster.
 */
export async function updateSwarm(context: ControlContext, args: Args): Promise<void> {
  const spec = normaliseSwarmSpec(args.spec)
  validateSwarmSpec(spec)
  // The next root may have to be asked of external CAs, for which no transaction waits; should the managers
  // have changed the root meanwhile, it is planned anew.
  for (let isDone = false; !isDone;) {
    const { rootCa: before } = clusterIn(context.store.view)
    const rootCa = await nextRootCa(context, before, args.spec.CAConfig ?? {})
    isDone = await context.store.update((tx) => write(tx, before, rootCa))
  }

  function write(tx: Tx, before: RootCa, rootCa: RootCa): boolean {
    const cluster = clusterIn(tx)
    checkVersion(cluster, args.version)
    if (!isDeepStrictEqual(cluster.rootCa, before)) return false
    tx.update('clusters', cluster.id, {
      spec,
      ...(rootCa !== before && { rootCa }),
      joinTokens: rotatedTokens(context, cluster, args),
      blacklistedCertificates: unexpired(tx.nowMs, cluster),
      ...unlockKeyPatch(context, cluster, spec, args.rotateManagerUnlockKey),
    })
    return true
  }
}

function clusterIn({ clusters }: Pick<View, 'clusters'>): Cluster {
  const [cluster] = clusters.list()
  if (cluster === undefined) throw clusterError('NotFound', 'cluster not found')
  return cluster
}

/** What of the certificates that are refused could still be shown. */
function unexpired(
  nowMs: number,
  { blacklistedCertificates: all }: Cluster,
): Cluster['blacklistedCertificates'] {
  return Object.fromEntries(Object.entries(all).filter(([, untilMs]) => untilMs > nowMs))
}

/**
 * What is stored of a spec: in canonical form, and without the root that the user brings.
 * @throws {SwarmError} InvalidArgument.
 */
export function normaliseSwarmSpec(sent: SwarmSpec): SwarmSpec {
  const name = sent.Name ?? ''
  if (name !== '' && name !== 'default') {
    throw new SwarmError('InvalidArgument', 'swarm spec must be named "default"')
  }
  const { SigningCACert: _cert, SigningCAKey: _key, ...config } = sent.CAConfig ?? {}
  const externalCas = (config.ExternalCAs ?? []).map((ca) => {
    const protocol = ca.Protocol?.toLowerCase() ?? ''
    if (protocol !== 'cfssl') {
      throw new SwarmError('InvalidArgument', `invalid protocol: ${JSON.stringify(ca.Protocol ?? '')}`)
    }
    return { ...ca, Protocol: protocol }
  })
  return canonical(SwarmSpecSchema, {
    ...sent,
    Name: 'default',
    CAConfig: { ...config, ExternalCAs: externalCas },
  })
}

/** @throws {SwarmError} InvalidArgument. Behaviour: moby/swarmkit manager/controlapi/cluster.go, validateClusterSpec. */
export function validateSwarmSpec(spec: SwarmSpec): void {
  const expiry = spec.CAConfig?.NodeCertExpiry ?? 0
  if (expiry !== 0 && expiry < leastCertificateExpiry) {
    throw clusterError(
      'InvalidArgument',
      `minimum certificate expiry time is: ${formatDuration(leastCertificateExpiry)}`,
    )
  }
  if ((spec.Dispatcher?.HeartbeatPeriod ?? 0) < 0) {
    throw clusterError('InvalidArgument', 'heartbeat time period cannot be a negative duration')
  }
  checkSwarmLabels(spec.Labels ?? {})
}

function rotatedTokens({ env }: ControlContext, cluster: Cluster, args: Args): Cluster['joinTokens'] {
  const { joinTokens: tokens, rootCa } = cluster
  return {
    worker: args.rotateWorkerToken ? createJoinToken(env, rootCa.certPem) : tokens.worker,
    manager: args.rotateManagerToken ? createJoinToken(env, rootCa.certPem) : tokens.manager,
  }
}

function unlockKeyPatch(
  { env }: ControlContext,
  cluster: Cluster,
  spec: SwarmSpec,
  rotate: boolean,
): Patch<Cluster> {
  if (spec.EncryptionConfig?.AutoLockManagers !== true) return { unlockKey: undefined }
  if (cluster.unlockKey !== undefined && !rotate) return {}
  return { unlockKey: createUnlockKey(env).toString('base64') }
}
