import type { FastifyInstance } from 'fastify'
import { findTask } from '../control/lookup.js'
import { taskName } from '../model/objects.js'
import { taskStateName } from '../model/task-state.js'
import { explainTask } from '../scheduler/index.js'
import type { RouteContext, WithId } from './context.js'
import { sendJson } from './http/answer.js'
import { placementOperations as operations } from './schema/placement.js'

/** Skep's own routes about where tasks run, and why. On any manager. */
export function placementRoutes(app: FastifyInstance, context: RouteContext): void {
  const { env, backend, closing } = context

  app.get<WithId>('/skep/v1/tasks/:id/explain', { schema: operations.explain }, async ({ params }, reply) => {
    const { view } = await backend.swarm.manager()
    const task = findTask(view, params.id)
    const { summary, strategy, nodes } = await explainTask(env, view, task, closing)
    return sendJson(reply, {
      taskId: task.id,
      taskName: taskName(task),
      ...(task.serviceId !== undefined && { serviceId: task.serviceId }),
      ...(task.nodeId !== undefined && { nodeId: task.nodeId }),
      state: taskStateName(task.status.state),
      desiredState: taskStateName(task.desiredState),
      message: task.status.message,
      err: task.status.err ?? '',
      summary,
      strategy,
      nodes,
    })
  })
}
