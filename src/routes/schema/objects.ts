import { Type, type TSchema } from 'typebox'
import {
  DriverSchema,
  EndpointSpecSchema,
  GenericResourceSchema,
  NodeDescriptionSchema,
  NodeSpecSchema,
  PortConfigSchema,
  ServiceSpecSchema,
  SwarmSpecSchema,
  TaskSpecSchema,
  TLSInfoSchema,
} from '../../model/spec/index.js'
import {
  base64,
  flag,
  int,
  int64,
  list,
  stringMap,
  struct,
  text,
  texts,
  uint32,
  uint64,
  word,
} from '../../model/spec/schema.js'

/** What the API answers, for the OpenAPI document and for tests. Requests: src/model/spec. */

export const time = (description?: string) =>
  Type.String({ format: 'date-time', ...(description !== undefined && { description }) })

export const nullable = <S extends TSchema>(schema: S): S => ({ ...schema, nullable: true })

export const ObjectVersionSchema = struct(
  'ObjectVersion',
  { Index: uint64('Grows with every change anywhere in the cluster. Compare it for equality only.') },
  { description: 'Version of an object. An update names the one it starts from.' },
)

const head = {
  ID: text('25 characters of `[0-9a-z]`.'),
  Version: ObjectVersionSchema,
  CreatedAt: time(),
  UpdatedAt: time(),
}

export const EndpointVirtualIPSchema = struct('EndpointVirtualIP', {
  NetworkID: text(),
  Addr: text('CIDR.'),
})

export const EndpointSchema = struct('Endpoint', {
  Spec: EndpointSpecSchema,
  Ports: list(PortConfigSchema, 'The ports as they are published.'),
  VirtualIPs: list(EndpointVirtualIPSchema),
})

export const UpdateStatusSchema = struct('UpdateStatus', {
  State: word([
    'updating',
    'paused',
    'completed',
    'rollback_started',
    'rollback_paused',
    'rollback_completed',
  ]),
  StartedAt: time(),
  CompletedAt: time(),
  Message: text(),
})

export const ServiceStatusSchema = struct('ServiceStatus', {
  RunningTasks: uint64('Tasks in state `running`.'),
  DesiredTasks: uint64('Tasks that should be.'),
  CompletedTasks: uint64('For jobs: tasks of the present iteration that have completed.'),
})

export const JobStatusSchema = struct('JobStatus', {
  JobIteration: ObjectVersionSchema,
  LastExecution: time(),
})

export const ServiceSchema = struct('Service', {
  ...head,
  Spec: ServiceSpecSchema,
  PreviousSpec: ServiceSpecSchema,
  Endpoint: EndpointSchema,
  UpdateStatus: UpdateStatusSchema,
  ServiceStatus: ServiceStatusSchema,
  JobStatus: JobStatusSchema,
})

export const taskStates = [
  'new',
  'allocated',
  'pending',
  'assigned',
  'accepted',
  'preparing',
  'ready',
  'starting',
  'running',
  'complete',
  'shutdown',
  'failed',
  'rejected',
  'remove',
  'orphaned',
] as const

export const ContainerStatusSchema = struct('ContainerStatus', {
  ContainerID: text(),
  PID: int(),
  ExitCode: int(),
})

export const PortStatusSchema = struct('PortStatus', { Ports: list(PortConfigSchema) })

export const TaskStatusSchema = struct('TaskStatus', {
  Timestamp: time('When the state was taken.'),
  State: word(taskStates),
  Message: text(),
  Err: text('Why the task does not run.'),
  ContainerStatus: ContainerStatusSchema,
  PortStatus: PortStatusSchema,
})

export const SwarmIPAMConfigSchema = struct('SwarmIPAMConfig', {
  Subnet: text(),
  Range: text(),
  Gateway: text(),
})

export const IPAMOptionsSchema = struct('IPAMOptions', {
  Driver: DriverSchema,
  Configs: list(SwarmIPAMConfigSchema),
})

