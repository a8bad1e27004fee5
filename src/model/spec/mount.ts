import { Type } from 'typebox'
import { flag, int64, list, stringMap, struct, text, uint32, word, type Spec } from './schema.js'

export const mountTypes = ['bind', 'volume', 'tmpfs', 'npipe', 'cluster', 'image'] as const
export const mountPropagations = ['rprivate', 'private', 'rshared', 'shared', 'rslave', 'slave'] as const

export const BindOptionsSchema = struct('BindOptions', {
  Propagation: word(mountPropagations),
  NonRecursive: flag('Leaves out the mounts below the source.'),
  CreateMountpoint: flag('Makes the source directory where it is missing.'),
  ReadOnlyNonRecursive: flag('Makes read-only only the mount itself.'),
  ReadOnlyForceRecursive: flag('Fails where the mounts below cannot be made read-only.'),
})

export const VolumeDriverSchema = struct(
  'Driver',
  { Name: text('Name of the volume driver.'), Options: stringMap('Options for the volume driver.') },
  { componentName: 'VolumeDriver' },
)

export const VolumeOptionsSchema = struct('VolumeOptions', {
  NoCopy: flag('Leaves a new volume empty instead of copying what the image has at the target.'),
  Labels: stringMap('Labels of a volume that is made for the mount.'),
  Subpath: text('Path inside the volume.'),
  DriverConfig: VolumeDriverSchema,
})

export const ImageOptionsSchema = struct('ImageOptions', { Subpath: text('Path inside the image.') })

export const TmpfsOptionsSchema = struct('TmpfsOptions', {
  SizeBytes: int64('Size, in bytes. 0 means no limit.'),
  Mode: uint32('Permission bits.'),
  Options: list(list(Type.String()), 'Mount options: one word, or a key and its value.'),
})

export const ClusterOptionsSchema = struct('ClusterOptions', {})

export const MountSchema = struct('Mount', {
  Type: word(mountTypes),
  Source: text('Name of a volume or path on the node.'),
  Target: text('Path inside the container.'),
  ReadOnly: flag(),
  Consistency: text(),
  BindOptions: BindOptionsSchema,
  VolumeOptions: VolumeOptionsSchema,
  ImageOptions: ImageOptionsSchema,
  TmpfsOptions: TmpfsOptionsSchema,
  ClusterOptions: ClusterOptionsSchema,
})
export type Mount = Spec<typeof MountSchema>
