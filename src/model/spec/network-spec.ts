import { flag, list, stringMap, struct, text, type Spec } from './schema.js'

export const IPAMConfigSchema = struct('IPAMConfig', {
  Subnet: text('CIDR.'),
  IPRange: text('CIDR inside the subnet out of which addresses are given.'),
  Gateway: text(),
  AuxiliaryAddresses: stringMap('Addresses that are not given away.'),
})
export type IPAMConfig = Spec<typeof IPAMConfigSchema>

export const IPAMSchema = struct('IPAM', {
  Driver: text(),
  Options: stringMap(),
  Config: list(IPAMConfigSchema),
})
export type IPAM = Spec<typeof IPAMSchema>

export const NetworkConfigReferenceSchema = struct(
  'ConfigReference',
  { Network: text('Network that holds the configuration.') },
  { componentName: 'NetworkConfigReference' },
)

export const NetworkSpecSchema = struct(
  'CreateRequest',
  {
    Name: text(),
    Driver: text('`overlay` unless said otherwise.'),
    Scope: text(),
    Internal: flag('Cuts the network off from the outside.'),
    Attachable: flag('Lets containers outside services join.'),
    Ingress: flag('Makes it the network of the routing mesh.'),
    ConfigOnly: flag(),
    ConfigFrom: NetworkConfigReferenceSchema,
    EnableIPv4: flag(undefined, 'pointer'),
    EnableIPv6: flag(undefined, 'pointer'),
    IPAM: IPAMSchema,
    Options: stringMap('Options for the network driver.'),
    Labels: stringMap(),
  },
  { componentName: 'NetworkCreateRequest' },
)
export type NetworkSpec = Spec<typeof NetworkSpecSchema>
