import type { Volume } from '../../model/objects.js'
import { canonical, ClusterVolumeSpecSchema } from '../../model/spec/index.js'
import { formatTime } from '../../model/time.js'
import { head, unlessEmpty } from './meta.js'

/**
 * Docker's JSON of a volume of the cluster: one of the engine's, with what the cluster knows of it.
 * Shape: moby api/types/volume. `Status` is where engines have what a driver says; here, why nobody can use
 * the volume yet.
 */
export function toVolume(volume: Volume, whyNotMade: string): object {
  const { spec, info, publishStatus } = volume
  const { Name, Labels, Driver, ...clusterSpec } = spec
  return {
    ClusterVolume: {
      ...head(volume),
      Spec: canonical(ClusterVolumeSpecSchema, clusterSpec),
      ...unlessEmpty(
        'PublishStatus',
        publishStatus?.map(({ nodeId, state, publishContext }) => ({
          NodeID: nodeId,
          State: state,
          ...unlessEmpty('PublishContext', publishContext),
        })),
      ),
      ...(info !== undefined && {
        Info: {
          ...unlessEmpty('CapacityBytes', info.capacityBytes),
          ...unlessEmpty('VolumeContext', info.volumeContext),
          ...unlessEmpty('VolumeID', info.volumeId),
          ...unlessEmpty('AccessibleTopology', info.accessibleTopology),
        },
      }),
    },
    CreatedAt: formatTime(volume.createdAtMs),
    Driver: Driver.Name,
    Labels,
    Mountpoint: '',
    Name,
    Options: Driver.Options,
    Scope: 'global',
    ...(info === undefined && { Status: { State: 'pending', Message: whyNotMade } }),
  }
}
