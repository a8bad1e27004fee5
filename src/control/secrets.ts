import { newId } from '../env/id.js'
import { clusterError } from '../model/errors.js'
import type { Config, Secret } from '../model/objects.js'
import { checkSecretOrConfigName } from '../model/names.js'
import {
  canonical,
  ConfigSpecSchema,
  SecretSpecSchema,
  type ConfigSpec,
  type SecretSpec,
} from '../model/spec/index.js'
import type { Tx } from '../store/store.js'
import { checkVersion, type ControlContext } from './context.js'
import type { Control } from './interface.js'
import { findConfig, findSecret } from './lookup.js'

/**
 * Secrets and configs: data with a name, of which only the labels ever change.
 * Behaviour: moby/swarmkit manager/controlapi/secret.go, config.go.
 */
type Kind = 'secret' | 'config'

const limitBytes = { secret: 512_000, config: 1_024_000 } as const
const tables = { secret: 'secrets', config: 'configs' } as const

/** @throws {SwarmError} InvalidArgument; AlreadyExists; Unknown for a driver that is not there. */
export async function createSecret(
  context: ControlContext,
  { spec: sent }: Parameters<Control['createSecret']>[0],
): Promise<{ readonly id: string }> {
  const spec = canonical(SecretSpecSchema, sent)
  checkSecretOrConfigName(spec.Name)
  if (spec.Driver !== undefined) {
    const name = spec.Driver.Name ?? ''
    if (name === '') throw clusterError('InvalidArgument', 'secret driver must have a name')
    // Drivers for secrets are plugins of the managers' engines; Skep has none to ask.
    throw clusterError('Unknown', `plugin ${JSON.stringify(name)} not found`)
  }
  checkSize('secret', spec.Data)
  const id = newId(context.env)
  await context.store.update((tx) => {
    checkNameIsFree(tx, 'secret', spec.Name ?? '')
    tx.create('secrets', { id, spec })
  })
  return { id }
}

/** @throws {SwarmError} InvalidArgument; AlreadyExists. */
export async function createConfig(
  context: ControlContext,
  { spec: sent }: Parameters<Control['createConfig']>[0],
): Promise<{ readonly id: string }> {
  const spec = canonical(ConfigSpecSchema, sent)
  checkSecretOrConfigName(spec.Name)
  checkSize('config', spec.Data)
  const id = newId(context.env)
  await context.store.update((tx) => {
    checkNameIsFree(tx, 'config', spec.Name ?? '')
    tx.create('configs', { id, spec })
  })
  return { id }
}

/** @throws {SwarmError} NotFound; InvalidArgument for any change besides the labels; Unknown when stale. */
export async function updateSecret(
  { store }: ControlContext,
  { id: ref, version, spec }: Parameters<Control['updateSecret']>[0],
): Promise<void> {
  await store.update((tx) => {
    const secret = findSecret(tx, ref)
    checkOnlyLabelsChange(secret, spec)
    checkVersion(secret, version)
    tx.update('secrets', secret.id, { spec: canonical(SecretSpecSchema, relabelled(secret.spec, spec)) })
  })
}

/** @throws as `updateSecret`. */
export async function updateConfig(
  { store }: ControlContext,
  { id: ref, version, spec }: Parameters<Control['updateConfig']>[0],
): Promise<void> {
  await store.update((tx) => {
    const config = findConfig(tx, ref)
    checkOnlyLabelsChange(config, spec)
    checkVersion(config, version)
    tx.update('configs', config.id, { spec: canonical(ConfigSpecSchema, relabelled(config.spec, spec)) })
  })
}

/** @throws {SwarmError} NotFound; InvalidArgument while a service refers to it. */
export async function removeSecret(
  { store }: ControlContext,
  { id: ref }: { readonly id: string },
): Promise<void> {
  await store.update((tx) => {
    const { id, spec } = findSecret(tx, ref)
    checkUnused('secret', spec.Name ?? '', tx.services.by('secret', id))
    tx.remove('secrets', id)
  })
}

/** @throws as `removeSecret`. */
export async function removeConfig(
  { store }: ControlContext,
  { id: ref }: { readonly id: string },
): Promise<void> {
  await store.update((tx) => {
    const { id, spec } = findConfig(tx, ref)
    checkUnused('config', spec.Name ?? '', tx.services.by('config', id))
    tx.remove('configs', id)
  })
}

function checkSize(kind: Kind, base64 = ''): void {
  const size = Buffer.byteLength(base64, 'base64')
  if (size === 0 || size >= limitBytes[kind]) {
    throw clusterError(
      'InvalidArgument',
      `${kind} data must be larger than 0 and less than ${limitBytes[kind]} bytes`,
    )
  }
}

function checkNameIsFree(tx: Tx, kind: Kind, name: string): void {
  if (tx[tables[kind]].by('name', name.toLowerCase()).length > 0) {
    throw clusterError('AlreadyExists', `${kind} ${name} already exists`)
  }
}

function checkOnlyLabelsChange({ spec: current }: Secret | Config, next: SecretSpec | ConfigSpec): void {
  const isSameData =
    (next.Data ?? '') === '' ||
    Buffer.from(next.Data ?? '', 'base64').equals(Buffer.from(current.Data ?? '', 'base64'))
  if ((next.Name ?? '') !== current.Name || !isSameData) {
    throw clusterError('InvalidArgument', 'only updates to Labels are allowed')
  }
}

function relabelled<S extends SecretSpec | ConfigSpec>(current: S, { Labels: labels = {} }: S): S {
  return { ...current, Labels: labels }
}

function checkUnused(
  kind: Kind,
  name: string,
  services: readonly { readonly spec: { readonly Name?: string } }[],
) {
  if (services.length === 0) return
  const names = services.map(({ spec }) => spec.Name ?? '')
  throw clusterError(
    'InvalidArgument',
    `${kind} '${name}' is in use by the following ${names.length === 1 ? 'service' : 'services'}: ${names.join(', ')}`,
  )
}
