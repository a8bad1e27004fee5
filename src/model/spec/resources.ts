import { int64, list, struct, text, type Spec } from './schema.js'

export const NamedGenericResourceSchema = struct('NamedGenericResource', {
  Kind: text('What the resource is, such as `GPU`.'),
  Value: text('Which one of the kind it is.'),
})

export const DiscreteGenericResourceSchema = struct('DiscreteGenericResource', {
  Kind: text('What the resource is, such as `SSD`.'),
  Value: int64('How many of the kind.'),
})

export const GenericResourceSchema = struct(
  'GenericResource',
  { NamedResourceSpec: NamedGenericResourceSchema, DiscreteResourceSpec: DiscreteGenericResourceSchema },
  {
    description:
      'A resource that the engine itself knows nothing of: either a named one or a number of them.',
  },
)
export type GenericResource = Spec<typeof GenericResourceSchema>

export const ResourcesSchema = struct('Resources', {
  NanoCPUs: int64('CPU time, in billionths of a CPU.'),
  MemoryBytes: int64('Memory, in bytes.'),
  GenericResources: list(GenericResourceSchema),
})
export type Resources = Spec<typeof ResourcesSchema>

export const LimitSchema = struct('Limit', {
  NanoCPUs: int64('CPU time, in billionths of a CPU.'),
  MemoryBytes: int64('Memory, in bytes.'),
  Pids: int64('Processes at one time. 0 means no limit.'),
})
export type Limit = Spec<typeof LimitSchema>

export const ResourceRequirementsSchema = struct('ResourceRequirements', {
  Limits: LimitSchema,
  Reservations: ResourcesSchema,
  SwapBytes: int64('Swap besides the memory limit, in bytes. -1 means no limit.', 'pointer'),
  MemorySwappiness: int64('Percentage from 0 to 100; -1 leaves it to the engine.', 'pointer'),
})
export type ResourceRequirements = Spec<typeof ResourceRequirementsSchema>
