import type { JobStatus, Service, UpdateStatus } from '../../model/objects.js'
import { canonical, ServiceSpecSchema, type ServiceSpec } from '../../model/spec/index.js'
import { formatTime } from '../../model/time.js'
import { cached } from './cache.js'
import { toEndpoint } from './endpoint.js'
import { stringifyExact } from './json.js'
import { head, unlessEmpty, versionObject } from './meta.js'

/** Counts of a service's tasks, as `GET /services?status=true` shows them. */
export interface ServiceStatus {
  readonly RunningTasks: number
  readonly DesiredTasks: number
  readonly CompletedTasks: number
}

/** Docker's JSON of a service. Shape: moby api/types/swarm/service.go. */
export const encodeService = cached((service: Service) => {
  const { before, after } = parts(service)
  return Buffer.from(before + after)
})

/** The same with `ServiceStatus` in its place. */
export function encodeServiceWithStatus(service: Service, status: ServiceStatus): Buffer {
  const { before, after } = parts(service)
  return Buffer.from(`${before},"ServiceStatus":${JSON.stringify(status)}${after}`)
}

/** A service whose spec is shown with what is left open filled in. */
export function serviceWithSpec(service: Service, spec: ServiceSpec): string {
  const { before, after } = encode({ ...service, spec })
  return before + after
}

/** The JSON up to where `ServiceStatus` belongs, and the rest. */
const parts = cached(encode)

function encode(service: Service): { readonly before: string; readonly after: string } {
  const first = {
    ...head(service),
    Spec: toServiceSpec(service.spec),
    ...unlessEmpty('PreviousSpec', service.previousSpec && toServiceSpec(service.previousSpec)),
    Endpoint: toEndpoint(service.endpoint),
    ...unlessEmpty('UpdateStatus', service.updateStatus && toUpdateStatus(service.updateStatus)),
  }
  const jobStatus =
    service.jobStatus === undefined ? '' : `,"JobStatus":${stringifyExact(toJobStatus(service.jobStatus))}`
  return { before: stringifyExact(first).slice(0, -1), after: `${jobStatus}}` }
}

export const toServiceSpec = cached((spec: ServiceSpec) => canonical(ServiceSpecSchema, spec))

function toUpdateStatus({ state, startedAtMs, completedAtMs, message }: UpdateStatus): object {
  return {
    State: state,
    ...(startedAtMs !== undefined && { StartedAt: formatTime(startedAtMs) }),
    ...(completedAtMs !== undefined && { CompletedAt: formatTime(completedAtMs) }),
    ...unlessEmpty('Message', message),
  }
}

function toJobStatus({ iteration, lastExecutionMs }: JobStatus): object {
  return { JobIteration: versionObject(iteration), LastExecution: formatTime(lastExecutionMs) }
}