export const SwarmNetworkSpecSchema = struct('SwarmNetworkSpec', {
  Name: text(),
  Labels: stringMap(),
  DriverConfiguration: DriverSchema,
  IPv6Enabled: flag(),
  Internal: flag(),
  Attachable: flag(),
  Ingress: flag(),
  IPAMOptions: IPAMOptionsSchema,
  Scope: text(),
})

export const SwarmNetworkSchema = struct('SwarmNetwork', {
  ...head,
  Spec: SwarmNetworkSpecSchema,
  DriverState: DriverSchema,
  IPAMOptions: IPAMOptionsSchema,
})

export const NetworkAttachmentSchema = struct('NetworkAttachment', {
  Network: SwarmNetworkSchema,
  Addresses: texts('CIDRs.'),
})

export const TaskSchema = struct('Task', {
  ...head,
  Name: text(),
  Labels: stringMap(),
  Spec: TaskSpecSchema,
  ServiceID: text(),
  Slot: int('Which replica it is. Absent for tasks of global services, and for the first of a job.'),
  NodeID: text(),
  Status: TaskStatusSchema,
  DesiredState: word(taskStates),
  NetworksAttachments: list(NetworkAttachmentSchema),
  GenericResources: list(GenericResourceSchema),
  JobIteration: ObjectVersionSchema,
})

export const NodeStatusSchema = struct('NodeStatus', {
  State: word(['unknown', 'down', 'ready', 'disconnected']),
  Message: text(),
  Addr: text('IP address of the node.'),
})

export const ManagerStatusSchema = struct(
  'ManagerStatus',
  {
    Leader: flag(),
    Reachability: word(['unknown', 'unreachable', 'reachable']),
    Addr: text('Where the manager listens for the cluster.'),
  },
  { description: 'Only for managers.' },
)

export const NodeSchema = struct('Node', {
  ...head,
  Spec: NodeSpecSchema,
  Description: NodeDescriptionSchema,
  Status: NodeStatusSchema,
  ManagerStatus: ManagerStatusSchema,
})

export const SecretInfoSpecSchema = struct(
  'SecretInfoSpec',
  { Name: text(), Labels: stringMap(), Driver: DriverSchema, Templating: DriverSchema },
  { description: 'The spec of a secret without its data.' },
)

export const SecretSchema = struct('Secret', { ...head, Spec: SecretInfoSpecSchema })

export const ConfigInfoSpecSchema = struct('ConfigInfoSpec', {
  Name: text(),
  Labels: stringMap(),
  Data: base64(),
  Templating: DriverSchema,
})

export const ConfigSchema = struct('Config', { ...head, Spec: ConfigInfoSpecSchema })

export const IdResponseSchema = struct('IdResponse', { ID: text('ID of the new object.') })

const clusterInfo = {
  ...head,
  Spec: SwarmSpecSchema,
  TLSInfo: TLSInfoSchema,
  RootRotationInProgress: flag(),
  DefaultAddrPool: nullable(texts('CIDRs out of which networks get their subnets.')),
  SubnetSize: uint32('Prefix length of those subnets.'),
  DataPathPort: uint32('UDP port of overlay traffic.'),
}

export const ClusterInfoSchema = struct('ClusterInfo', clusterInfo)

export const JoinTokensSchema = struct('JoinTokens', {
  Worker: text('Lets a node join as worker.'),
  Manager: text('Lets a node join as manager.'),
})

export const SwarmSchema = struct('Swarm', { ...clusterInfo, JoinTokens: JoinTokensSchema })

export const PeerNodeSchema = struct('PeerNode', { NodeID: text(), Addr: text() })

export const SwarmInfoSchema = struct('SwarmInfo', {
  NodeID: text(),
  NodeAddr: text(),
  LocalNodeState: word(['inactive', 'pending', 'active', 'error', 'locked']),
  ControlAvailable: flag('This node is a manager.'),
  Error: text(),
  RemoteManagers: nullable(list(PeerNodeSchema)),
  Nodes: int64(),
  Managers: int64(),
  Cluster: ClusterInfoSchema,
  Warnings: texts(),
})
