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
export const encodeService = cached((service: Service) => Buffer.concat(parts(service)))

/** The same with `ServiceStatus` in its place. */
export function encodeServiceWithStatus(service: Service, status: ServiceStatus): Buffer {
  const [before, after] = parts(service)
  return Buffer.concat([before, Buffer.from(`,"ServiceStatus":${JSON.stringify(status)}`), after])
}

/** A service whose spec is shown with what is left open filled in. */
export function encodeServiceWithSpec(service: Service, spec: ServiceSpec): Buffer {
  return Buffer.concat(encode({ ...service, spec: canonical(ServiceSpecSchema, spec) }))
}

/** The JSON up to where `ServiceStatus` belongs, and the rest. */
const parts = cached(encode)

/** Specs are stored in canonical form: see src/control. */
function encode(service: Service): readonly [before: Buffer, after: Buffer] {
  const first = {
    ...head(service),
    Spec: service.spec,
    ...unlessEmpty('PreviousSpec', service.previousSpec),
    Endpoint: toEndpoint(service.endpoint),
    ...unlessEmpty('UpdateStatus', service.updateStatus && toUpdateStatus(service.updateStatus)),
  }
  const jobStatus =
    service.jobStatus === undefined ? '' : `,"JobStatus":${stringifyExact(toJobStatus(service.jobStatus))}`
  return [Buffer.from(stringifyExact(first).slice(0, -1)), Buffer.from(`${jobStatus}}`)]
}

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
