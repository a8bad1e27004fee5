import { clusterError, type SwarmError } from '../../model/errors.js'
import { checkServiceOrNetworkName } from '../../model/names.js'
import { checkSkepLabels } from '../../model/skep-labels.js'
import type { ServiceSpec, UpdateConfig } from '../../model/spec/index.js'
import { validateTaskSpec } from './validate-task.js'

/**
 * Checks a normalised spec by itself, in Docker's order; what else is in the cluster is checked later.
 * @throws {SwarmError} InvalidArgument; Unknown for a constraint that cannot be read.
 * Behaviour: moby/swarmkit manager/controlapi/service.go, validateServiceSpec.
 */
export function validateServiceSpec(spec: ServiceSpec): void {
  const task = spec.TaskTemplate ?? {}
  checkServiceOrNetworkName(spec.Name)
  validateTaskSpec(task)
  validateMode(spec)
  if (isJob(spec) && spec.UpdateConfig !== undefined) throw invalid('Jobs may not have an update config')
  validateUpdateConfig('update', spec.UpdateConfig)
  // swarmkit takes any rollback config, and stumbles over it when it is too late.
  validateUpdateConfig('rollback', spec.RollbackConfig)
  validateEndpointSpec(spec)
  checkSkepLabels(spec.Labels ?? {}, task.ContainerSpec?.Labels ?? {})
}

export function isJob({ Mode: mode }: ServiceSpec): boolean {
  return mode?.ReplicatedJob !== undefined || mode?.GlobalJob !== undefined
}

function invalid(description: string): SwarmError {
  return clusterError('InvalidArgument', description)
}

/** The counts are uint64 for those who decode JSON; other callers may still get them wrong. */
function validateMode({ Mode: mode }: ServiceSpec): void {
  if ((mode?.Replicated?.Replicas ?? 0) < 0) throw invalid('Number of replicas must be non-negative')
  if ((mode?.ReplicatedJob?.MaxConcurrent ?? 0) < 0) {
    throw invalid('Maximum concurrent jobs must not be negative')
  }
  if ((mode?.ReplicatedJob?.TotalCompletions ?? 0) < 0) {
    throw invalid('Total completed jobs must not be negative')
  }
}

function validateUpdateConfig(kind: 'update' | 'rollback', config: UpdateConfig | undefined): void {
  if ((config?.Delay ?? 0) < 0) throw invalid(`TaskSpec: ${kind}-delay cannot be negative`)
  if ((config?.Monitor ?? 0) < 0) throw invalid(`TaskSpec: ${kind}-monitor cannot be negative`)
  const ratio = config?.MaxFailureRatio ?? 0
  if (ratio < 0 || ratio > 1) {
    throw invalid(`TaskSpec: ${kind}-maxfailureratio cannot be less than 0 or bigger than 1`)
  }
}

function validateEndpointSpec({ EndpointSpec: endpoint }: ServiceSpec): void {
  const seen = new Set<string>()
  for (const port of endpoint?.Ports ?? []) {
    // The routing mesh balances over a virtual IP, which these services lack.
    if (endpoint?.Mode === 'dnsrr' && port.PublishMode === 'ingress') {
      throw invalid("EndpointSpec: port published with ingress mode can't be used with dnsrr mode")
    }
    if ((port.PublishedPort ?? 0) === 0) continue
    const key = `${port.PublishedPort}/${port.Protocol}`
    if (seen.has(key)) throw invalid('EndpointSpec: duplicate published ports provided')
    seen.add(key)
  }
}
