import { brakeDelayLabel, checkBrakeLabel } from './brake.js'
import { SwarmError } from './errors.js'
import { parsePlacementLabels, placementLabelNames, swarmLabelNames } from './placement.js'
import { parseSimLabels, simLabelNames } from './sim-labels.js'

/**
 * What Swarm's spec has no word for rides on labels `skep.*`. One that nobody knows is a typing error,
 * and would be ignored without a word: hence it is refused.
 */
const prefix = 'skep.'
const simPrefix = 'skep.sim.'

/** Labels of services that Skep understands. */
export const serviceLabelNames: readonly string[] = placementLabelNames

/** Labels of containers that Skep understands. */
export const containerLabelNames: readonly string[] = simLabelNames

/**
 * Checks the labels of a service and those of its containers.
 * @throws {SwarmError} InvalidArgument for an unknown or malformed `skep.*` label.
 */
export function checkSkepLabels(
  serviceLabels: Readonly<Record<string, string>>,
  containerLabels: Readonly<Record<string, string>>,
): void {
  checkNames('service', serviceLabels, serviceLabelNames)
  checkNames('container', containerLabels, containerLabelNames)
  parsePlacementLabels(serviceLabels)
  parseSimLabels(
    Object.fromEntries(Object.entries(containerLabels).filter(([name]) => name.startsWith(simPrefix))),
  )
}

const knownSwarmLabels: readonly string[] = [brakeDelayLabel, ...swarmLabelNames]

/**
 * Checks the labels of the swarm's spec: defaults for services, and how long the brake holds.
 * @throws {SwarmError} InvalidArgument for an unknown or malformed `skep.*` label.
 */
export function checkSwarmLabels(labels: Readonly<Record<string, string>>): void {
  for (const name of Object.keys(labels).sort()) {
    if (!name.startsWith(prefix) || knownSwarmLabels.includes(name)) continue
    throw new SwarmError(
      'InvalidArgument',
      `unknown label ${name}; known labels of the swarm: ${knownSwarmLabels.join(', ')}`,
    )
  }
  parsePlacementLabels(labels)
  checkBrakeLabel(labels)
}

function checkNames(
  kind: 'service' | 'container',
  labels: Readonly<Record<string, string>>,
  known: readonly string[],
): void {
  for (const name of Object.keys(labels).sort()) {
    if (!name.startsWith(prefix) || known.includes(name)) continue
    const others = kind === 'service' ? containerLabelNames : serviceLabelNames
    const hint = others.includes(name)
      ? `${name} is a label of ${kind === 'service' ? 'containers' : 'services'}`
      : `unknown label ${name}`
    throw new SwarmError('InvalidArgument', `${hint}; ${knownLabels()}`)
  }
}

function knownLabels(): string {
  const list = (names: readonly string[]) => (names.length === 0 ? 'none' : names.join(', '))
  return `known labels of services: ${list(serviceLabelNames)}; of containers: ${list(containerLabelNames)}`
}
