import { Type, type Static, type TSchema } from 'typebox'
import type { AssignedTask } from '../model/assigned-task.js'
import type { Node, TaskStatus } from '../model/objects.js'
import { NodeDescriptionSchema, PortConfigSchema, type NodeDescription } from '../model/spec/index.js'
import { TaskState } from '../model/task-state.js'

/**
 * What managers and agents say to each other.
 *
 * Each message is one text frame of JSON with a `type`; log data alone comes in binary frames (log-frame.ts).
 * A receiver ignores types that it does not know, so that either side can be newer; what cannot be ignored
 * raises `protocolVersion`.
 * Behaviour: moby/swarmkit api/dispatcher.proto, api/logbroker.proto.
 */
export const protocolVersion = 1

/** Longest `message` and `err` of a status; agents cut theirs to it. */
export const maxStatusTextLength = 4096

/** An object that is not looked into: its sender has checked it. */
const opaque = <T>() => Type.Unsafe<T>({ type: 'object' })
/** Gives `schema` the static type that the model has for it. */
const typed = <T>(schema: TSchema) => Type.Unsafe<T>(schema)

const TaskStateSchema = Type.Unsafe<TaskState>({ enum: Object.values(TaskState) })

const TaskStatusSchema = typed<TaskStatus>(
  Type.Object({
    state: TaskStateSchema,
    timestampMs: Type.Number(),
    message: Type.String({ maxLength: maxStatusTextLength }),
    err: Type.Optional(Type.String({ maxLength: maxStatusTextLength })),
    container: Type.Optional(
      Type.Object({ containerId: Type.String(), pid: Type.Integer(), exitCode: Type.Integer() }),
    ),
    ports: Type.Optional(Type.Array(PortConfigSchema)),
  }),
)

const TaskAssignmentSchema = typed<AssignedTask>(
  Type.Object({
    id: Type.String(),
    version: Type.Integer(),
    spec: opaque(),
    serviceId: Type.Optional(Type.String()),
    slot: Type.Integer(),
    nodeId: Type.Optional(Type.String()),
    serviceAnnotations: Type.Object({ name: Type.String(), labels: opaque() }),
    desiredState: TaskStateSchema,
    status: Type.Object({ state: TaskStateSchema, timestampMs: Type.Number(), message: Type.String() }),
    networks: Type.Array(
      Type.Object({
        network: opaque(),
        addresses: Type.Array(Type.String()),
        aliases: Type.Array(Type.String()),
      }),
    ),
  }),
)

/** A secret or config: `data` is base64. */
const FileAssignmentSchema = Type.Object({
  id: Type.String(),
  name: Type.String(),
  data: Type.String(),
  templating: Type.Optional(Type.String()),
})
/** The content of a secret or config, for the tasks of one node that refer to it. */
export type FileAssignment = Readonly<Static<typeof FileAssignmentSchema>>

const AssignmentChangeSchema = Type.Union([
  Type.Object({ op: Type.Literal('update'), kind: Type.Literal('task'), task: TaskAssignmentSchema }),
  Type.Object({
    op: Type.Literal('update'),
    kind: Type.Union([Type.Literal('secret'), Type.Literal('config')]),
    file: FileAssignmentSchema,
  }),
  Type.Object({
    op: Type.Literal('remove'),
    kind: Type.Union([Type.Literal('task'), Type.Literal('secret'), Type.Literal('config')]),
    id: Type.String(),
  }),
])
/** One step of an assignment set. */
export type AssignmentChange = Static<typeof AssignmentChangeSchema>

const AssignmentsSchema = Type.Object({
  type: Type.Literal('assignments'),
  /** `complete` replaces all that the node has; `incremental` only fits on the set that it names. */
  kind: Type.Union([Type.Literal('complete'), Type.Literal('incremental')]),
  appliesTo: Type.Integer(),
  resultsIn: Type.Integer(),
  changes: Type.Array(AssignmentChangeSchema),
})
export type AssignmentsMessage = Static<typeof AssignmentsSchema>

/** What a node is told of itself. */
export type SessionNode = Pick<Node, 'id' | 'spec' | 'role' | 'attachments'> & {
  readonly certificateStatus?: string
}

