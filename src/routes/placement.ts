import type { FastifyInstance } from 'fastify'
import { findService, findTask } from '../control/lookup.js'
import { taskName } from '../model/objects.js'
import { taskStateName } from '../model/task-state.js'
import { explainTask, previewRebalance } from '../scheduler/index.js'
import type { Plain, RouteContext, WithId } from './context.js'
import { sendJson } from './http/answer.js'
import { strictBoolean } from './http/query.js'
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
  app.post<Plain>('/skep/v1/rebalance', { schema: operations.rebalance }, async ({ query }, reply) => {
    const isDryRun = strictBoolean(query, 'dryRun')
    const { view, control } = await backend.swarm.manager()
    const { service: ref = '' } = query
    const services = ref === '' ? view.services.list() : [findService(view, ref)]
    const preview = await previewRebalance(env, view, services, closing)
    if (!isDryRun) {
      // Whoever asks for one service may have to wait a little.
      const soon = ref === '' ? [] : preview.obstacles.filter(({ passes }) => passes)
      const ids = new Set([...preview.moves, ...soon].map(({ serviceId }) => serviceId))
      if (ids.size > 0) await control.requestRebalance({ ids: [...ids] })
    }
    return sendJson(reply, { dryRun: isDryRun, ...preview })
  })
}
