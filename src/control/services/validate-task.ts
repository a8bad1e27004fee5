import { parseConstraints } from '../../model/constraint.js'
import { clusterError, type SwarmError } from '../../model/errors.js'
import type { Resources, TaskSpec } from '../../model/spec/index.js'
import { validateContainer } from './validate-container.js'
import { validateConfigReferences, validateSecretReferences } from './validate-references.js'

const leastNanoCpus = 1e6
const leastMemoryBytes = 4 * 1024 * 1024

/**
 * Checks what the tasks of a service are to be, in Docker's order.
 * @throws {SwarmError} InvalidArgument; Unknown for a constraint that cannot be read.
 * Behaviour: moby/swarmkit manager/controlapi/service.go, validateTaskSpec.
 */
export function validateTaskSpec(task: TaskSpec): void {
  validateResources(task.Resources?.Limits)
  validateResources(task.Resources?.Reservations)
  validateRestartPolicy(task)
  parseConstraints(task.Placement?.Constraints ?? [])
  const container = task.ContainerSpec
  if (container === undefined) throw invalid('TaskSpec: missing runtime')
  validateSecretReferences(container)
  validateConfigReferences(container)
  validateContainer(container)
}

function invalid(description: string): SwarmError {
  return clusterError('InvalidArgument', description)
}

function validateResources(resources: Resources | undefined): void {
  const cpus = resources?.NanoCPUs ?? 0
  if (cpus !== 0 && cpus < leastNanoCpus) {
    throw invalid(
      `invalid cpu value ${goFloat(cpus / 1e9)}: Must be at least ${goFloat(leastNanoCpus / 1e9)}`,
    )
  }
  const memory = resources?.MemoryBytes ?? 0
  if (memory !== 0 && memory < leastMemoryBytes) {
    throw invalid(`invalid memory value ${memory}: Must be at least 4MiB`)
  }
  // swarmkit looks at these and forgets the error. Clients count on names being taken (the scheduler sees
  // a name as one of its kind); the rest could never be placed.
  for (const { NamedResourceSpec: named, DiscreteResourceSpec: discrete } of resources?.GenericResources ??
    []) {
    const kind = named?.Kind ?? discrete?.Kind ?? ''
    const isOne = (named === undefined) !== (discrete === undefined)
    if (!isOne || kind === '' || (discrete?.Value ?? 0) < 0) {
      throw invalid(`invalid argument for resource ${kind}`)
    }
  }
}

function validateRestartPolicy({ RestartPolicy: policy }: TaskSpec): void {
  if ((policy?.Delay ?? 0) < 0) throw invalid('TaskSpec: restart-delay cannot be negative')
  if ((policy?.Window ?? 0) < 0) throw invalid('TaskSpec: restart-window cannot be negative')
}

/** A number as Go's `%g` writes it: `1e-09`, `0.0005`. */
function goFloat(value: number): string {
  const exponent = value === 0 ? 0 : Math.floor(Math.log10(Math.abs(value)))
  if (exponent >= -4 && exponent < 21) return String(value)
  return value.toExponential().replace(/e([+-])(\d)$/, 'e$10$2')
}
