import type { AssignedTask, Dependencies } from '../executor/interface.js'
import type { FileAssignment } from '../wire/index.js'

type Kind = 'secret' | 'config'
type File = NonNullable<ReturnType<Dependencies['secret']>>

/** The secrets and configs of this node's tasks. In memory only. */
export class DependencyStore {
  readonly #files = new Map<string, File>()
  readonly #node: Dependencies['node']

  constructor(node: Dependencies['node']) {
    this.#node = node
  }

  clear(): void {
    this.#files.clear()
  }

  put(kind: Kind, { id, name, data, templating }: FileAssignment): void {
    this.#files.set(`${kind}/${id}`, {
      name,
      data: Buffer.from(data, 'base64'),
      ...(templating === undefined ? {} : { templating }),
    })
  }

  remove(kind: Kind, id: string): void {
    this.#files.delete(`${kind}/${id}`)
  }

  /** Whether everything that the task refers to is here. */
  has(task: AssignedTask): boolean {
    return [...references(task)].every((key) => this.#files.has(key))
  }

  /** What the task may read: nothing but what its own spec refers to. */
  of(task: AssignedTask): Dependencies {
    const allowed = references(task)
    const read = (key: string) => (allowed.has(key) ? this.#files.get(key) : undefined)
    const { serviceId, serviceAnnotations } = task
    return {
      secret: (id) => read(`secret/${id}`),
      config: (id) => read(`config/${id}`),
      node: this.#node,
      ...(serviceId === undefined ? {} : { service: { id: serviceId, ...serviceAnnotations } }),
    }
  }
}

function references(task: AssignedTask): ReadonlySet<string> {
  const { Secrets: secrets = [], Configs: configs = [] } = task.spec.ContainerSpec ?? {}
  return new Set([
    ...secrets.flatMap(({ SecretID: id }) => (id === undefined ? [] : `secret/${id}`)),
    ...configs.flatMap(({ ConfigID: id }) => (id === undefined ? [] : `config/${id}`)),
  ])
}
