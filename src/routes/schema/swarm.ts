import { Type } from 'typebox'
import {
  SwarmInitRequestSchema,
  SwarmJoinRequestSchema,
  SwarmSpecSchema,
  SwarmUnlockRequestSchema,
} from '../../model/spec/index.js'
import { struct, text } from '../../model/spec/schema.js'
import { SwarmSchema } from './objects.js'
import { flagArgument, operation, versionArgument } from './operation.js'

export const UnlockKeyResponseSchema = struct('UnlockKeyResponse', {
  UnlockKey: text('Empty where autolock is off.'),
})

export const swarmOperations = {
  inspect: operation({
    tag: 'Swarm',
    id: 'SwarmInspect',
    summary: 'Inspect the swarm',
    answers: { 200: { description: 'The swarm.', schema: SwarmSchema } },
    errors: [500, 503],
  }),
  init: operation({
    tag: 'Swarm',
    id: 'SwarmInit',
    summary: 'Initialize a new swarm',
    body: SwarmInitRequestSchema,
    answers: { 200: { description: 'ID of the node.', schema: Type.String() } },
    errors: [400, 500, 503],
  }),
  join: operation({
    tag: 'Swarm',
    id: 'SwarmJoin',
    summary: 'Join an existing swarm',
    body: SwarmJoinRequestSchema,
    answers: { 200: 'The node has joined.' },
    errors: [400, 500, 503],
  }),
  leave: operation({
    tag: 'Swarm',
    id: 'SwarmLeave',
    summary: 'Leave the swarm',
    query: { force: flagArgument('Leaves even where the swarm loses its state or its quorum.') },
    answers: { 200: 'The node has left.' },
    errors: [500, 503],
  }),
  update: operation({
    tag: 'Swarm',
    id: 'SwarmUpdate',
    summary: 'Update the swarm',
    description: 'Replaces the whole spec: what is absent becomes zero.',
    query: {
      version: versionArgument,
      rotateWorkerToken: Type.Boolean({ description: 'Makes a new join token for workers.' }),
      rotateManagerToken: Type.Boolean({ description: 'Makes a new join token for managers.' }),
      rotateManagerUnlockKey: Type.Boolean({ description: 'Makes a new unlock key.' }),
    },
    body: SwarmSpecSchema,
    answers: { 200: 'The swarm is updated.' },
    errors: [400, 500, 503],
  }),
  unlockKey: operation({
    tag: 'Swarm',
    id: 'SwarmUnlockkey',
    summary: 'Get the unlock key',
    answers: { 200: { description: 'The key.', schema: UnlockKeyResponseSchema } },
    errors: [500, 503],
  }),
  unlock: operation({
    tag: 'Swarm',
    id: 'SwarmUnlock',
    summary: 'Unlock a locked manager',
    body: SwarmUnlockRequestSchema,
    answers: { 200: 'The manager is unlocked.' },
    errors: [400, 401, 409, 500, 503],
  }),
}
