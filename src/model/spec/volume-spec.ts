import { int64, list, stringMap, struct, text, texts, word, type Spec } from './schema.js'

export const TopologySchema = struct('Topology', { Segments: stringMap() })

export const TopologyRequirementSchema = struct('TopologyRequirement', {
  Requisite: list(TopologySchema),
  Preferred: list(TopologySchema),
})

export const CapacityRangeSchema = struct('CapacityRange', {
  RequiredBytes: int64('The least size, in bytes. 0 means any.'),
  LimitBytes: int64('The largest size, in bytes. 0 means any.'),
})

export const VolumeSecretSchema = struct(
  'Secret',
  { Key: text('What the plugin calls it.'), Secret: text('ID or name of the secret.') },
  { componentName: 'ClusterVolumeSecret' },
)

export const TypeMountSchema = struct('TypeMount', {
  FsType: text(),
  MountFlags: texts(),
})

export const TypeBlockSchema = struct('TypeBlock', {})

export const AccessModeSchema = struct('AccessMode', {
  Scope: word(['single', 'multi'], 'Nodes that may use the volume at one time.'),
  Sharing: word(['none', 'readonly', 'onewriter', 'all']),
  MountVolume: TypeMountSchema,
  BlockVolume: TypeBlockSchema,
})

export const ClusterVolumeSpecSchema = struct('ClusterVolumeSpec', {
  Group: text('Volumes of one group stand in for each other.'),
  AccessMode: AccessModeSchema,
  AccessibilityRequirements: TopologyRequirementSchema,
  CapacityRange: CapacityRangeSchema,
  Secrets: list(VolumeSecretSchema),
  Availability: word(['active', 'pause', 'drain']),
})
export type ClusterVolumeSpec = Spec<typeof ClusterVolumeSpecSchema>
export type Topology = Spec<typeof TopologySchema>

export const VolumeCreateOptionsSchema = struct('VolumeCreateOptions', {
  Name: text('Absent: the engine makes one up. Volumes of the cluster must have one.'),
  Driver: text('A volume driver, or for volumes of the cluster a CSI plugin. Default `local`.'),
  DriverOpts: stringMap('Options for the driver.'),
  Labels: stringMap(),
  ClusterVolumeSpec: ClusterVolumeSpecSchema,
})
export type VolumeCreateOptions = Spec<typeof VolumeCreateOptionsSchema>

export const VolumeUpdateOptionsSchema = struct('VolumeUpdateOptions', { Spec: ClusterVolumeSpecSchema })
export type VolumeUpdateOptions = Spec<typeof VolumeUpdateOptionsSchema>
