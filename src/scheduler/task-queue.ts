import type { Task } from '../model/objects.js'

/** Tasks that ask the same and are placed together: those of one service and spec version. */
export interface Group {
  readonly key: string
  readonly tasks: Map<string, Task>
  /** `NodeSet.improvements` when no node was found; undefined while the group is to be tried. */
  triedAt: number | undefined
  /** What is to be told to users about the tasks that are left. */
  reason: string
  /** Tasks whose error does not say `reason` yet. */
  readonly untold: Set<string>
  /** Until when a changed reason waits. Monotonic ms. */
  quietUntilMs: number
}

/** Tasks without a node, by group. Groups take turns. */
export class TaskQueue {
  readonly #groups = new Map<string, Group>()
  readonly #keyOf = new Map<string, string>()
  /** Groups that are to be tried or have something to tell: few, where many wait in vain. */
  readonly #awake = new Set<Group>()

  get size(): number {
    return this.#keyOf.size
  }

  groups(): Iterable<Group> {
    return this.#groups.values()
  }

  /** In the order in which they came up. May hold some that have nothing to do any more: see `rest`. */
  awake(): Iterable<Group> {
    return this.#awake
  }

  wake(group: Group): void {
    this.#awake.add(group)
  }

  /** The group has been tried and has told everything. */
  rest(group: Group): void {
    this.#awake.delete(group)
  }

  /**
   * Adds a task, or puts a newer version of it in its place. A new one makes its group be tried; one that does
   * not say why it waits, as the write was lost, is told again.
   */
  set(task: Task): void {
    const key = groupKey(task)
    let group = this.#groups.get(key)
    if (group === undefined) {
      group = { key, tasks: new Map(), triedAt: undefined, reason: '', untold: new Set(), quietUntilMs: 0 }
      this.#groups.set(key, group)
    }
    if (!group.tasks.has(task.id)) group.triedAt = undefined
    group.tasks.set(task.id, task)
    if (group.triedAt === undefined || task.status.err === group.reason) group.untold.delete(task.id)
    else group.untold.add(task.id)
    this.#keyOf.set(task.id, key)
    if (group.triedAt === undefined || group.untold.size > 0) this.#awake.add(group)
  }

  delete(taskId: string): void {
    const key = this.#keyOf.get(taskId)
    if (key === undefined) return
    this.#keyOf.delete(taskId)
    const group = this.#groups.get(key)
    group?.tasks.delete(taskId)
    group?.untold.delete(taskId)
    if (group?.tasks.size !== 0) return
    this.#groups.delete(key)
    this.#awake.delete(group)
  }

  /** Puts a group behind all others. */
  moveToEnd(group: Group): void {
    if (this.#groups.delete(group.key)) this.#groups.set(group.key, group)
    if (this.#awake.delete(group)) this.#awake.add(group)
  }
}

/** Tasks without a spec version, such as containers that joined a network by themselves, stand alone. */
function groupKey({ id, serviceId, specVersion }: Task): string {
  return serviceId === undefined || specVersion === undefined ? id : `${serviceId}/${specVersion}`
}
