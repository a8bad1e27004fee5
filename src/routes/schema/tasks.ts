import { Type } from 'typebox'
import { TaskSchema } from './objects.js'
import { filtersArgument, idParams, operation } from './operation.js'
import { logAnswer, logArguments } from './services.js'

export const taskOperations = {
  list: operation({
    tag: 'Task',
    id: 'TaskList',
    summary: 'List tasks',
    query: {
      filters: filtersArgument('`id`, `name`, `label`, `service`, `node`, `desired-state`, `runtime`'),
    },
    answers: { 200: { description: 'Tasks, sorted by ID.', schema: Type.Array(TaskSchema) } },
    errors: [400, 404, 500, 503],
  }),
  inspect: operation({
    tag: 'Task',
    id: 'TaskInspect',
    summary: 'Inspect a task',
    params: idParams('task'),
    answers: { 200: { description: 'The task.', schema: TaskSchema } },
    errors: [404, 500, 503],
  }),
  logs: operation({
    tag: 'Task',
    id: 'TaskLogs',
    summary: 'Get the logs of a task',
    params: idParams('task'),
    query: logArguments,
    answers: { 200: logAnswer },
    errors: [400, 404, 500, 503],
  }),
}
