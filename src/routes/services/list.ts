import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Service, Task } from '../../model/objects.js'
import type { ServiceSpec } from '../../model/spec/index.js'
import { TaskState } from '../../model/task-state.js'
import type { SwarmBackend } from '../backend.js'
import type { Plain } from '../context.js'
import { encodeService, encodeServiceWithStatus, type ServiceStatus } from '../convert/service.js'
import { sendList } from '../http/answer.js'
import { Filters } from '../http/filters.js'
import { WholeLists } from '../http/whole-list.js'
import { strictBoolean } from '../http/query.js'
import { isOlderThan } from '../http/versions.js'

const filterKeys = ['id', 'label', 'mode', 'name', 'runtime']
const statusSince = '1.41'
const wholeLists = new WholeLists()

/** `GET /services`. Behaviour: moby daemon/cluster/services.go, GetServices. */
export async function listServices(
  swarm: SwarmBackend,
  { query, apiVersion }: FastifyRequest<Plain>,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const filters = Filters.parse(query, filterKeys)
  const withStatus = !isOlderThan(apiVersion, statusSince) && strictBoolean(query, 'status')
  const { view } = await swarm.manager()
  const all = view.services.list()
  if (!withStatus && filters.isEmpty)
    return wholeLists.send(reply, [all], () => selectServices(all, filters), encodeService)
  const services = selectServices(all, filters)
  if (!withStatus) return sendList(reply, services, encodeService)
  return sendList(reply, services, (service) =>
    encodeWithStatus(service, view.tasks.by('service', service.id)),
  )
}

/** The list of a service's tasks is the same object for as long as none of them changes. */
const encodings = new WeakMap<readonly Task[], { readonly service: Service; readonly buffer: Buffer }>()

function encodeWithStatus(service: Service, tasks: readonly Task[]): Buffer {
  const known = encodings.get(tasks)
  if (known?.service === service) return known.buffer
  const buffer = encodeServiceWithStatus(service, statusOf(service, tasks))
  encodings.set(tasks, { service, buffer })
  return buffer
}

function selectServices(services: readonly Service[], filters: Filters): readonly Service[] {
  const runtimes = filters.has('runtime') ? filters.get('runtime') : ['container']
  const selected = services.filter(
    ({ id, spec }) =>
      filters.allowsPrefixOf('id', id) &&
      filters.allowsPrefixOf('name', spec.Name ?? '') &&
      filters.allows('mode', modeOf(spec)) &&
      runtimes.includes(spec.TaskTemplate?.Runtime ?? 'container') &&
      filters.allowsLabels('label', spec.Labels),
  )
  return filters.has('name') ? selected.sort(byName) : selected
}

function modeOf({ Mode: mode = {} }: ServiceSpec): string {
  if (mode.Global !== undefined) return 'global'
  if (mode.ReplicatedJob !== undefined) return 'replicated-job'
  return mode.GlobalJob === undefined ? 'replicated' : 'global-job'
}

function byName(a: Service, b: Service): number {
  const left = a.spec.Name ?? ''
  const right = b.spec.Name ?? ''
  return left < right ? -1 : Number(left > right)
}

/**
 * How far a service is. Jobs count their present iteration only.
 * Behaviour: moby/swarmkit manager/controlapi/service.go, ListServiceStatuses.
 */
function statusOf(service: Service, tasks: readonly Task[]): ServiceStatus {
  const mode = service.spec.Mode ?? {}
  const isGlobal = mode.Global !== undefined || mode.GlobalJob !== undefined
  const iteration = service.jobStatus?.iteration
  let running = 0
  let completed = 0
  let desiredGlobal = 0
  for (const { jobIteration, status, desiredState } of tasks) {
    if (iteration !== undefined && jobIteration !== iteration) continue
    if (status.state === TaskState.Running) running++
    if (status.state === TaskState.Complete) completed++
    if (desiredState === TaskState.Running) desiredGlobal++
    if (desiredState === TaskState.Complete && status.state !== TaskState.Complete) desiredGlobal++
  }
  const desired = mode.ReplicatedJob?.MaxConcurrent ?? mode.Replicated?.Replicas ?? 0
  return {
    RunningTasks: running,
    DesiredTasks: isGlobal ? desiredGlobal : desired,
    CompletedTasks: completed,
  }
}
