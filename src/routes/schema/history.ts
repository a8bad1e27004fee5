import { Type } from 'typebox'
import { ServiceSpecSchema } from '../../model/spec/index.js'
import { flag, int64, list, struct, text } from '../../model/spec/schema.js'
import { nullable, time } from './objects.js'
import { idParams, operation } from './operation.js'

const SpecChangeSchema = struct('SpecChange', {
  path: text('`TaskTemplate.ContainerSpec.Image`, `Labels[tier]`.'),
  before: Type.Any({ description: 'Absent where it is new. Values of environment variables are hidden.' }),
  after: Type.Any({ description: 'Absent where it is gone.' }),
})

const RevisionSchema = struct('ServiceRevision', {
  revision: int64('From 1.'),
  current: flag('The service has this spec now.'),
  setAt: time('When the service got this spec.'),
  cause: Type.String({
    enum: ['create', 'update', 'rollback', 'failure'],
    description:
      'Why it got it. `failure`: an update failed and was rolled back. Absent where that is forgotten.',
  }),
  changes: nullable(
    list(SpecChangeSchema, 'What is not as in the revision before; null for the oldest one that is kept.'),
  ),
  spec: ServiceSpecSchema,
})

export const ServiceHistorySchema = struct('ServiceHistory', {
  serviceId: text(),
  serviceName: text(),
  revisions: list(RevisionSchema, 'The newest first: the present one and up to ten before it.'),
})

export const historyOperations = {
  history: operation({
    tag: 'Skep',
    id: 'ServiceHistory',
    summary: 'List the specs that a service had',
    description: 'With the time and the difference from the one before. On any manager.',
    params: idParams('service'),
    answers: { 200: { description: 'The history.', schema: ServiceHistorySchema } },
    errors: [400, 404, 500, 503],
  }),
  rollback: operation({
    tag: 'Skep',
    id: 'ServiceRollback',
    summary: 'Go back to a spec that a service had',
    description:
      'As `rollback=previous` of an update, with the rollback settings of that spec, but to any revision that is kept. The history goes on: the spec becomes its newest revision.',
    params: idParams('service'),
    query: { revision: Type.String({ description: 'A number from the history.' }) },
    answers: {
      200: {
        description: 'The rollback has begun.',
        schema: struct('ServiceRollbackResponse', { serviceId: text(), revision: int64() }),
      },
    },
    errors: [400, 404, 500, 503],
  }),
}
