import {
  float64,
  list,
  nanoseconds,
  stringMap,
  struct,
  text,
  uint32,
  uint64,
  word,
  type Spec,
} from './schema.js'
import { NetworkAttachmentConfigSchema, TaskSpecSchema } from './task-spec.js'

export const ReplicatedServiceSchema = struct('ReplicatedService', {
  Replicas: uint64('1 where absent.', 'pointer'),
})
export const GlobalServiceSchema = struct('GlobalService', {})
export const ReplicatedJobSchema = struct('ReplicatedJob', {
  MaxConcurrent: uint64('Tasks at one time. 1 where absent.', 'pointer'),
  TotalCompletions: uint64('Tasks that must finish. `MaxConcurrent` where absent.', 'pointer'),
})
export const GlobalJobSchema = struct('GlobalJob', {})

export const ServiceModeSchema = struct(
  'ServiceMode',
  {
    Replicated: ReplicatedServiceSchema,
    Global: GlobalServiceSchema,
    ReplicatedJob: ReplicatedJobSchema,
    GlobalJob: GlobalJobSchema,
  },
  { description: 'One of its members at most. Without any: one replica.', presence: 'always' },
)
export type ServiceMode = Spec<typeof ServiceModeSchema>

export const UpdateConfigSchema = struct('UpdateConfig', {
  Parallelism: uint64('Replicas updated at one time. 0 updates all at once.', 'always'),
  Delay: nanoseconds('Time between two updates.'),
  FailureAction: word(['pause', 'continue', 'rollback']),
  Monitor: nanoseconds('Time after its start in which a task’s end counts as failure.'),
  MaxFailureRatio: float64('Share of failed tasks that is still taken, from 0 to 1.', 'always'),
  Order: word(['stop-first', 'start-first'], undefined, 'always'),
})
export type UpdateConfig = Spec<typeof UpdateConfigSchema>

export const PortConfigSchema = struct('PortConfig', {
  Name: text(),
  Protocol: word(['tcp', 'udp', 'sctp']),
  TargetPort: uint32('Port inside the container.'),
  PublishedPort: uint32('Port on the nodes. 0 lets the cluster choose one from 30000 to 32767.'),
  PublishMode: word(['ingress', 'host']),
})
export type PortConfig = Spec<typeof PortConfigSchema>

export const EndpointSpecSchema = struct('EndpointSpec', {
  Mode: word(['vip', 'dnsrr']),
  Ports: list(PortConfigSchema),
})
export type EndpointSpec = Spec<typeof EndpointSpecSchema>

export const ServiceSpecSchema = struct('ServiceSpec', {
  Name: text('Made up where absent.'),
  Labels: stringMap(undefined, 'always'),
  TaskTemplate: TaskSpecSchema,
  Mode: ServiceModeSchema,
  UpdateConfig: UpdateConfigSchema,
  RollbackConfig: UpdateConfigSchema,
  Networks: list(NetworkAttachmentConfigSchema, 'Only read before API version 1.44.'),
  EndpointSpec: EndpointSpecSchema,
})
export type ServiceSpec = Spec<typeof ServiceSpecSchema>
