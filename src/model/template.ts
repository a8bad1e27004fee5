import { errorText } from './errors.js'
import type { ContainerSpec, Mount } from './spec/index.js'
import { expandTemplate } from './template-evaluate.js'
import {
  asText,
  templateFunctions,
  type TemplateFunction,
  type TemplateMap,
  type TemplateStruct,
} from './template-functions.js'
import { TemplateError } from './template-syntax.js'

export { TemplateError }

/** What templates of a task can name. */
export interface TemplateContext {
  readonly service: {
    readonly id: string
    readonly name: string
    readonly labels: Readonly<Record<string, string>>
  }
  readonly node: {
    readonly id: string
    readonly hostname: string
    readonly architecture: string
    readonly os: string
  }
  /** `slot` is the node ID for tasks that have no slot. */
  readonly task: { readonly id: string; readonly name: string; readonly slot: string }
}

/** What payloads of secrets and configs can reach besides: only what their task refers to. */
export interface PayloadSources {
  /** Data by the target's file name. */
  readonly secrets: Readonly<Record<string, string>>
  readonly configs: Readonly<Record<string, string>>
  readonly env: Readonly<Record<string, string>>
}

/** Stands in for a task where a spec is only checked. It has no labels, so that naming one must fail. */
export const dummyTemplateContext: TemplateContext = {
  service: { id: 'serviceid', name: 'servicename', labels: {} },
  node: { id: 'nodeid', hostname: 'hostname', architecture: 'architecture', os: 'os' },
  task: { id: 'taskid', name: 'taskname', slot: '1' },
}

/**
 * Expands the templates of a container spec: host name, values of the environment, sources and targets of
 * mounts, and labels and driver options of their volumes.
 * @throws {TemplateError} with Go's text, prefixed with where it stood.
 * Behaviour: moby/swarmkit template/expand.go.
 */
export function expandContainerSpec(spec: ContainerSpec, context: TemplateContext): ContainerSpec {
  const expand = expander(context)
  return {
    ...spec,
    ...(spec.Env !== undefined && {
      Env: within('expanding env failed', () => spec.Env?.map((entry) => expandEnv(entry, expand)) ?? []),
    }),
    ...(spec.Mounts !== undefined && {
      Mounts: within(
        'expanding mounts failed',
        () => spec.Mounts?.map((mount) => expandMount(mount, expand)) ?? [],
      ),
    }),
    ...(spec.Hostname !== undefined && {
      Hostname: within('expanding hostname failed', () => expand(spec.Hostname ?? '')),
    }),
  }
}

/**
 * Expands the payload of a secret or config whose `Templating` driver is `golang`.
 * @throws {TemplateError}. Behaviour: moby/swarmkit template/expand.go.
 */
export function expandPayload(payload: string, context: TemplateContext, sources: PayloadSources): string {
  return expandTemplate('expansion', payload, structOf(context), {
    ...templateFunctions,
    secret: lookup('secret', sources.secrets),
    config: lookup('config', sources.configs),
    env: {
      least: 1,
      most: 1,
      texts: 'all',
      call: (name) => {
        const key = asText(name)
        return Object.hasOwn(sources.env, key) ? sources.env[key] : ''
      },
    },
  })
}

type Expand = (source: string) => string

function expander(context: TemplateContext): Expand {
  const struct = structOf(context)
  return (source) => expandTemplate('expansion', source, struct, templateFunctions)
}

function expandEnv(entry: string, expand: Expand): string {
  const at = entry.indexOf('=')
  if (at < 0) return entry
  return within(
    `expanding env ${JSON.stringify(entry)}`,
    () => entry.slice(0, at + 1) + expand(entry.slice(at + 1)),
  )
}

function expandMount(mount: Mount, expand: Expand): Mount {
  const volume = mount.VolumeOptions
  const driver = volume?.DriverConfig
  return {
    ...mount,
    ...(mount.Source !== undefined && {
      Source: within(`expanding mount source ${JSON.stringify(mount.Source)}`, () =>
        expand(mount.Source ?? ''),
      ),
    }),
    ...(mount.Target !== undefined && {
      Target: within(`expanding mount target ${JSON.stringify(mount.Target)}`, () =>
        expand(mount.Target ?? ''),
      ),
    }),
    ...(volume !== undefined && {
      VolumeOptions: {
        ...volume,
        ...(volume.Labels !== undefined && { Labels: expandMap('volume labels', volume.Labels, expand) }),
        ...(driver !== undefined && {
          DriverConfig: {
            ...driver,
            ...(driver.Options !== undefined && {
              Options: expandMap('volume driver config', driver.Options, expand),
            }),
          },
        }),
      },
    }),
  }
}

function expandMap(
  what: string,
  map: Readonly<Record<string, string>>,
  expand: Expand,
): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(map).map(([key, value]) => [
      key,
      within(`expanding ${what}: expanding map entry ${JSON.stringify(key)}=${JSON.stringify(value)}`, () =>
        expand(value),
      ),
    ]),
  )
}

function within<T>(where: string, run: () => T): T {
  try {
    return run()
  } catch (error) {
    throw new TemplateError(`${where}: ${errorText(error)}`, { cause: error })
  }
}

function lookup(what: string, from: Readonly<Record<string, string>>): TemplateFunction {
  return {
    least: 1,
    most: 1,
    texts: 'all',
    call: (name) => {
      const key = asText(name)
      if (Object.hasOwn(from, key)) return from[key]
      throw new Error(`${what} target ${key} not found`)
    },
  }
}

function structOf({ service, node, task }: TemplateContext): TemplateStruct {
  const labels: TemplateMap = { kind: 'map', entries: service.labels }
  const platform: TemplateStruct = {
    kind: 'struct',
    type: 'template.Platform',
    fields: { Architecture: node.architecture, OS: node.os },
  }
  return {
    kind: 'struct',
    type: '*template.Context',
    fields: {
      Service: {
        kind: 'struct',
        type: 'struct { ID string; Name string; Labels map[string]string }',
        fields: { ID: service.id, Name: service.name, Labels: labels },
      },
      Node: {
        kind: 'struct',
        type: 'struct { ID string; Hostname string; Platform template.Platform }',
        fields: { ID: node.id, Hostname: node.hostname, Platform: platform },
      },
      Task: {
        kind: 'struct',
        type: 'struct { ID string; Name string; Slot string }',
        fields: { ID: task.id, Name: task.name, Slot: task.slot },
      },
    },
  }
}
