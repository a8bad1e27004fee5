import { Type } from 'typebox'
import {
  ClusterVolumeSpecSchema,
  TopologySchema,
  VolumeCreateOptionsSchema,
  VolumeUpdateOptionsSchema,
} from '../../model/spec/index.js'
import { int64, list, stringMap, struct, text, texts, word } from '../../model/spec/schema.js'
import { nullable, ObjectVersionSchema, time } from './objects.js'
import { filtersArgument, flagArgument, idParams, operation, versionArgument } from './operation.js'

const VolumePublishStatusSchema = struct('PublishStatus', {
  NodeID: text(),
  State: word(['pending-publish', 'published', 'pending-node-unpublish', 'pending-controller-unpublish']),
  PublishContext: stringMap(),
})

export const ClusterVolumeSchema = struct('ClusterVolume', {
  ID: text(),
  Version: ObjectVersionSchema,
  CreatedAt: time(),
  UpdatedAt: time(),
  Spec: ClusterVolumeSpecSchema,
  PublishStatus: list(VolumePublishStatusSchema, 'Nodes that it is wanted on, and how far that is.'),
  Info: struct('Info', {
    CapacityBytes: int64(),
    VolumeContext: stringMap(),
    VolumeID: text('What the plugin calls it.'),
    AccessibleTopology: list(TopologySchema),
  }),
})

export const VolumeSchema = struct('Volume', {
  ClusterVolume: ClusterVolumeSchema,
  CreatedAt: time(),
  Driver: text(),
  Labels: nullable(stringMap()),
  Mountpoint: text('Where it is on this host. Empty for volumes of the cluster.'),
  Name: text(),
  Options: nullable(stringMap()),
  Scope: text('`local`, or `global` for volumes of the cluster.'),
  Status: Type.Record(Type.String(), Type.Unknown(), {
    description: 'What the driver says. Of a volume of the cluster that is not made yet: why.',
  }),
})

const params = idParams('volume')

export const volumeOperations = {
  list: operation({
    tag: 'Volume',
    id: 'VolumeList',
    summary: 'List volumes',
    description: 'Those of this host, and on managers those of the cluster.',
    query: { filters: filtersArgument('`name`, `driver`, `label`, `dangling`') },
    answers: {
      200: {
        description: 'Volumes.',
        schema: struct('VolumeListResponse', { Volumes: list(VolumeSchema), Warnings: nullable(texts()) }),
      },
    },
    errors: [400, 500],
  }),
  inspect: operation({
    tag: 'Volume',
    id: 'VolumeInspect',
    summary: 'Inspect a volume',
    params,
    answers: { 200: { description: 'The volume.', schema: VolumeSchema } },
    errors: [404, 500],
  }),
  create: operation({
    tag: 'Volume',
    id: 'VolumeCreate',
    summary: 'Create a volume',
    description: 'On this host; with `ClusterVolumeSpec` in the cluster, where a CSI plugin has to make it.',
    body: VolumeCreateOptionsSchema,
    answers: { 201: { description: 'The volume.', schema: VolumeSchema } },
    errors: [400, 404, 409, 500, 503],
  }),
  update: operation({
    tag: 'Volume',
    id: 'VolumeUpdate',
    summary: 'Update a volume of the cluster',
    description: 'Only its availability changes.',
    params,
    query: { version: versionArgument },
    body: VolumeUpdateOptionsSchema,
    answers: { 200: 'The volume is updated.' },
    errors: [400, 404, 500, 503],
  }),
  remove: operation({
    tag: 'Volume',
    id: 'VolumeDelete',
    summary: 'Remove a volume',
    params,
    query: { force: flagArgument('Remove it even if it is in use.') },
    answers: { 204: 'The volume is removed.' },
    errors: [400, 404, 409, 500],
  }),
}
