import { Type } from 'typebox'
import { strategies } from '../../model/placement.js'
import { flag, int64, list, struct, text } from '../../model/spec/schema.js'
import { idParams, operation } from './operation.js'

const use = {
  total: int64('What the node has.'),
  reserved: int64('What its tasks have reserved.'),
  free: int64('What is left. Below 0 where the node has become smaller.'),
}

const ResourceUseSchema = struct('ResourceUse', use)
const GenericResourceUseSchema = struct('GenericResourceUse', { kind: text(), ...use })

const NodeVerdictSchema = struct('NodeVerdict', {
  nodeId: text(),
  hostname: text(),
  fits: flag('The node would take the task, or has it.'),
  reasons: list(
    struct('PlacementReason', {
      filter: text('Which of the scheduler’s filters fails: `resources`, `constraints`, `host ports` …'),
      text: text('With the numbers: `needs 4 GiB of memory, has 1.2 GiB free of 8 GiB`.'),
    }),
    'Why it does not take the task: every filter that fails.',
  ),
  nanoCpus: ResourceUseSchema,
  memoryBytes: ResourceUseSchema,
  genericResources: list(GenericResourceUseSchema),
  activeTasks: int64('Tasks that are meant to run there.'),
  activeTasksOfService: int64('The same of the task’s service.'),
})

export const TaskExplanationSchema = struct('TaskExplanation', {
  taskId: text(),
  taskName: text('`web.1.<ID>`.'),
  serviceId: text(),
  nodeId: text('The node that the task has, if any.'),
  state: text(),
  desiredState: text(),
  message: text(),
  err: text(),
  summary: text('Where the task is, or what keeps it from running.'),
  strategy: Type.Union(
    ['swarm', ...strategies].map((name) => Type.Literal(name)),
    { description: 'How nodes that take the task are ranked. `swarm`: as Docker does.' },
  ),
  nodes: list(NodeVerdictSchema, 'Sorted by hostname. Of a global service only the task’s own node.'),
})

export const placementOperations = {
  explain: operation({
    tag: 'Skep',
    id: 'TaskExplain',
    summary: 'Explain why a task runs where it does, or does not run',
    description: 'What every node says to the task as things are now. On any manager.',
    params: idParams('task'),
    answers: { 200: { description: 'The verdict of every node.', schema: TaskExplanationSchema } },
    errors: [400, 404, 500, 503],
  }),
}
