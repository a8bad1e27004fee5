import { Type } from 'typebox'
import { strategies } from '../../model/placement.js'
import { flag, int64, list, struct, text } from '../../model/spec/schema.js'
import { flagArgument, idParams, operation } from './operation.js'

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

const MoveSchema = struct('TaskMove', {
  serviceId: text(),
  serviceName: text(),
  taskId: text(),
  taskName: text(),
  fromNodeId: text(),
  fromHostname: text(),
  toNodeId: text(),
  toHostname: text(),
  reason: text('What is uneven: `a runs 3 tasks of the service, b runs 1`.'),
})

export const RebalancePreviewSchema = struct('RebalancePreview', {
  dryRun: flag('Nothing was begun.'),
  moves: list(MoveSchema, 'In the order in which they are made, a few at a time.'),
  obstacles: list(
    struct('RebalanceObstacle', {
      serviceId: text(),
      serviceName: text(),
      text: text('Why its tasks stay: `runs on every node`, `has 2 of 3 replicas running` …'),
      passes: flag('It may be over in a while.'),
    }),
    'Services whose tasks are not moved.',
  ),
})

export const placementOperations = {
  rebalance: operation({
    tag: 'Skep',
    id: 'Rebalance',
    summary: 'Spread tasks anew',
    description:
      'Tasks of replicated services move to where they would be placed today: each successor starts before ' +
      'its task stops, one task of a service and four of the cluster at a time, and only while all replicas run.',
    query: {
      service: Type.String({ description: 'ID or name of a service. Absent: all services.' }),
      dryRun: flagArgument('Only say what would be moved.'),
    },
    answers: { 200: { description: 'What moves, and what does not.', schema: RebalancePreviewSchema } },
    errors: [400, 404, 500, 503],
  }),
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
