import { newId } from '../env/id.js'
import { clusterError, SwarmError } from '../model/errors.js'
import type { Volume } from '../model/objects.js'
import { canonical, ClusterVolumeSpecSchema, type ClusterVolumeSpec } from '../model/spec/index.js'
import type { Tx } from '../store/store.js'
import { checkVersion, type ControlContext } from './context.js'
import type { Control } from './interface.js'
import { findVolume } from './lookup.js'

/**
 * Makes a volume of the cluster. The volume itself is for a CSI plugin to make.
 * @throws {SwarmError} InvalidArgument; NotFound for secrets; AlreadyExists.
 * Behaviour: moby daemon/cluster/volumes.go; moby/swarmkit manager/controlapi/volume.go.
 */
export async function createVolume(
  { env, store }: ControlContext,
  { options }: Parameters<Control['createVolume']>[0],
): Promise<{ readonly id: string }> {
  const { Name = '', Driver = '', DriverOpts = {}, Labels = {}, ClusterVolumeSpec: sent = {} } = options
  if (Name === '') throw clusterError('InvalidArgument', 'meta: name must be provided')
  const { AccessMode: mode } = sent
  if (mode === undefined) throw clusterError('InvalidArgument', 'AccessMode must not be nil')
  if (mode.MountVolume === undefined && mode.BlockVolume === undefined) {
    throw clusterError('InvalidArgument', 'Volume AccessMode must specify either Mount or Block access type')
  }
  const spec: Volume['spec'] = {
    ...withDefaults(sent),
    Name,
    Labels: { ...Labels },
    Driver: { Name: Driver, Options: { ...DriverOpts } },
  }
  const id = newId(env)
  await store.update((tx) => {
    checkSecretsExist(tx, spec)
    if (tx.volumes.by('name', Name.toLowerCase()).length > 0) {
      throw clusterError(
        'AlreadyExists',
        `name conflicts with an existing object: volume ${Name} already exists`,
      )
    }
    tx.create('volumes', { id, spec })
  })
  return { id }
}

/** What is absent means the first of its words. */
function withDefaults(sent: ClusterVolumeSpec): ClusterVolumeSpec {
  const spec = canonical(ClusterVolumeSpecSchema, sent)
  const { AccessMode: mode } = spec
  return {
    ...spec,
    AccessMode: { ...mode, Scope: mode?.Scope || 'single', Sharing: mode?.Sharing || 'none' },
    Availability: spec.Availability || 'active',
  }
}

function checkSecretsExist(tx: Tx, { Secrets }: ClusterVolumeSpec): void {
  const missing = (Secrets ?? [])
    .map(({ Secret = '' }) => Secret)
    .filter((id) => tx.secrets.get(id) === undefined)
  if (missing.length === 0) return
  const what = missing.length === 1 ? 'secret' : 'secrets'
  throw clusterError('NotFound', `${what} not found: [${missing.join(' ')}]`)
}

/** @throws {SwarmError} NotFound; InvalidArgument for an unknown availability; Unknown when stale. */
export async function updateVolume(
  { store }: ControlContext,
  { id: ref, version, availability }: Parameters<Control['updateVolume']>[0],
): Promise<void> {
  await store.update((tx) => {
    const volume = findVolume(tx, ref)
    checkVersion(volume, version)
    if (availability === undefined || availability === volume.spec.Availability) return
    if (!['active', 'pause', 'drain'].includes(availability)) {
      throw new SwarmError(
        'InvalidArgument',
        `invalid availability "${availability}": must be active, pause or drain`,
      )
    }
    tx.update('volumes', volume.id, {
      spec: { ...volume.spec, Availability: availability },
    })
  })
}

/**
 * Removes a volume that no node uses. One that its plugin has made waits for the plugin to delete it; one that
 * was never made is gone at once, as is every one with `force`, which also takes a volume that is not there
 * for removed.
 * @throws {SwarmError} NotFound; FailedPrecondition while it is in use.
 */
export async function removeVolume(
  { store }: ControlContext,
  { id: ref, force }: Parameters<Control['removeVolume']>[0],
): Promise<void> {
  await store.update((tx) => {
    const volume = force ? findIfThere(tx, ref) : findVolume(tx, ref)
    if (volume === undefined) return
    if (!force && (volume.publishStatus ?? []).length > 0) {
      throw clusterError('FailedPrecondition', 'volume is still in use')
    }
    if (force || volume.info === undefined) tx.remove('volumes', volume.id)
    else tx.update('volumes', volume.id, { pendingDelete: true })
  })
}

function findIfThere(tx: Tx, ref: string): Volume | undefined {
  try {
    return findVolume(tx, ref)
  } catch (error) {
    if (error instanceof SwarmError && error.code === 'NotFound') return undefined
    throw error
  }
}
