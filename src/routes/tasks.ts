import type { FastifyInstance } from 'fastify'
import { findNode, findService, findTask } from '../control/lookup.js'
import { SwarmError } from '../model/errors.js'
import { taskName, type Task } from '../model/objects.js'
import { parseTaskState } from '../model/task-state.js'
import { isTaskDirty } from '../orchestrator/update/dirty.js'
import type { View } from '../store/store.js'
import type { Plain, RouteContext, WithId } from './context.js'
import { encodeTask } from './convert/task.js'
import { sendList, sendObject } from './http/answer.js'
import { Filters } from './http/filters.js'
import { WholeLists } from './http/whole-list.js'
import { taskStates } from './schema/objects.js'
import { taskOperations as operations } from './schema/tasks.js'
import { streamLogs } from './services/logs.js'

const filterKeys = ['_up-to-date', 'desired-state', 'id', 'label', 'name', 'node', 'runtime', 'service']

/** Behaviour: moby daemon/cluster/tasks.go; moby/swarmkit manager/controlapi/task.go. */
export function taskRoutes(app: FastifyInstance, context: RouteContext): void {
  const { swarm } = context.backend
  const wholeLists = new WholeLists()

  app.get<Plain>('/tasks', { schema: operations.list }, async (request, reply) => {
    const { view } = await swarm.manager()
    const filters = Filters.parse(request.query, filterKeys)
    if (filters.isEmpty) {
      // A task's JSON repeats its networks.
      const sources = [view.tasks.list(), view.networks.list()] as const
      return wholeLists.send(reply, sources, () => selectTasks(view, filters), encoder(view))
    }
    return sendList(reply, selectTasks(view, filters), encoder(view))
  })

  app.get<WithId>('/tasks/:id', { schema: operations.inspect }, async ({ params }, reply) => {
    const { view } = await swarm.manager()
    return sendObject(reply, findTask(view, params.id), encoder(view))
  })

  app.get<WithId>('/tasks/:id/logs', { schema: operations.logs }, (request, reply) =>
    streamLogs(context, request, reply, (view) => ({ task: findTask(view, request.params.id) })),
  )
}

function encoder(view: View): (task: Task) => Buffer {
  const findNetwork = (id: string) => view.networks.get(id)
  return (task) => encodeTask(task, findNetwork)
}

function selectTasks(view: View, filters: Filters): readonly Task[] {
  const serviceIds = filters.get('service').map((ref) => findService(view, ref).id)
  const nodeIds = filters.get('node').map((ref) => findNode(view, ref).id)
  const states = desiredStates(filters)
  const runtimes = filters.has('runtime') ? filters.get('runtime') : ['container']
  const isUpToDate = (task: Task) => {
    const service = view.services.get(task.serviceId ?? '')
    return service !== undefined && !isTaskDirty(service, task, view.nodes.get(task.nodeId ?? ''))
  }
  const selected = candidates(view, serviceIds, nodeIds).filter(
    (task) =>
      runtimes.includes(task.spec.Runtime ?? 'container') &&
      (states.length === 0 || states.includes(task.desiredState)) &&
      filters.allowsPrefixOf('id', task.id) &&
      filters.allowsPrefixOf('name', filters.has('name') ? taskName(task) : '') &&
      filters.allowsLabels('label', task.serviceAnnotations.labels) &&
      (!filters.has('_up-to-date') || isUpToDate(task)),
  )
  return filters.has('name') ? selected.sort(byName) : selected
}

/** By the shortest index: services have fewer tasks than nodes do, as a rule. */
function candidates(view: View, serviceIds: readonly string[], nodeIds: readonly string[]): readonly Task[] {
  if (serviceIds.length > 0) {
    const tasks = union(serviceIds.map((id) => view.tasks.by('service', id)))
    return nodeIds.length === 0 ? tasks : tasks.filter(({ nodeId = '' }) => nodeIds.includes(nodeId))
  }
  if (nodeIds.length > 0) return union(nodeIds.map((id) => view.tasks.by('node', id)))
  return view.tasks.list()
}

/** A task has one service and one node, so lists of different ones share none. */
function union(lists: readonly (readonly Task[])[]): readonly Task[] {
  const [only = [], ...others] = lists
  if (others.length === 0) return only
  return [...new Set(lists.flat())].sort((a, b) => (a.id < b.id ? -1 : 1))
}

function desiredStates(filters: Filters): readonly number[] {
  const given = filters.get('desired-state').filter((value) => value !== '')
  return given.map((value) => {
    const name = value.toLowerCase()
    if (!(taskStates as readonly string[]).includes(name)) {
      throw new SwarmError('Unknown', `Invalid desired-state filter: '${value}'`)
    }
    // Docker knows a name for a state that no task has here.
    return parseTaskState(name) ?? -1
  })
}

function byName(a: Task, b: Task): number {
  const left = taskName(a)
  const right = taskName(b)
  return left < right ? -1 : Number(left > right)
}
