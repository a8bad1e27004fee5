import { clusterError, errorText, type SwarmError } from '../../model/errors.js'
import { parseImageReference } from '../../model/image-reference.js'
import type { ContainerSpec, HealthConfig } from '../../model/spec/index.js'
import { dummyTemplateContext, expandContainerSpec } from '../../model/template.js'

const msInNanos = 1e6

/**
 * Checks the container of a service after its templates have been expanded for a made-up task.
 * @throws {SwarmError} InvalidArgument.
 * Behaviour: moby/swarmkit manager/controlapi/service.go, validateContainerSpec.
 */
export function validateContainer(spec: ContainerSpec): void {
  const container = expand(spec)
  validateImage(container.Image ?? '')
  validateMounts(container)
  validateHealthCheck(container.Healthcheck ?? {})
}

function invalid(description: string): SwarmError {
  return clusterError('InvalidArgument', description)
}

function expand(spec: ContainerSpec): ContainerSpec {
  try {
    return expandContainerSpec(spec, dummyTemplateContext)
  } catch (error) {
    throw clusterError('InvalidArgument', errorText(error), { cause: error })
  }
}

function validateImage(image: string): void {
  if (image === '') throw invalid('ContainerSpec: image reference must be provided')
  if (parseImageReference(image) === undefined) {
    throw invalid(`ContainerSpec: ${JSON.stringify(image)} is not a valid repository/tag`)
  }
}

function validateMounts({ Mounts: mounts = [] }: ContainerSpec): void {
  const seen = new Set<string>()
  for (const { Target: target = '' } of mounts) {
    if (seen.has(target)) throw invalid(`ContainerSpec: duplicate mount point: ${target}`)
    seen.add(target)
  }
}

function validateHealthCheck(check: HealthConfig): void {
  for (const name of ['Interval', 'Timeout', 'StartPeriod', 'StartInterval'] as const) {
    const nanos = check[name] ?? 0
    if (nanos !== 0 && nanos < msInNanos) {
      throw invalid(`ContainerSpec: ${name} in HealthConfig cannot be less than 1ms`)
    }
  }
  if ((check.Retries ?? 0) < 0) throw invalid('ContainerSpec: Retries in HealthConfig cannot be negative')
}
