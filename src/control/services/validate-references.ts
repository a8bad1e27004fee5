import { clusterError } from '../../model/errors.js'
import type { ContainerSpec, ServiceSpec } from '../../model/spec/index.js'
import type { View } from '../../store/store.js'

interface Reference {
  readonly id: string
  readonly name: string
  readonly fileName: string | undefined
  readonly hasTarget: boolean
}

type Kind = 'secret' | 'config'

/** @throws {SwarmError} InvalidArgument. Behaviour: moby/swarmkit manager/controlapi/service.go. */
export function validateSecretReferences(container: ContainerSpec): void {
  validateReferences('secret', secretReferences(container))
}

/** @throws {SwarmError} InvalidArgument. */
export function validateConfigReferences(container: ContainerSpec): void {
  validateReferences('config', configReferences(container))
  const wanted = container.Privileges?.CredentialSpec?.Config ?? ''
  const found = (container.Configs ?? []).some(
    (config) => config.ConfigID === wanted && config.Runtime !== undefined,
  )
  if (wanted !== '' && !found) {
    throw clusterError(
      'InvalidArgument',
      `CredentialSpec references config '${wanted}', but that config isn't in config references with RuntimeTarget`,
    )
  }
}

/**
 * Checks that all secrets and configs that a spec refers to are there, under both ID and name.
 * @throws {SwarmError} InvalidArgument.
 */
export function checkReferencesExist(view: View, spec: ServiceSpec): void {
  const container = spec.TaskTemplate?.ContainerSpec ?? {}
  checkExist('secret', secretReferences(container), (id) => view.secrets.get(id)?.spec.Name)
  checkExist('config', configReferences(container), (id) => view.configs.get(id)?.spec.Name)
}

function secretReferences(container: ContainerSpec): readonly Reference[] {
  return (container.Secrets ?? []).map((secret) => ({
    id: secret.SecretID ?? '',
    name: secret.SecretName ?? '',
    fileName: secret.File === undefined ? undefined : (secret.File.Name ?? ''),
    hasTarget: secret.File !== undefined,
  }))
}

function configReferences(container: ContainerSpec): readonly Reference[] {
  return (container.Configs ?? []).map((config) => ({
    id: config.ConfigID ?? '',
    name: config.ConfigName ?? '',
    fileName: config.File === undefined ? undefined : (config.File.Name ?? ''),
    hasTarget: config.File !== undefined || config.Runtime !== undefined,
  }))
}

function validateReferences(kind: Kind, references: readonly Reference[]): void {
  const nameByTarget = new Map<string, string>()
  for (const { id, name, fileName, hasTarget } of references) {
    if (id === '' || name === '') throw clusterError('InvalidArgument', `malformed ${kind} reference`)
    if (!hasTarget) {
      throw clusterError('InvalidArgument', `malformed ${kind} reference, no target provided`)
    }
    if (fileName === undefined) continue
    if (fileName === '') {
      throw clusterError(
        'InvalidArgument',
        `malformed file ${kind} reference, invalid target file name provided`,
      )
    }
    const other = nameByTarget.get(fileName)
    if (other !== undefined) {
      throw clusterError(
        'InvalidArgument',
        `${kind} references '${other}' and '${name}' have a conflicting target: '${fileName}'`,
      )
    }
    nameByTarget.set(fileName, name)
  }
}

function checkExist(
  kind: Kind,
  references: readonly Reference[],
  nameOf: (id: string) => string | undefined,
): void {
  const missing = references.filter(({ id, name }) => nameOf(id) !== name).map(({ name }) => name)
  if (missing.length === 0) return
  const subject = missing.length === 1 ? kind : `${kind}s`
  throw clusterError('InvalidArgument', `${subject} not found: ${missing.join(', ')}`)
}
