import { taskName } from '../model/objects.js'
import type { ContainerSpec } from '../model/spec/index.js'
import { expandPayload, type PayloadSources } from '../model/template.js'
import { containerSpecOf, templateContext } from './container-config.js'
import { TaskError, type AssignedTask, type Dependencies } from './interface.js'

/** A secret or config as the container sees it. */
export interface PlannedFile {
  readonly kind: 'secret' | 'config'
  /** Of the secret or config; different references to one ID are different files. */
  readonly id: string
  /** Absolute path in the container. */
  readonly target: string
  readonly uid: number
  readonly gid: number
  readonly mode: number
  readonly data: Buffer
}

type Payload = ReturnType<Dependencies['secret']>

/**
 * The files of a task's secrets and configs, templates expanded.
 * @throws {TaskError} where one is missing on this node or its template cannot be expanded.
 */
export function planFiles(task: AssignedTask, dependencies: Dependencies): readonly PlannedFile[] {
  const spec = containerSpecOf(task)
  const sources = payloadSources(spec, dependencies)
  const render = (payload: NonNullable<Payload>): Buffer => {
    if (payload.templating !== 'golang') return payload.data
    try {
      const text = expandPayload(payload.data.toString('utf8'), templateContext(task, dependencies), sources)
      return Buffer.from(text)
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      throw new TaskError(`failed to expand template ${payload.name}: ${reason}`, { cause: error })
    }
  }
  const plan = (
    kind: PlannedFile['kind'],
    folder: string,
    id: string,
    name: string,
    file: { readonly Name?: string; readonly UID?: string; readonly GID?: string; readonly Mode?: number },
  ): PlannedFile => {
    const payload = kind === 'secret' ? dependencies.secret(id) : dependencies.config(id)
    if (payload === undefined)
      throw new TaskError(`${kind} ${name} (${id}) is not there on the node of ${taskName(task)}`)
    const fileName = file.Name ?? name
    return {
      kind,
      id,
      target: fileName.startsWith('/') ? fileName : `${folder}${fileName}`,
      uid: Number(file.UID ?? 0),
      gid: Number(file.GID ?? 0),
      mode: file.Mode ?? 0o444,
      data: render(payload),
    }
  }
  const secrets = (spec.Secrets ?? []).map(({ SecretID = '', SecretName = '', File }) =>
    plan('secret', '/run/secrets/', SecretID, SecretName, File ?? {}),
  )
  const configs = (spec.Configs ?? [])
    // One without a file is read by the engine itself (`credentialspec`).
    .filter(({ File }) => File !== undefined)
    .map(({ ConfigID = '', ConfigName = '', File }) => plan('config', '/', ConfigID, ConfigName, File ?? {}))
  return [...secrets, ...configs]
}

/** What templates may read: by the target's name, and the environment as written. */
function payloadSources(spec: ContainerSpec, dependencies: Dependencies): PayloadSources {
  const secrets: Record<string, string> = {}
  for (const { SecretID = '', SecretName = '', File } of spec.Secrets ?? []) {
    const data = dependencies.secret(SecretID)?.data
    if (data !== undefined) secrets[File?.Name ?? SecretName] = data.toString('utf8')
  }
  const configs: Record<string, string> = {}
  for (const { ConfigID = '', ConfigName = '', File } of spec.Configs ?? []) {
    const data = dependencies.config(ConfigID)?.data
    if (data !== undefined) configs[File?.Name ?? ConfigName] = data.toString('utf8')
  }
  const env = Object.fromEntries(
    (spec.Env ?? []).map((entry) => {
      const at = entry.indexOf('=')
      return at < 0 ? [entry, ''] : [entry.slice(0, at), entry.slice(at + 1)]
    }),
  )
  return { secrets, configs, env }
}
