import { ContainerSpecSchema } from './container-spec.js'
import { DriverSchema } from './driver.js'
import { ResourceRequirementsSchema } from './resources.js'
import { flag, list, nanoseconds, stringMap, struct, text, texts, uint64, word, type Spec } from './schema.js'

export const RestartPolicySchema = struct('RestartPolicy', {
  Condition: word(['none', 'on-failure', 'any']),
  Delay: nanoseconds('Time before a new attempt.', 'pointer'),
  MaxAttempts: uint64('New attempts per replica. 0 means no limit.', 'always'),
  Window: nanoseconds('Time within which attempts are counted. 0 counts them all.', 'pointer'),
})
export type RestartPolicy = Spec<typeof RestartPolicySchema>

export const SpreadOverSchema = struct('SpreadOver', {
  SpreadDescriptor: text('Label to spread over: `node.labels.X` or `engine.labels.X`.', 'always'),
})

export const PlacementPreferenceSchema = struct('PlacementPreference', { Spread: SpreadOverSchema })
export type PlacementPreference = Spec<typeof PlacementPreferenceSchema>

export const PlatformSchema = struct('Platform', { Architecture: text(), OS: text() })
export type Platform = Spec<typeof PlatformSchema>

export const PlacementSchema = struct('Placement', {
  Constraints: texts('Conditions on nodes, such as `node.role==manager`. All must hold.'),
  Preferences: list(PlacementPreferenceSchema),
  MaxReplicas: uint64('Replicas on one node. 0 means no limit.'),
  Platforms: list(PlatformSchema, 'Platforms that the image is made for.'),
})
export type Placement = Spec<typeof PlacementSchema>

export const NetworkAttachmentConfigSchema = struct('NetworkAttachmentConfig', {
  Target: text('Name or ID of a network. Stored as ID.'),
  Aliases: texts('More names of the service on that network.'),
  DriverOpts: stringMap('Options for the network driver.'),
})
export type NetworkAttachmentConfig = Spec<typeof NetworkAttachmentConfigSchema>

export const NetworkAttachmentSpecSchema = struct('NetworkAttachmentSpec', {
  ContainerID: text('Container that joins a network by itself.', 'always'),
})

export const RuntimePrivilegeSchema = struct(
  'RuntimePrivilege',
  { name: text(), description: text(), value: texts() },
  { componentName: 'PluginPrivilege' },
)

export const PluginSpecSchema = struct(
  'RuntimeSpec',
  {
    name: text(),
    remote: text(),
    privileges: list(RuntimePrivilegeSchema),
    disabled: flag(),
    env: texts(),
  },
  { componentName: 'PluginSpec', description: 'For services that install an engine plugin.' },
)

export const TaskSpecSchema = struct(
  'TaskSpec',
  {
    ContainerSpec: ContainerSpecSchema,
    PluginSpec: PluginSpecSchema,
    NetworkAttachmentSpec: NetworkAttachmentSpecSchema,
    Resources: ResourceRequirementsSchema,
    RestartPolicy: RestartPolicySchema,
    Placement: PlacementSchema,
    Networks: list(NetworkAttachmentConfigSchema),
    LogDriver: DriverSchema,
    ForceUpdate: uint64('A number whose change alone makes tasks be replaced.', 'always'),
    Runtime: word(['container', 'plugin', 'attachment']),
  },
  { presence: 'always' },
)
export type TaskSpec = Spec<typeof TaskSpecSchema>
