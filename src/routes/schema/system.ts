import { Type } from 'typebox'
import { flag, int64, stringMap, struct, text, texts } from '../../model/spec/schema.js'
import { nullable, SwarmInfoSchema } from './objects.js'
import { filtersArgument, operation } from './operation.js'

export const EventActorSchema = struct('EventActor', { ID: text(), Attributes: stringMap() })

export const EventMessageSchema = struct('EventMessage', {
  Type: text('Kind of object: `node`, `service`, `network`, `secret`, `config`, `container` …'),
  Action: text('`create`, `update`, `remove` …'),
  Actor: EventActorSchema,
  scope: text('`swarm` or `local`.'),
  time: int64('Unix time.'),
  timeNano: int64('Unix time in nanoseconds.'),
})

export const VersionComponentSchema = struct('VersionComponent', {
  Name: text(),
  Version: text(),
  Details: stringMap(),
})

export const PlatformNameSchema = struct('PlatformName', { Name: text() })

export const SystemVersionSchema = struct('SystemVersion', {
  Platform: PlatformNameSchema,
  Components: Type.Array(VersionComponentSchema),
  Version: text('Version of the engine.'),
  ApiVersion: text('The newest API version.'),
  MinAPIVersion: text('The oldest one.'),
  GitCommit: text(),
  Os: text(),
  Arch: text(),
  KernelVersion: text(),
  BuildTime: text(),
})

export const SystemInfoSchema = struct(
  'SystemInfo',
  {
    ID: text(),
    Name: text('Name of the node.'),
    ServerVersion: text(),
    OperatingSystem: text(),
    OSType: text(),
    Architecture: text(),
    KernelVersion: text(),
    NCPU: int64(),
    MemTotal: int64('Bytes.'),
    Debug: flag(),
    Labels: nullable(texts()),
    Warnings: nullable(texts()),
    Swarm: SwarmInfoSchema,
  },
  {
    description:
      'The engine’s own facts, of which this lists the more important, and this node’s part in a swarm.',
  },
)

export const systemOperations = {
  ping: operation({
    tag: 'System',
    id: 'SystemPing',
    summary: 'Ping',
    description: 'The headers tell the API version, and this node’s part in a swarm.',
    answers: { 200: { description: '`OK`', schema: Type.String(), mediaTypes: ['text/plain'] } },
  }),
  pingHead: operation({
    tag: 'System',
    id: 'SystemPingHead',
    summary: 'Ping',
    answers: { 200: 'The same as GET, without a body.' },
  }),
  version: operation({
    tag: 'System',
    id: 'SystemVersion',
    summary: 'Get version',
    answers: { 200: { description: 'Versions.', schema: SystemVersionSchema } },
  }),
  info: operation({
    tag: 'System',
    id: 'SystemInfo',
    summary: 'Get system information',
    answers: { 200: { description: 'About this host and its part in a swarm.', schema: SystemInfoSchema } },
  }),
  events: operation({
    tag: 'System',
    id: 'SystemEvents',
    summary: 'Monitor events',
    description:
      'One JSON object per line, until `until` or for ever. Events of the cluster’s objects are told by managers.',
    query: {
      since: Type.String({ description: 'Unix time: what happened from then on, as far as it is kept.' }),
      until: Type.String({ description: 'Unix time at which the stream ends.' }),
      filters: filtersArgument('`type`, `event`, `scope`, `label`, and any kind of object with its name'),
    },
    answers: {
      200: {
        description: 'Events.',
        schema: EventMessageSchema,
        mediaTypes: ['application/jsonl', 'application/x-ndjson', 'application/json-seq'],
      },
    },
    errors: [400, 500],
  }),
}
