import type { Config, Secret, Task } from '../model/objects.js'
import { TaskState } from '../model/task-state.js'
import type { View } from '../store/store.js'
import type { AssignedTask } from '../model/assigned-task.js'
import type { AssignmentChange, FileAssignment } from '../wire/index.js'

type FileKind = 'secret' | 'config'

interface FileRef {
  readonly kind: FileKind
  readonly id: string
}

/**
 * What one node has been told to have: its tasks, and the secrets and configs that those need. It is
 * compared with the store whenever something may have changed, so any number of changes in between become
 * one.
 *
 * Behaviour: moby/swarmkit manager/dispatcher/assignments.go.
 */
export class AssignmentSet {
  readonly #view: View
  readonly #nodeId: string
  /** What was told, by task ID. */
  readonly #tasks = new Map<string, Task>()
  /** Who needs a file, by its key. Only files that were told. */
  readonly #users = new Map<string, { readonly ref: FileRef; readonly taskIds: Set<string> }>()
  readonly #touched = new Set<string>()

  constructor(view: View, nodeId: string) {
    this.#view = view
    this.#nodeId = nodeId
  }

  /** Something about the task may have changed. */
  touch(taskId: string): void {
    this.#touched.add(taskId)
  }

  /** Forgets what was told, and gives all that the node is to have now. */
  complete(): AssignmentChange[] {
    this.#tasks.clear()
    this.#users.clear()
    this.#touched.clear()
    for (const { id } of this.#view.tasks.by('node', this.#nodeId)) this.#touched.add(id)
    return this.takeChanges()
  }

  /** What became different since the last call: files that come, tasks, files that go. */
  takeChanges(): AssignmentChange[] {
    const files: AssignmentChange[] = []
    const tasks: AssignmentChange[] = []
    const mayGo: FileRef[] = []
    for (const id of [...this.#touched].sort()) {
      const told = this.#tasks.get(id)
      const task = this.#assigned(id)
      if (task === undefined) {
        if (told === undefined) continue
        this.#tasks.delete(id)
        tasks.push({ op: 'remove', kind: 'task', id })
        mayGo.push(...fileRefs(told))
        continue
      }
      this.#tasks.set(id, task)
      if (needsFiles(task)) files.push(...this.#use(task))
      else if (told !== undefined && needsFiles(told)) mayGo.push(...fileRefs(told))
      if (told === undefined || !isToldAlready(told, task)) {
        tasks.push({ op: 'update', kind: 'task', task: taskAssignment(this.#view, task) })
      }
    }
    const touched = new Set(this.#touched)
    this.#touched.clear()
    return [...files, ...tasks, ...this.#release(mayGo, touched)]
  }

  #assigned(id: string): Task | undefined {
    const task = this.#view.tasks.get(id)
    if (task?.nodeId !== this.#nodeId || task.status.state < TaskState.Assigned) return undefined
    return task
  }

  #use(task: Task): AssignmentChange[] {
    return fileRefs(task).flatMap((ref) => {
      const key = `${ref.kind}/${ref.id}`
      const known = this.#users.get(key)
      if (known !== undefined) {
        known.taskIds.add(task.id)
        return []
      }
      const file = fileAssignment(this.#view, ref)
      if (file === undefined) return []
      this.#users.set(key, { ref, taskIds: new Set([task.id]) })
      return [{ op: 'update' as const, kind: ref.kind, file }]
    })
  }

  #release(refs: readonly FileRef[], touched: ReadonlySet<string>): AssignmentChange[] {
    const gone: AssignmentChange[] = []
    for (const { kind, id } of refs) {
      const key = `${kind}/${id}`
      const users = this.#users.get(key)
      if (users === undefined) continue
      for (const taskId of users.taskIds) {
        if (!touched.has(taskId)) continue
        const task = this.#tasks.get(taskId)
        if (task === undefined || !needsFiles(task)) users.taskIds.delete(taskId)
      }
      if (users.taskIds.size > 0) continue
      this.#users.delete(key)
      gone.push({ op: 'remove', kind, id })
    }
    return gone
  }
}

/** A task that has ended never reads its secrets again. */
function needsFiles(task: Task): boolean {
  return task.status.state <= TaskState.Running
}

/**
 * Whether the node knows all that it needs of `task`. Its status is the node's own word. Parts that did
 * not change are the very same objects.
 */
function isToldAlready(told: Task, task: Task): boolean {
  return (
    told.desiredState === task.desiredState &&
    told.spec === task.spec &&
    told.networks === task.networks &&
    told.endpoint === task.endpoint &&
    told.serviceAnnotations === task.serviceAnnotations &&
    told.logDriver === task.logDriver &&
    told.assignedGenericResources === task.assignedGenericResources &&
    told.registryAuth === task.registryAuth
  )
}

function fileRefs(task: Task): FileRef[] {
  const { Secrets: secrets = [], Configs: configs = [] } = task.spec.ContainerSpec ?? {}
  return [
    ...secrets.flatMap(({ SecretID: id }) => (id === undefined ? [] : { kind: 'secret' as const, id })),
    ...configs.flatMap(({ ConfigID: id }) => (id === undefined ? [] : { kind: 'config' as const, id })),
  ]
}

/** Undefined for what is not there: the task then fails on its node, which says what is missing. */
function fileAssignment(view: View, { kind, id }: FileRef): FileAssignment | undefined {
  const object: Secret | Config | undefined = kind === 'secret' ? view.secrets.get(id) : view.configs.get(id)
  if (object === undefined) return undefined
  const { Name: name = '', Data: data = '', Templating: templating } = object.spec
  return { id, name, data, ...(templating?.Name === undefined ? {} : { templating: templating.Name }) }
}

export function taskAssignment(view: View, task: Task): AssignedTask {
  const { createdAtMs: _created, updatedAtMs: _updated, specVersion: _specVersion, ...rest } = task
  return {
    ...rest,
    networks: task.networks.flatMap(({ networkId, addresses, aliases }) => {
      const network = view.networks.get(networkId)
      if (network === undefined) return []
      const { id, spec, driverState, ipam } = network
      return {
        network: {
          id,
          spec,
          ...(driverState === undefined ? {} : { driverState }),
          ...(ipam === undefined ? {} : { ipam }),
        },
        addresses,
        aliases,
      }
    }),
  }
}