const SessionSchema = Type.Object({
  type: Type.Literal('session'),
  sessionId: Type.String(),
  /** Time between two heartbeats of this node. */
  heartbeatPeriodMs: Type.Number({ minimum: 1 }),
  node: typed<SessionNode>(Type.Object({ id: Type.String(), spec: opaque(), role: Type.String() })),
  /** Where managers can be reached. */
  managers: Type.Array(Type.Object({ nodeId: Type.String(), addr: Type.String(), weight: Type.Number() })),
  /** Nodes whose manager is gone come back within this, so that not all of them come at once. */
  reconnectSpreadMs: Type.Optional(Type.Number({ minimum: 0, maximum: 10_000 })),
  /** Certificates of the cluster's root, PEM. */
  rootCaPem: Type.String(),
})
export type SessionMessage = Static<typeof SessionSchema>

export const LogOptionsSchema = Type.Object({
  follow: Type.Boolean(),
  stdout: Type.Boolean(),
  stderr: Type.Boolean(),
  sinceMs: Type.Optional(Type.Number()),
  tail: Type.Optional(Type.Integer({ minimum: 0 })),
})

const LogSubscribeSchema = Type.Object({
  type: Type.Literal('log-subscribe'),
  subscriptionId: Type.String(),
  serviceIds: Type.Array(Type.String()),
  taskIds: Type.Array(Type.String()),
  options: LogOptionsSchema,
})
export type LogSubscribeMessage = Static<typeof LogSubscribeSchema>

export const managerMessageSchemas = {
  session: SessionSchema,
  heartbeat: Type.Object({ type: Type.Literal('heartbeat'), periodMs: Type.Number({ minimum: 1 }) }),
  assignments: AssignmentsSchema,
  /** Sent once the statuses of that report are committed. */
  'status-ack': Type.Object({
    type: Type.Literal('status-ack'),
    report: Type.Integer(),
    refused: Type.Array(Type.Object({ taskId: Type.String(), reason: Type.String() })),
  }),
  'log-subscribe': LogSubscribeSchema,
  'log-unsubscribe': Type.Object({
    type: Type.Literal('log-unsubscribe'),
    subscriptionId: Type.String(),
  }),
  /** The reader took so many bytes; as many more may be sent. */
  'log-credit': Type.Object({
    type: Type.Literal('log-credit'),
    subscriptionId: Type.String(),
    bytes: Type.Integer(),
  }),
}

export const agentMessageSchemas = {
  /** The first message of a session. */
  hello: Type.Object({
    type: Type.Literal('hello'),
    protocol: Type.Integer(),
    description: typed<NodeDescription>(NodeDescriptionSchema),
  }),
  heartbeat: Type.Object({ type: Type.Literal('heartbeat') }),
  description: Type.Object({
    type: Type.Literal('description'),
    description: typed<NodeDescription>(NodeDescriptionSchema),
  }),
  /** A gap in the chain of assignment sets: the manager answers with a complete one. */
  resync: Type.Object({ type: Type.Literal('resync') }),
  status: Type.Object({
    type: Type.Literal('status'),
    report: Type.Integer(),
    updates: Type.Array(Type.Object({ taskId: Type.String(), status: TaskStatusSchema })),
  }),
  /** The node goes for good, or for long: its tasks are to run elsewhere from now on. */
  leave: Type.Object({ type: Type.Literal('leave') }),
  /** This node has no more log messages for the subscription. */
  'log-end': Type.Object({
    type: Type.Literal('log-end'),
    subscriptionId: Type.String(),
    /** What could not be read. */
    errors: Type.Array(Type.String({ maxLength: maxStatusTextLength })),
  }),
}

type MessageOf<S extends Readonly<Record<string, TSchema>>> = { [K in keyof S]: Static<S[K]> }[keyof S]

/** Manager to agent. */
export type ManagerMessage = MessageOf<typeof managerMessageSchemas>
/** Agent to manager. */
export type AgentMessage = MessageOf<typeof agentMessageSchemas>

/** Bytes of log data that a node may send for one subscription ahead of what the reader took. */
export const logWindowBytes = 256 * 1024
