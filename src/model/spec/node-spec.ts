import { ResourcesSchema } from './resources.js'
import { base64, int64, list, stringMap, struct, text, word, type Spec } from './schema.js'
import { PlatformSchema } from './task-spec.js'
import { TopologySchema } from './volume-spec.js'

export const NodeSpecSchema = struct('NodeSpec', {
  Name: text(),
  Labels: stringMap('Labels that only managers can set.', 'always'),
  Role: word(['worker', 'manager'], 'The wanted role.'),
  Availability: word(['active', 'pause', 'drain']),
})
export type NodeSpec = Spec<typeof NodeSpecSchema>

export const PluginDescriptionSchema = struct('PluginDescription', {
  Type: text('`Network`, `Volume`, `Log`, `Authorization` or `Csi`.'),
  Name: text(),
})

export const EngineDescriptionSchema = struct('EngineDescription', {
  EngineVersion: text(),
  Labels: stringMap('Labels that the node was started with.'),
  Plugins: list(PluginDescriptionSchema),
})

export const TLSInfoSchema = struct('TLSInfo', {
  TrustRoot: text('Certificates of the trusted root, PEM.'),
  CertIssuerSubject: base64('Subject of the issuer, DER.'),
  CertIssuerPublicKey: base64('Public key of the issuer, DER.'),
})
export type TLSInfo = Spec<typeof TLSInfoSchema>

export const NodeCSIInfoSchema = struct('NodeCSIInfo', {
  PluginName: text(),
  NodeID: text('What the plugin calls the node.'),
  MaxVolumesPerNode: int64(),
  AccessibleTopology: TopologySchema,
})

export const NodeDescriptionSchema = struct('NodeDescription', {
  Hostname: text(),
  Platform: PlatformSchema,
  Resources: ResourcesSchema,
  Engine: EngineDescriptionSchema,
  TLSInfo: TLSInfoSchema,
  CSIInfo: list(NodeCSIInfoSchema),
})
export type NodeDescription = Spec<typeof NodeDescriptionSchema>
